"""The reference's log-probabilities on disk: computed once, resumable, refused where anything that decides them changed.

A JSON-lines file. Its first line is the key: digests of weights and processor, the dtype, the segments. Each further line is
one pair, found again by the digest of its texts and images, so rows may be added, removed or shuffled. Lines are
appended as they are computed; a torn last line is computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core.digests import file_digest
from spatialreasoner.core.errors import ConfigError, WorkError
from spatialreasoner.scenes.carry import image_digest
from spatialreasoner.training.images import carried_regions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Logps = tuple[list[float], list[float]]
"""Log-probability of each segment of the chosen and of the rejected response, nats."""


RENDERING = "whole conversations"
"""How rows become tokens. A file of another way holds log-probabilities of other tokens."""


def reference_key(
    model: PreTrainedModel, processor: Any, *, segments: Sequence[str], markup: str, thinking: bool = False
) -> dict[str, str]:
    """What decides the log-probabilities beside the pairs themselves."""
    return {
        "model": _weights_digest(model),
        "processor": _processor_digest(processor),
        "dtype": str(model.dtype),
        "segments": ",".join(segments),
        "markup": markup,
        "rendering": f"{RENDERING}, thinking" if thinking else RENDERING,
    }


def pair_digest(example: Mapping[str, Any]) -> str:
    """Digest of a pair's texts, images and regions."""
    digest = hashlib.sha256(carried_regions(example).encode())
    for name in ("prompt", "chosen", "rejected"):
        digest.update(json.dumps(example[name], sort_keys=True).encode() + b"\0")
    for name in ("chosen_spans", "rejected_spans"):
        if example.get(name) is not None:
            digest.update(json.dumps(example[name], sort_keys=True).encode() + b"\0")
    for image in example.get("images") or filter(None, [example.get("image")]):
        digest.update(bytes.fromhex(file_digest(image)) if isinstance(image, str) else image_digest(image))
    return digest.hexdigest()


class ReferenceCache:
    """The file.

    Args:
        path: Where it is, or will be.
        key: What decides its contents (`reference_key`).

    Raises:
        ConfigError: If the file was made under another key, or is not such a file.
    """

    def __init__(self, path: Path, key: Mapping[str, str]) -> None:
        self.path = path
        self.key = dict(key)
        self._rows: dict[str, Logps] = {}
        if path.exists():
            self._read()

    def complete(
        self,
        examples: Sequence[Mapping[str, Any]],
        compute: Callable[[Sequence[Mapping[str, Any]]], list[Logps]],
        *,
        batch_size: int,
        order: Sequence[int] | None = None,
    ) -> list[Logps]:
        """The log-probabilities of all pairs, in order; those not on file are computed and appended.

        Under several processes each computes its share, and the first one writes.

        Args:
            examples: The pairs.
            compute: Gives the log-probabilities of some pairs.
            batch_size: How many pairs it is given at a time.
            order: All pairs' numbers in the order in which they are computed, so that those that share images come together.
                None for as they are.

        Raises:
            WorkError: If the file cannot be written.
        """
        from accelerate import PartialState
        from accelerate.utils import gather_object

        state = PartialState()
        digests = [pair_digest(examples[index]) for index in range(len(examples))]
        missing = [index for index in (range(len(digests)) if order is None else order) if digests[index] not in self._rows]
        stride = batch_size * state.num_processes
        for start in range(0, len(missing), stride):
            share = missing[start + state.process_index * batch_size :][:batch_size]
            found = compute([examples[index] for index in share]) if share else []
            rows = gather_object([(digests[index], logps) for index, logps in zip(share, found, strict=True)])
            self._rows.update(rows)
            if state.is_main_process:
                self._append(rows)
        state.wait_for_everyone()
        return [self._rows[digest] for digest in digests]

    def _read(self) -> None:
        lines = self.path.read_bytes().split(b"\n")
        if _parsed(lines[0]) != {"key": self.key}:
            raise ConfigError(
                f"{self.path} holds log-probabilities of another reference (its model, processor, dtype or segments differ). "
                "Remove the file to compute them again, or give another one as reference_cache"
            )
        # What follows the last newline is a line that was cut off while it was written
        for row in map(_parsed, lines[1:-1]):
            if not isinstance(row, dict) or row.keys() != {"pair", "chosen", "rejected"}:
                raise ConfigError(f"{self.path} is damaged; remove it to compute the reference again")
            self._rows[row["pair"]] = (row["chosen"], row["rejected"])
        if lines[-1]:
            with self.path.open("r+b") as file:
                file.truncate(self.path.stat().st_size - len(lines[-1]))

    def _append(self, rows: Sequence[tuple[str, Logps]]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = not self.path.exists()
            with self.path.open("a", encoding="utf-8") as file:
                if new:
                    file.write(json.dumps({"key": self.key}) + "\n")
                for digest, (chosen, rejected) in rows:
                    file.write(json.dumps({"pair": digest, "chosen": chosen, "rejected": rejected}) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise WorkError(f"cannot write {self.path}: {error.strerror or error}; check the folder and the disk") from error


def _weights_digest(model: PreTrainedModel) -> str:
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _processor_digest(processor: Any) -> str:
    tokenizer = getattr(processor, "tokenizer", processor)
    settings = processor.to_json_string() if tokenizer is not processor else ""  # a text model has its tokenizer alone
    fast = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = json.dumps(tokenizer.get_vocab(), sort_keys=True) if fast is None else fast.to_str()
    text = "\0".join((settings, str(processor.chat_template), vocabulary))
    return hashlib.sha256(text.encode()).hexdigest()


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
