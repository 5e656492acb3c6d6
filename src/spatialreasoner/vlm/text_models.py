"""Text-only models: distinguished from vision-language models by their configuration, and loaded with a tokenizer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.vlm.adapters import adapter_folder, base_of, load_adapter
from spatialreasoner.vlm.loading import load_with, refuse_unsafe

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def is_text_model(source: str | Path) -> bool:
    """Whether a model, a folder or a repository, reads text and no images; or is an adapter of one that does."""
    from transformers import PretrainedConfig
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )

    try:
        kind = PretrainedConfig.get_config_dict(base_of(source))[0].get("model_type")
    except (OSError, ValueError, ConfigError):
        return False  # loading it will tell why
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES


def load_text_model(
    source: str | Path, *, precision: str = "float32", **options: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer; safetensors alone, no remote code.

    Args:
        source: A folder, or the name of a repository on the Hub.
        precision: `float32`, `bfloat16`, or `auto`: as it was saved.
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
