"""What a training's log says: learning curves in few points, and where margins and log-ratios end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

CURVES = (
    "loss",
    "rewards/margins/description",
    "rewards/margins/reasoning",
    "rewards/accuracies",
    "rewards/chosen/description",
    "rewards/chosen/reasoning",
    "betas/description",
    "betas/reasoning",
)
_POINTS = 20

TrainingCurve = list[tuple[float, float]]


def curves(entries: Sequence[Mapping[str, Any]], *, points: int = _POINTS) -> dict[str, TrainingCurve]:
    """Each logged value as at most `points` points (middle of the steps, mean value); missing values are left out."""
    found = {name: _thinned(_logged(entries, name), points) for name in CURVES}
    return {name: curve for name, curve in found.items() if curve}


def _logged(entries: Sequence[Mapping[str, Any]], name: str) -> TrainingCurve:
    pairs = ((entry.get("step"), entry.get(name)) for entry in entries)
    return [
        (float(step), float(value))
        for step, value in pairs
        if isinstance(step, int | float) and isinstance(value, int | float) and math.isfinite(value)
    ]


def _thinned(curve: TrainingCurve, points: int) -> TrainingCurve:
    """Means of neighbours.

    >>> _thinned([(1, 1.0), (2, 3.0), (3, 5.0), (4, 5.0)], 2)
    [(1.5, 2.0), (3.5, 5.0)]
    """
    width = max(1, math.ceil(len(curve) / points))
    parts = [curve[start : start + width] for start in range(0, len(curve), width)]
    return [(_mean([x for x, _ in part]), _mean([y for _, y in part])) for part in parts]


def ends(found: Mapping[str, TrainingCurve]) -> dict[str, float]:
    """The last fifth of each curve, its mean; and the chosen answers' log-ratio to the reference, nats, by segment.

    The log-ratio is the chosen answers' implicit reward divided by the mean beta: negative means that training made
    the chosen answers less likely (likelihood displacement). It is exact where all betas are equal (DPO).
    """
    last = {name: _mean([y for _, y in curve[-max(1, len(curve) // 5) :]]) for name, curve in found.items()}
    for segment in ("description", "reasoning"):
        if beta := last.get(f"betas/{segment}"):
            last[f"chosen logratio/{segment}"] = last[f"rewards/chosen/{segment}"] / beta
    return last


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
