"""The published results of SpatialRGPT-Bench, to show beside a run's own: paper, Table 1 (`published.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from spatialreasoner.core.records import parse_record
from spatialreasoner.core.types import Record


@dataclass(frozen=True, kw_only=True)
class PublishedRow(Record):
    """One model of the table.

    Attributes:
        model: Its name.
        judge: The model that judged its answers; numbers of different judges are not strictly comparable.
        beside: Whether reports show it beside their own models, and not only in the full table.
        percent: Success by group and total, percent; None if the model declined to answer.
    """

    model: str
    judge: str
    beside: bool
    percent: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Published(Record):
    """The table.

    Attributes:
        source: Where it comes from.
        benchmark: What was measured.
        items: Questions by group, by which the same benchmark is recognised.
        rows: The models.
    """

    source: str
    benchmark: str
    items: Mapping[str, int]
    rows: tuple[PublishedRow, ...]

    def covers(self, counts: Mapping[str, int]) -> bool:
        """Whether results with these numbers of questions per group are of the same benchmark, and may be compared."""
        return dict(counts) == dict(self.items)


@cache
def published() -> Published:
    """The published table."""
    text = resources.files("spatialreasoner.report").joinpath("published.json").read_text("utf-8")
    return parse_record(text, Published, where="published.json")
