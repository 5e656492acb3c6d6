"""The sizes that a nano's folder declares, held against its weights before anything of these sizes is made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.nano.numpy.layers import NamedWeights

PATCH = 16
"""Side of the part of an image that is one token of the vision part, pixels."""


def refuse_other_sizes(model: NamedWeights, config: Mapping[str, Any], processing: Mapping[str, Any]) -> None:
    """Refuse settings of other sizes than those of the weights.

    Args:
        model: The nano's weights under `model`.
        config: What config.json holds.
        processing: What processor_config.json holds.

    Raises:
        ConfigError: If one differs.
        KeyError: If one is missing.
    """
    for file, name, declared, wanted in _sizes(model, config, processing):
        if declared != wanted:
            raise ConfigError(
                f"{file} declares {name} {declared!r}; the weights have {wanted}. Use the file that belongs to these weights"
            )


def _sizes(
    model: NamedWeights, config: Mapping[str, Any], processing: Mapping[str, Any]
) -> Iterator[tuple[str, str, object, int]]:
    """By file and name: what is declared, and what the weights have."""
    patches = math.isqrt(len(model["vision_tower"]("position")))
    layers, text = f"{model.name}.language_model.layers.", config["text_config"]
    yield "config.json", "image_size", config["image_size"], patches * PATCH
    yield (
        *("config.json", "num_hidden_layers", text["num_hidden_layers"]),
        len({name.removeprefix(layers).partition(".")[0] for name in model.weights if name.startswith(layers)}),
    )
    heads = text["num_attention_heads"]
    rows = len(model["language_model"]["layers"][0]["self_attn"]["q_proj"]("weight"))
    yield "config.json", "num_attention_heads times head_dim", heads * text["head_dim"], rows
    for side in ("height", "width"):
        yield "processor_config.json", side, processing["image_processor"]["size"][side], patches * PATCH
    yield "processor_config.json", "num_image_tokens", processing["num_image_tokens"], (patches // 2) ** 2
