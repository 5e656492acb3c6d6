"""Weights of segments, given by hand for all pairs or as columns of each; they replace the gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spatialreasoner.core.errors import ConfigError, RecordError


def segment_weights(
    row: Mapping[str, Any], segments: Sequence[str], otherwise: Mapping[str, float] | None = None
) -> list[float] | None:
    """The weights of a pair: its columns `weight_<segment>`, where none is there those for all pairs, or None.

    >>> segment_weights({"weight_a": 2, "weight_b": 1.0}, ["a", "b"])
    [2.0, 1.0]

    Args:
        row: The pair.
        segments: Names of the segments.
        otherwise: Weights for pairs without any.

    Raises:
        RecordError: If some segments have a weight and others none, or weights are negative, not finite or all 0.
    """
    given = [row.get(f"weight_{name}") for name in segments]
    if all(weight is None for weight in given):
        return None if otherwise is None else [float(otherwise[name]) for name in segments]
    numbers = [weight for weight in given if isinstance(weight, int | float) and not isinstance(weight, bool)]
    if len(numbers) < len(given) or not all(0 <= weight < float("inf") for weight in numbers) or not any(numbers):
        raise RecordError(
            f"expected weight_<segment> of {', '.join(segments)} to be numbers of 0 or more, not all 0; got "
            f"{dict(zip(segments, given, strict=True))}"
        )
    return [float(weight) for weight in numbers]


def parse_weights(text: str) -> dict[str, float] | None:
    """Read weights as settings have them.

    >>> parse_weights("plan:1,answer:3")
    {'plan': 1.0, 'answer': 3.0}

    Args:
        text: `name:weight`, separated by commas; empty for none.

    Raises:
        ConfigError: If it is anything else.
    """
    pairs = [piece.partition(":") for piece in text.split(",")] if text.strip() else []
    try:
        found = {name.strip(): float(weight) for name, _, weight in pairs}
    except ValueError:
        raise ConfigError(f"segment_weights: expected name:weight, separated by commas; got {text[:120]!r}") from None
    if len(found) < len(pairs) or not all(found):
        raise ConfigError(f"segment_weights: expected each segment once; got {text[:120]!r}")
    return found or None


def check_weights(weights: Mapping[str, float], segments: Sequence[str]) -> None:
    """Refuse weights from which no betas can be computed.

    Raises:
        ConfigError: If a segment has no weight, a weight no segment, or they are negative, not finite or all 0.
    """
    if set(weights) != set(segments):
        raise ConfigError(
            f"segment_weights: expected a weight for each segment of {', '.join(segments)}; got {', '.join(weights) or 'none'}"
        )
    if not all(0 <= weight < float("inf") for weight in weights.values()) or not any(weights.values()):
        raise ConfigError(f"segment_weights: expected weights of 0 or more, not all 0; got {dict(weights)}")
