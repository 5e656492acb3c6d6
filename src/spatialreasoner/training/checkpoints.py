"""Checkpoints without pickle: optimizer and random states as safetensors, the schedule as JSON.

transformers' trainer writes `optimizer.pt`, `scheduler.pt`, `rng_state.pth` and `training_args.bin` with `torch.save`. Here
nothing is written so, and nothing written so is read. Sharded states (FSDP, DeepSpeed) keep their own format.
"""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from spatialreasoner.core import records
from spatialreasoner.core.digests import file_digest
from spatialreasoner.core.errors import ConfigError, MissingFileError, SpatialReasonerError
from spatialreasoner.core.outputs import apply_umask

logger = logging.getLogger(__name__)

OPTIMIZER, SCHEDULE, SCALER = "optimizer.safetensors", "scheduler.json", "scaler.json"
SHARDED = "sharded.safetensors"
"""Weights and optimizer of a model that was spread over processes, gathered; any number of them may continue from it."""


_FILES = (".json", ".jsonl", ".safetensors", ".jinja", ".txt", ".model")
"""How names of a checkpoint's files end; a folder has no such name."""

DIGESTS = "digests.json"
"""Beside the files of a checkpoint: the SHA-256 of each. Written last, so a checkpoint that has it is whole."""


def latest_checkpoint(folder: str | Path) -> Path | None:
    """The newest complete checkpoint of a run, or None; a damaged one is skipped with a warning that says what is wrong.

    What the next checkpoint of that step could not replace is renamed: a file of a checkpoint's name, a checkpoint that has a
    folder, a pipe or a device where it should have a file.
    """
    found = [path for path in Path(folder).glob("checkpoint-*") if path.name.rpartition("-")[2].isdecimal()]
    for path in sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        damage = damage_of(path)
        if damage is None:
            return path
        logger.warning("%s is not used: %s; training continues from the newest complete checkpoint before it", path, damage)
        if _in_the_way(path):
            with suppress(FileNotFoundError):  # another process of this training was first
                path.replace(_free(path.with_name(f"{path.name}.not-a-checkpoint")))
    return None


def _in_the_way(checkpoint: Path) -> bool:
    """Whether the trainer could not write the next checkpoint of that step here."""
    if not checkpoint.is_dir():
        return True
    return _no_file_among(checkpoint) is not None


def _free(path: Path) -> Path:
    """The path, or the first one like it with a number where nothing is."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return path if not os.path.lexists(path) else next(each for each in numbered if not os.path.lexists(each))


def damage_of(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, or None: files that differ from their digests, are missing, cannot be read, or disagree.

    A checkpoint without digests (of an earlier version, or of a process that was killed before it wrote them) is whole once its
    trainer state, the trainer's last file, is there, and every JSON and safetensors file can be opened.
    """
    if (problem := _no_file_among(checkpoint)) is not None:
        return problem
    try:
        digests = json.loads((checkpoint / DIGESTS).read_text("utf-8"))
        if not isinstance(digests, dict) or not digests:
            return f"{DIGESTS} cannot be read: expected the digest of each file by its name"
        changed = [name for name in digests if digests[name] != _digest(checkpoint / name)]
        return f"{changed[0]} is not as it was written" if changed else _contradiction(checkpoint)
    except FileNotFoundError:
        return _unreadable(checkpoint)
    except (OSError, ValueError, RecursionError) as error:
        return f"{DIGESTS} cannot be read: {error}"


def _contradiction(checkpoint: Path) -> str | None:
    """What a checkpoint says of itself that cannot be: its step is not that of its name, or its schedule counts no steps."""
    step = checkpoint.name.rpartition("-")[2]
    for name, key, right in (
        ("trainer_state.json", "global_step", int(step) if step.isdecimal() else None),
        (SCHEDULE, "last_epoch", None),
    ):
        if not (checkpoint / name).is_file():
            continue
        told = json.loads((checkpoint / name).read_text("utf-8"))
        value = told.get(key) if isinstance(told, dict) else None
        if not isinstance(value, int) or right not in {None, value}:
            return f"{name} says {key} {value!r}; expected {'a whole number' if right is None else right}"
    return None


def _no_file_among(checkpoint: Path) -> str | None:
    """What is there in place of a file, and could not be read or not end: folders, pipes, devices."""
    found = (path for path in checkpoint.rglob("*") if path.suffix in _FILES and path.exists() and not path.is_file())
    return next((f"{path.name} is not a file" for path in found), None)


def _digest(path: Path) -> str | None:
    try:
        return file_digest(path)
    except MissingFileError:
        return None


def _unreadable(checkpoint: Path) -> str | None:
    if not (checkpoint / "trainer_state.json").is_file():
        return "it is not complete"
    for path in sorted(checkpoint.rglob("*")):
        try:
            if path.suffix == ".json":
                json.loads(path.read_text("utf-8"))
            elif path.suffix == ".safetensors":
                with safe_open(path, framework="pt"):
                    pass
        except (OSError, ValueError, SafetensorError) as error:
            return f"{path.name} cannot be read: {error}"
    return None


class CheckpointDigests(TrainerCallback):
    """Writes the digests of each checkpoint once all processes have written their parts of it."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write them."""
        PartialState().wait_for_everyone()
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != DIGESTS)
            records.write_json(folder / DIGESTS, {str(path.relative_to(folder)): file_digest(path) for path in files})


class AtTheLimit(Exception):
    """The checkpoint that is resumed from has all the steps that were asked for."""


class StopAtTheLimit(TrainerCallback):
    """Ends a resumed training that has no step left; the trainer's own loop would take another step before it looked."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Look at the steps, once weights and history are those of the checkpoint.

        Raises:
            AtTheLimit: If none is left.
        """
        if 0 < state.max_steps <= state.global_step:
            raise AtTheLimit


_OF_WEIGHTS = frozenset({"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"})
"""States of optimizers that have the shape of their weight."""


def check_shapes(optimizer: Any, state: Mapping[str, Any]) -> None:
    """Refuse states of other weights than an optimizer's: kernels that trust their shapes would write beyond them.

    Raises:
        ValueError: If one has another shape than its weight.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    for number, weight in zip(numbers, weights, strict=True):
        for name, value in state["state"].get(number, {}).items():
            if name in _OF_WEIGHTS and value.shape != weight.shape:
                raise ValueError(f"{name} of shape {tuple(value.shape)} for a weight of shape {tuple(weight.shape)}")


@contextmanager
def fitting(checkpoint: str | Path) -> Generator[None]:
    """Report states in a checkpoint that are not those of this training.

    Raises:
        ConfigError: Instead of what reading them raises.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if isinstance(error, SpatialReasonerError):
            raise
        raise ConfigError(
            f"{checkpoint} holds states of another training: {type(error).__name__}: {error}. Remove that folder to continue "
            "from the checkpoint before it"
        ) from error


def random_state() -> dict[str, Any]:
    """The states of Python's, numpy's and torch's random numbers."""
    version, state, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": {"version": version, "state": list(state), "gauss": gauss},
        "numpy": {"name": name, "keys": np.asarray(keys).tolist(), "rest": [position, has_gauss, cached]},
        "torch": torch.get_rng_state(),
        "cuda": dict(enumerate(devices)),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put back what `random_state` gave."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["state"]), python["gauss"]))
    np.random.set_state((numpy["name"], np.asarray(numpy["keys"], dtype=np.uint32), *numpy["rest"]))
    torch.set_rng_state(state["torch"])
    for device, value in state["cuda"].items():
        if device < torch.cuda.device_count():
            torch.cuda.set_rng_state(value, device)


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested mappings and lists of tensors and plain values: tensors as safetensors, the rest as its JSON header."""
    tensors: dict[str, Tensor] = {}
    plain = json.dumps(_split(state, tensors))
    save_file(tensors, path, metadata={"state": plain})
    apply_umask(path)


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote.

    Raises:
        ConfigError: If the file is not there or is not such a file.
    """
    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            plain = json.loads((file.metadata() or {})["state"])
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise ConfigError(f"expected a training state at {path}; {error}. Start from another checkpoint") from error
    return _join(plain, tensors)


def _split(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON, its tensors moved out; mappings become lists of pairs, since JSON's keys are text alone."""
    if isinstance(value, Tensor):
        tensors[str(len(tensors))] = value.detach().cpu().contiguous().clone()
        return {"tensor": str(len(tensors) - 1)}
    if isinstance(value, Mapping):
        return {"mapping": [[key, _split(each, tensors)] for key, each in value.items()]}
    if isinstance(value, list | tuple):
        return [_split(each, tensors) for each in value]
    return value


def _join(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_join(each, tensors) for each in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    return {key: _join(each, tensors) for key, each in value["mapping"]}
