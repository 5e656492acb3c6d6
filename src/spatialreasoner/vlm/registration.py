"""Making classes of models known to transformers, so that everything that loads by name or folder finds them."""

from __future__ import annotations

from typing import Any

import transformers
from transformers import AutoConfig, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoProcessor
from transformers.models.auto import modeling_auto


def register(config: type[Any], model: type[Any], processor: type[Any]) -> None:
    """Register a vision-language model with the Auto classes.

    Args:
        config: Its configuration.
        model: The model with its head.
        processor: Its processor.
    """
    AutoConfig.register(config.model_type, config, exist_ok=True)
    AutoProcessor.register(config, processor, exist_ok=True)
    for auto in (AutoModelForImageTextToText, AutoModelForMultimodalLM):
        auto.register(config, model, exist_ok=True)
    # TRL looks a class up among the names of transformers, and `transformers serve` a type among those it can serve
    setattr(transformers, model.__name__, model)
    names = modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES
    names[config.model_type] = model.__name__  # pyright: ignore[reportArgumentType]  (typed as transformers' own names)
