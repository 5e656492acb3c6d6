"""Loading models, with an image processor or a tokenizer, from folders and repositories; an adapter with its base."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core.errors import ConfigError, MissingExtraError
from spatialreasoner.vlm.adapters import ADAPTER_FILE, adapter_folder, base_of, own_processor, parent_of, put_on
from spatialreasoner.vlm.processors import load_processor
from spatialreasoner.vlm.sa2va import SA2VA
from spatialreasoner.vlm.safety import check_processor, load_with, refuse_pickles, refuse_unsafe, telling_of
from spatialreasoner.vlm.sources import config_of, refuse_other_version, shipped_as
from spatialreasoner.vlm.text_models import is_text_model

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin


def load_vlm(source: str | Path, *, precision: str = "float32", **options: Any) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Load a vision-language model and its processor.

    A released Sa2VA model is converted in memory, and an adapter is merged into the base that it names.

    Args:
        source: A folder, or the name of a repository on the Hub.
        precision: `float32`, `bfloat16`, or `auto`: as saved.
        options: Further arguments of the model's `from_pretrained`.

    Raises:
        ConfigError: If the model does not exist, it could only be read by unpickling or by running its code, another version
            of a shipped model is in it, or its chat template exceeds the limits of `template_limits`.
        MissingExtraError: If its processor needs a library that is not installed.
    """
    from transformers import AutoModelForImageTextToText

    if adapter_folder(source) is not None:
        merged: Any = load_adapter(source, precision=precision, **options)
        return merged
    refuse_unsafe(source)
    refuse_other_version(source)
    _know_classes(source)
    if config_of(source).get("model_type") == SA2VA:
        from spatialreasoner.vlm.sa2va.convert import load_sa2va

        return load_sa2va(source, precision=precision, **options)
    return load_with(AutoModelForImageTextToText, load_processor, source, precision=precision, **options)


def load_text_model(
    source: str | Path, *, precision: str = "float32", **options: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer; safetensors alone, no remote code.

    Args:
        source: A folder, or the name of a repository on the Hub.
        precision: `float32`, `bfloat16`, or `auto`: as saved.
        options: Further arguments of the model's `from_pretrained`.

    Raises:
        ConfigError: If the model does not exist, it could only be read by unpickling or by running its code, or its chat
            template exceeds the limits of `template_limits`.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if adapter_folder(source) is not None:
        merged: Any = load_adapter(source, precision=precision, **options)
        return merged
    refuse_unsafe(source)
    read = partial(AutoTokenizer.from_pretrained, trust_remote_code=False)
    return load_with(AutoModelForCausalLM, read, source, precision=precision, **options)


def load_adapter(
    source: str | Path, *, precision: str, trainable: bool = False, **options: Any
) -> tuple[PreTrainedModel | PeftModel, ProcessorMixin]:
    """Load an adapter with its base model.

    Args:
        source: Its folder, or the name of its repository on the Hub.
        precision: As in `load_vlm`.
        trainable: Keep it as an adapter, to train it further; else it is merged into its base, whose weights all train.
        options: Further arguments of the base model's `from_pretrained`.

    Raises:
        ConfigError: If the base cannot be loaded, or the adapter does not fit it.
        MissingExtraError: If PEFT is not installed.
    """
    if importlib.util.find_spec("peft") is None:
        raise MissingExtraError(f"{source} is an adapter, which needs peft: pip install 'spatialreasoner[train]'")
    base_of(source)  # adapters that name each other would be loaded for ever
    folder = adapter_folder(source)
    if folder is None:
        raise ConfigError(f"expected a folder with {ADAPTER_FILE} and no model of its own; got {str(source)!r}")
    refuse_pickles(folder)
    base = parent_of(folder)
    try:
        load: Any = load_text_model if is_text_model(base) else load_vlm
        model, processor = load(base, precision=precision, **options)
    except ConfigError as error:
        raise ConfigError(
            f"{folder} is an adapter of {base!r}, which cannot be loaded: {error}. Put the base model there, or write its "
            f"path into {ADAPTER_FILE} (base_model_name_or_path)"
        ) from error
    with telling_of(source):
        adapted, own = put_on(model, folder, trainable=trainable), own_processor(folder, processor)
        if own is not processor:
            check_processor(own, source)
        return adapted, own


def _know_classes(source: str | Path) -> None:
    """Register the classes that a model needs; of a shipped model, which people wait for, its own alone."""
    shipped = shipped_as(source)
    if shipped is not None:
        shipped.register()
        return
    from spatialreasoner.vlm import region_families  # pyright: ignore[reportUnusedImport]  # noqa: F401
