"""What measuring gives: values and comparisons, how they follow from clouds, and how well they must be known to count."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from spatialreasoner.core.types import Relation
from spatialreasoner.scenes.geometry import Cloud

TIE = 0.1
"""Two values closer than this share of their scale are too close to call."""

TIE_TOLERANCE = 0.25
"""An answer counts as right within this share of the truth (SpatialRGPT-Bench), so the truth must be known that well."""

HOURS = 1
"""The same for clock directions, hours."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A value in metres, or an hour 1..12 for directions; None with the reason where the data cannot tell.

    Attributes:
        value: The value.
        reason: Why there is none.
        error: Standard error, same unit (hours for directions); None if it was not asked for (`scenes.uncertainty`).
        low: Lower end of the interval that holds the true value 95 times in 100.
        high: Upper end.
    """

    value: float | None = None
    reason: str | None = None
    error: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def half(self) -> float:
        """How far the interval reaches from the value; 0 if it was not asked for."""
        if self.value is None or self.low is None or self.high is None:
            return 0.0
        return max(self.high - self.value, self.value - self.low)

    @property
    def certain(self) -> bool:
        """Whether there is a length whose interval, where known, lies inside the benchmark's tolerance."""
        return self.value is not None and self.half <= TIE_TOLERANCE * abs(self.value)

    def told(self, unit: str = "m") -> str:
        """The value with its error, or the reason why there is none.

        >>> Measurement(value=0.6, low=0.58, high=0.63, error=0.01).told(), Measurement(value=0.6).told()
        ('0.60 m ± 0.03', '0.60 m')
        """
        if self.value is None:
            return self.reason or "unknown"
        number = f"{self.value:.0f} o'clock" if unit == "hour" else f"{self.value:.2f} {unit}"
        if unit == "hour":
            return f"{number} ± {math.ceil(self.half - 0.5)} h" if self.half > 0.5 else number
        return f"{number} ± {self.half:.2f}" if self.half else number


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How clearly a relation holds.

    Attributes:
        difference: Positive where the relation holds, negative where its converse does; metres, cubic metres for big and
            small; None if the data cannot tell.
        scale: What a tie is measured against, same unit: the larger of the two compared values, for places also of the two
            sizes along that axis.
        reason: Why there is no difference.
        error: Standard error of the difference; None if it was not asked for (`scenes.uncertainty`).
        low: Lower end of the interval that holds the true difference 95 times in 100.
        high: Upper end.
    """

    difference: float | None = None
    scale: float = 0.0
    reason: str | None = None
    error: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def certain(self) -> bool:
        """Whether there is a difference and its interval, where known, is all on one side of 0."""
        if self.difference is None:
            return False
        return self.low is None or self.high is None or self.low > 0 or self.high < 0

    @property
    def holds(self) -> bool | None:
        """Whether the relation holds; None if the data cannot tell or it is a tie within 10 %."""
        if self.difference is None or abs(self.difference) <= TIE * self.scale:
            return None
        return self.difference > 0


MEASURES: Mapping[str, Callable[..., float]] = {
    "width": lambda cloud: cloud.extent[0],
    "height": lambda cloud: cloud.extent[1],
    "depth": lambda cloud: cloud.extent[2],
    "camera_distance": lambda cloud: float(np.linalg.norm(cloud.centre)),
    "distance": Cloud.direct_distance,
    "horizontal_distance": Cloud.horizontal_distance,
    "vertical_distance": Cloud.vertical_distance,
    "direction": Cloud.clock_direction,
}
"""How each quantity follows from one cloud or two."""

COMPARED: Mapping[Relation, tuple[Callable[[Cloud], float], int]] = {
    "left": (lambda cloud: float(cloud.centre[0]), -1),
    "right": (lambda cloud: float(cloud.centre[0]), 1),
    "above": (lambda cloud: float(cloud.centre[1]), -1),
    "below": (lambda cloud: float(cloud.centre[1]), 1),
    "tall": (lambda cloud: float(cloud.extent[1]), 1),
    "short": (lambda cloud: float(cloud.extent[1]), -1),
    "wide": (lambda cloud: float(cloud.extent[0]), 1),
    "thin": (lambda cloud: float(cloud.extent[0]), -1),
    "big": (lambda cloud: cloud.volume, 1),
    "small": (lambda cloud: cloud.volume, -1),
    "behind": (lambda cloud: float(cloud.low[2]), 1),
    "front": (lambda cloud: float(cloud.low[2]), -1),
}
"""What is compared, and the sign with which the relation holds (x points right, y down)."""
