"""Your own ratings in place of rewards: a number for an answer, or one for each of its segments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import RewardBreakdown, Trajectory

_REWARDS = ("visual", "spatial_description", "spatial_reasoning", "logical")
_TOTAL = "total"


@dataclass(frozen=True, kw_only=True)
class OwnRating(RewardBreakdown):
    """A rating that a row brings along, on any scale; larger is better.

    Attributes:
        overall: The rating of the whole answer; None is unrated.
        segments: The rating of each segment that has one.
    """

    visual: float | None = None
    spatial_description: float | None = None
    spatial_reasoning: float | None = None
    logical: float | None = None
    overall: float | None = None
    segments: Mapping[str, float | None] = field(default_factory=dict[str, float | None])

    @property
    def description(self) -> float | None:
        """The rating of the description, if it has one."""
        return self.segments.get("description")

    @property
    def reasoning(self) -> float | None:
        """The rating of the reasoning, if it has one."""
        return self.segments.get("reasoning")

    @property
    def total(self) -> float | None:
        """The rating of the whole answer."""
        return self.overall


@dataclass(frozen=True, kw_only=True)
class RatedAnswer(Trajectory):
    """An answer from a file, with its reward or rating and what else its row holds.

    Attributes:
        kept: The row's other keys.
    """

    kept: Mapping[str, Any] = field(default_factory=dict[str, Any])


def read_rating(row: Mapping[str, Any], columns: Mapping[str, str], *, where: str) -> RewardBreakdown:
    """The rating of a row.

    Args:
        row: The row.
        columns: The column of each segment's rating by the segment's name, and of the whole answer's under `total`. Without a
            total it is the sum of the segments. A column under `total` may also hold an object: a reward as the stage `reward`
            writes it, or a number by segment.
        where: What to call the row in an error.

    Raises:
        RecordError: If a column is missing, or does not hold a number.
    """
    values = {name: _value(row, column, where) for name, column in columns.items()}
    whole, inner = values.get(_TOTAL), ""
    if isinstance(whole, Mapping):
        found = cast("Mapping[str, Any]", whole)
        if set(_REWARDS) <= found.keys():
            visual, spatial_description, spatial_reasoning, logical = (_number(found[name], name, where) for name in _REWARDS)
            return RewardBreakdown(
                visual=visual,
                spatial_description=spatial_description,
                spatial_reasoning=spatial_reasoning,
                logical=logical,
            )
        inner = f"{columns[_TOTAL]}."
        values = {**found, **{name: value for name, value in values.items() if name != _TOTAL}}
    numbers = {name: _number(value, columns.get(name, f"{inner}{name}"), where) for name, value in values.items()}
    segments = {name: number for name, number in numbers.items() if name != _TOTAL}
    return OwnRating(overall=numbers[_TOTAL] if _TOTAL in numbers else _sum(segments), segments=segments)


def _value(row: Mapping[str, Any], column: str, where: str) -> Any:
    if column not in row:
        raise RecordError(f"{where}: expected a rating in the column {column!r}; the row has {', '.join(map(str, row))}")
    return row[column]


def _number(value: Any, column: str, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RecordError(f"{where}: expected a number, or null, as the rating in {column!r}; got {value!r:.80}")
    return float(value)


def _sum(segments: Mapping[str, float | None]) -> float | None:
    numbers = list(segments.values())
    return None if not numbers or any(number is None for number in numbers) else sum(number or 0.0 for number in numbers)
