"""What is measured of the regions that statements are about: a difference, a value or a ratio, with its noise and its words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import cast

from spatialreasoner.core.recall import recall
from spatialreasoner.core.types import QuantityName, Relation
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.noise import margin, sigma
from spatialreasoner.scenes.values import HOURS

MeasuredDifference = tuple[float | None, float, bool, str]
"""A measured difference, its noise, whether it is too uncertain to judge by, and in words what it is, or why there is none."""
_MAX_MEASURED = 4096
"""What is remembered of a scene, at most."""


def measured_difference(measured: Measured, relation: Relation, names: tuple[str, ...]) -> MeasuredDifference:
    """By how much a relation holds between two regions; remembered by the scene."""
    key = (relation, *names)
    return recall(measured.found, key, _MAX_MEASURED, lambda: _difference(measured, relation, names))


def _difference(measured: Measured, relation: Relation, names: tuple[str, ...]) -> MeasuredDifference:
    comparison = measured.compare(relation, names[0], names[1])
    difference = comparison.difference
    if difference is None:
        return None, 0.0, True, comparison.reason or "unknown"
    inside = margin(measured, relation, names, comparison.scale)
    unit = "m³" if relation in {"big", "small"} else "m"
    reason = f"measured: {difference:+.2f} {unit}, noise {inside:.2f} {unit}"
    if abs(difference) <= inside:
        return difference, inside, True, f"inside the noise ({reason})"
    bars = measured.uncertainty.compare(relation, names[0], names[1])
    if not bars.certain:
        return difference, inside, True, f"inside the error bars ({reason})"
    return difference, inside, False, reason


MeasuredTruth = tuple[float | None, str, bool, float]
"""A value, its words (or why there is none), whether it is certain enough to judge by, and its noise."""


def measured_truth(measured: Measured, kind: QuantityName, names: tuple[str, ...]) -> MeasuredTruth:
    """The value of a quantity; remembered by the scene."""
    return recall(measured.found, (kind, *names), _MAX_MEASURED, lambda: _truth(measured, kind, names))


def _truth(measured: Measured, kind: QuantityName, names: tuple[str, ...]) -> MeasuredTruth:
    measurement = measured.quantity(kind, *names)
    if measurement.value is None:
        return None, measurement.reason or "unknown", False, 0.0
    bars = measured.uncertainty.quantity(kind, *names)
    if kind == "direction":
        return measurement.value, bars.told("hour"), bars.value is not None and bars.half <= HOURS, 0.0
    inside = 2 * math.hypot(*(sigma(measured, name) for name in names)) if bars.certain else 0.0
    return measurement.value, bars.told(), bars.certain, inside


NO_RATIO = "a factor needs two regions"
"""Why there is none of one or three."""


def measured_ratio(measured: Measured, kind: str, names: tuple[str, ...]) -> float | str:
    """The ratio of two regions' sizes, inverted for short, thin and small; or why there is none."""
    if len(names) != 2:
        return NO_RATIO
    sizes = [_RATIO.get(kind, _nothing)(measured, name) for name in names]
    if None in sizes or min(cast("list[float]", sizes)) <= 0:
        return f"no ratio of {kind} can be measured"
    first, second = cast("list[float]", sizes)
    return second / first if kind in {"short", "thin", "small", "front"} else first / second


def _size(name: QuantityName) -> Callable[[Measured, str], float | None]:
    def certain(measured: Measured, region: str) -> float | None:
        found = measured.uncertainty.quantity(name, region)
        return found.value if found.certain else None

    return certain


def _volume(measured: Measured, region: str) -> float | None:
    cloud = measured.cloud(region)
    return None if cloud is None or any(measured.cut(region)) else cloud.volume


def _nothing(measured: Measured, region: str) -> None:
    return None


_RATIO: Mapping[str, Callable[[Measured, str], float | None]] = {
    **dict.fromkeys(("width", "wide", "thin"), _size("width")),
    **dict.fromkeys(("height", "tall", "short"), _size("height")),
    **dict.fromkeys(("big", "small"), _volume),
    **dict.fromkeys(("camera_distance", "behind", "front"), _size("camera_distance")),
    "depth": _size("depth"),
}
"""What a factor compares, by kind: "twice as far away" is about distances from the camera."""
