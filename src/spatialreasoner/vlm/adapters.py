"""Folders and repositories that hold an adapter alone (PEFT), to be put on the base model that they name."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core.digests import folder_digest
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.vlm.declared import within_weights
from spatialreasoner.vlm.hub import file_of_hub

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, ProcessorMixin

ADAPTER_FILE, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

MOST_ADAPTERS = 4
"""So many adapters may lie on each other, each naming the next as its base."""

_LARGEST = 2**24


def adapter_folder(source: str | Path) -> Path | None:
    """Where the files of an adapter are; None for what holds a model of its own, or nothing.

    Args:
        source: A folder, or the name of a repository on the Hub.
    """
    folder = Path(source)
    if folder.is_dir():
        alone = (folder / ADAPTER_FILE).is_file() and not any(folder.glob("model*.safetensors"))
        return folder if alone else None
    if (found := file_of_hub(source, ADAPTER_FILE)) is None or file_of_hub(source, "config.json") is not None:
        return None
    file_of_hub(source, ADAPTER_WEIGHTS)
    return found.parent


def base_of(source: str | Path) -> str:
    """The model under an adapter, and under the adapters below it; a folder that is not an adapter is returned as it is.

    Raises:
        ConfigError: If the adapter names no base, or adapters name each other.
    """
    return layers_of(source)[-1]


def layers_of(source: str | Path) -> list[str]:
    """All that a model is read from: an adapter, the adapters below it, and the model under them; else the model alone.

    Raises:
        ConfigError: If an adapter names no base, or adapters name each other.
    """
    layers = [str(source)]
    for _ in range(MOST_ADAPTERS):
        folder = adapter_folder(layers[-1])
        if folder is None:
            return layers
        layers.append(parent_of(folder))
    raise ConfigError(f"expected at most {MOST_ADAPTERS} adapters on each other; got more, down to {layers[-1]!r}")


def layer_digest(layer: str, commit: str | None) -> str:
    """What one of `layers_of` holds: a digest of a folder's files, or the commit of a repository.

    Args:
        layer: The folder or repository.
        commit: That of the model under all adapters, where it was read from a repository.
    """
    if Path(layer).is_dir():
        return folder_digest(layer)
    snapshot = adapter_folder(layer)
    return str(commit) if snapshot is None else snapshot.name


def parent_of(folder: str | Path) -> str:
    """The model that an adapter names as its base, perhaps an adapter as well.

    One that is not where the adapter says is looked for beside the adapter's folder, by the last part of its name.

    Raises:
        ConfigError: If the adapter's configuration cannot be read, or names none.
    """
    file = Path(folder) / ADAPTER_FILE
    try:
        if file.stat().st_size > _LARGEST:
            raise ConfigError(f"{file}: expected at most {_LARGEST} bytes; got {file.stat().st_size}")
        settings = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read {file}: {error}") from error
    base = settings.get("base_model_name_or_path") if isinstance(settings, Mapping) else None
    if not isinstance(base, str) or not base:
        raise ConfigError(f"{file}: expected base_model_name_or_path, the model that the adapter belongs to; got {base!r}")
    beside = Path(folder).resolve().parent / Path(base).name
    return base if Path(base).is_dir() or not (beside / "config.json").is_file() else str(beside)


def put_on(model: PreTrainedModel, folder: Path, *, trainable: bool) -> PreTrainedModel | PeftModel:
    """A model with an adapter on it.

    Args:
        model: Its base.
        folder: The adapter's files.
        trainable: Keep it as an adapter, to train it further; else it is merged into its base, whose weights all train.

    Raises:
        ConfigError: If its weights are missing, or it cannot be merged.
    """
    adapted = _adapted(model, folder, trainable=trainable)
    return adapted if trainable else _merged(adapted)


def _adapted(model: PreTrainedModel, folder: Path, *, trainable: bool) -> PeftModel:
    from peft import PeftModel

    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ConfigError(f"{folder} has {ADAPTER_FILE}, but not the weights: expected {ADAPTER_WEIGHTS}")
    with warnings.catch_warnings(), within_weights(folder, adapter=True):
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing", category=FutureWarning)  # PEFT reads old names
        # it would train, or answer, as if the adapter were not there
        warnings.filterwarnings("error", message="Found missing adapter keys")
        return PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)


def _merged(adapted: Any) -> PreTrainedModel:
    if not hasattr(adapted.base_model, "merge_and_unload"):
        kind = adapted.peft_config["default"].peft_type.value
        raise ConfigError(f"expected an adapter that can be merged into its base, such as LoRA; got {kind}")
    merged = adapted.merge_and_unload(safe_merge=True)
    if hasattr(merged, "peft_config"):  # left behind by PEFT, and then saved as if there still were an adapter
        del merged.peft_config
    for parameter in merged.parameters():
        parameter.requires_grad_(parameter.is_floating_point())  # PEFT freezes the base
    return merged


def own_processor(folder: Path, base: ProcessorMixin) -> ProcessorMixin:
    """The adapter's own processor, where it brings one whole: its training may have added tokens."""
    from spatialreasoner.vlm.processors import load_processor

    if not hasattr(base, "tokenizer"):  # a text model's
        return type(base).from_pretrained(folder) if (folder / "tokenizer_config.json").is_file() else base
    whole = any((folder / name).is_file() for name in ("processor_config.json", "preprocessor_config.json"))
    if not whole or not (folder / "tokenizer_config.json").is_file():
        return base
    try:
        return load_processor(folder)
    except (OSError, ValueError):  # what only the base's configuration tells
        return base
