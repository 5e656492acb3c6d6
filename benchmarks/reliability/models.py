"""Model folders and checkpoints: without weights, with pickles, with torn or lying files. Needs torch, so it is slow."""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from reliability import made
from reliability.trial import Act, Case, command

Damage = Callable[[Path], object]

_FOLDER = tempfile.TemporaryDirectory(prefix="reliability-model-")


def _write(name: str, data: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(data)


def _lose(*names: str) -> Damage:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names]


def _change(name: str, change: Callable[[bytes], bytes]) -> Damage:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def _configure(**values: object) -> Damage:
    return _change("config.json", lambda data: json.dumps({**json.loads(data), **values}).encode())


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")


def _index(folder: Path) -> None:
    """Weights that an index looks for outside of the folder."""
    shutil.move(folder / "model.safetensors", folder.parent / "stolen.safetensors")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "../stolen.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


_LYING = struct.pack("<Q", 2**62) + b"{}"
_BACKWARDS = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}}).encode()
_BEYOND = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16_000_000]}}).encode()

DAMAGES: tuple[tuple[str, Damage], ...] = (
    ("without weights", _lose("model.safetensors")),
    ("with weights in a pickle alone", _pickled),
    ("with a pickled state of training", _write("optimizer.pt", b"\x80\x04.")),
    ("with an empty file of weights", _write("model.safetensors", b"")),
    ("with text for weights", _write("model.safetensors", b"weights")),
    ("with weights cut in half", _change("model.safetensors", lambda data: data[: len(data) // 2])),
    ("with a header of 2^62 bytes", _write("model.safetensors", _LYING)),
    ("with a header that is not JSON", _write("model.safetensors", struct.pack("<Q", 4) + b"abcd")),
    ("with offsets backwards", _write("model.safetensors", struct.pack("<Q", len(_BACKWARDS)) + _BACKWARDS)),
    ("with offsets beyond the file", _write("model.safetensors", struct.pack("<Q", len(_BEYOND)) + _BEYOND)),
    ("with an index that leads out of it", _index),
    ("without config.json", _lose("config.json")),
    ("with an empty config.json", _write("config.json", b"")),
    ("with a config.json of text", _write("config.json", b"model: llava")),
    ("with a config.json that is a list", _write("config.json", b"[]")),
    ("with a config.json that is null", _write("config.json", b"null")),
    ("with a config.json of 100000 brackets", _write("config.json", b"[" * 100_000)),
    ("of an unknown kind", _configure(model_type="oracle")),
    ("of a kind that reads no images", _configure(model_type="gpt2")),
    ("with code of its own", _configure(model_type="mine", auto_map={"AutoConfig": "evil.Config"})),
    ("without a tokenizer", _lose("tokenizer.json", "tokenizer_config.json")),
    ("with a tokenizer of text", _write("tokenizer.json", b"tokens")),
    ("with a tokenizer that is a list", _write("tokenizer.json", b"[]")),
    ("without a processor", _lose("processor_config.json", "preprocessor_config.json")),
    ("with a processor that is a list", _write("processor_config.json", b"[]")),
)


def cases() -> Iterator[Case]:
    """A small model, damaged, to answer questions."""
    for name, damage in DAMAGES:
        yield Case(group="models", name=f"a folder {name}", prepare=partial(_damaged, damage), slow=True)
    for name in ("hf:", "hf:no/such/model", "hf:../../etc", "hf:/dev/null", "nano:2", "", "api:", "api:m@", "scripted:"):
        yield Case(group="models", name=f"the name {name!r}", prepare=partial(_named, name), slow=name.startswith("hf:"))


def _damaged(damage: Damage, folder: Path) -> Act:
    model = Path(shutil.copytree(_model(), folder / "model"))
    damage(model)
    return _named(str(model), folder)


def _named(name: str, folder: Path) -> Act:
    return command(
        "generate", made.room() / "questions.jsonl", "--model", name, "--max-new-tokens", 2, "--out", folder / "out" / "p.jsonl"
    )


@cache
def _model() -> Path:
    from spatialreasoner.testing import tiny_models as tiny

    folder = Path(_FOLDER.name) / "model"
    tiny.build_tiny("llava", folder, ["one two three four"] * 9, seed=0, width=16, layers=1, image_size=28, vocabulary=300)
    return folder
