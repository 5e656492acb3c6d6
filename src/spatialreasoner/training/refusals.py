"""Families that cannot be trained here, refused by name before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spatialreasoner.core.errors import ConfigError

UNTRAINABLE: Mapping[str, str] = {
    "diffusion_gemma": "it writes by diffusion, not token by token, so its answers have no log-probabilities",
    "ernie4_5_vl_moe": "it sends tokens of images to experts of their own, by marks that our rows do not have",
    "llama4": "its processor gives pixels in bfloat16 alone, and its layers attend in chunks that our rows do not keep",
    "mllama": "its images reach the language model by cross-attention, under masks that our rows do not have",
    "paligemma": "it reads prompts both ways, and its processor writes prompts and labels by itself",
}
"""Why, by the type of the model."""

UNTRAINABLE_BY_PAIRS: Mapping[str, str] = {
    "minicpmv4_6": "its processor lays all images along one row, where those of a pair cannot be told from others",
    "minicpmv4_7": "its processor lays all images along one row, where those of a pair cannot be told from others",
}
"""Why, for preference training alone."""


def refuse_family(model_type: Any, *, pairs: bool) -> None:
    """Refuse a model of a family that would train wrongly, or fail in its first step.

    Args:
        model_type: As its configuration says.
        pairs: Whether it is to be trained on preferences.

    Raises:
        ConfigError: If it is one of them.
    """
    reason = UNTRAINABLE.get(str(model_type)) or (UNTRAINABLE_BY_PAIRS.get(str(model_type)) if pairs else None)
    if reason is not None:
        kind = "DPO and fDPO" if str(model_type) in UNTRAINABLE_BY_PAIRS else "SFT, DPO and fDPO"
        raise ConfigError(
            f"models of type {model_type} cannot be trained by {kind}: {reason}. docs/training.md lists those that can"
        )


def refuse_virtual_tokens(model: Any, peft_config: Any) -> None:
    """Refuse adapters that put tokens of their own before a row: log-probabilities would be read at the wrong places.

    Args:
        model: The model, or its name.
        peft_config: The adapter to train, or None.

    Raises:
        ConfigError: If the adapter, or one that the model has, is such a one.
    """
    configs = [peft_config, *getattr(model, "peft_config", {}).values()]
    for config in configs:
        if getattr(config, "is_prompt_learning", False) and config.peft_type != "PREFIX_TUNING":
            raise ConfigError(
                f"{type(config).__name__} puts virtual tokens before each row, which FDPOTrainer cannot do. Train another "
                "adapter, such as LoraConfig"
            )
