"""Text-only models, distinguished from vision-language models by their configuration."""

from __future__ import annotations

from pathlib import Path

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.vlm.adapters import base_of


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
