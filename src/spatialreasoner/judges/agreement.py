"""How far a judge and geometry agree about the same responses, criterion by criterion."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core import records
from spatialreasoner.rewards import logical, visual

if TYPE_CHECKING:
    from rich.console import Console

COMPARED_REWARDS = (
    "visual", *(f"visual.{name}" for name in visual.VISUAL_CRITERIA), "spatial_description", "spatial_reasoning",
    "logical", *(f"logical.{name}" for name in logical.LOGICAL_CRITERIA), "description", "reasoning", "total",
)  # fmt: skip
"""What is compared: the rewards (0..4), under two of them their parts (0..1), the segments (0..8) and the total (0..16)."""


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One criterion as geometry and the judge score it.

    Attributes:
        both: Responses that both score; the numbers below are about these, and None if there are too few.
        geometry_only: Responses that only geometry scores.
        judge_only: Responses that only the judge scores.
        neither: Responses that neither scores.
        mean_difference: Mean of judge minus geometry, in points of the criterion.
        mean_distance: Mean of the absolute difference.
        spearman: Spearman's rank correlation; None also where one of them always says the same.
    """

    both: int
    geometry_only: int
    judge_only: int
    neither: int
    mean_difference: float | None
    mean_distance: float | None
    spearman: float | None


@dataclass(frozen=True, kw_only=True)
class RewardAgreement:
    """The agreement of a judge with geometry.

    Attributes:
        responses: Rows of the file.
        asked: Responses that the judge was asked about; only these are compared.
        failed: Of these, how many it failed on or refused.
        failure: What it said the first time.
        unscored: Rows whose total is unscored for all that geometry and judge say.
        criteria: The comparison by criterion.
    """

    responses: int
    asked: int
    failed: int
    failure: str | None
    unscored: int
    criteria: Mapping[str, Criterion] = field(default_factory=dict[str, Criterion])


def write_agreement(rewards: Path) -> RewardAgreement:
    """Compare the two in a rewards file, and write `STEM.agreement.json` beside it.

    Raises:
        InputError: If the file does not exist.
        WorkError: If the comparison cannot be written.
    """
    found = compare_with_geometry(records.read_jsonl(rewards, dict[str, Any]))
    records.write_json(rewards.with_name(f"{rewards.stem}.agreement.json"), asdict(found))
    return found


def compare_with_geometry(rows: Iterable[Mapping[str, Any]]) -> RewardAgreement:
    """Compare what geometry and a judge say in rows of the stage `reward` that have both columns."""
    columns = {name: _Column() for name in COMPARED_REWARDS}
    count = asked = failed = unscored = 0
    failure: str | None = None
    for row in rows:
        count += 1
        unscored += row["reward"]["total"] is None
        if row["judge"] is None:
            continue
        asked += 1
        failed += row["judge"]["failure"] is not None
        failure = failure or row["judge"]["failure"]
        for name, column in columns.items():
            column.add(_score(row["geometry"], name), _score(row["judge"], name))
    criteria = {name: column.compare() for name, column in columns.items()}
    return RewardAgreement(
        responses=count, asked=asked, failed=failed, failure=failure, unscored=unscored, criteria=criteria if asked else {}
    )


def print_agreement(found: RewardAgreement, *, console: Console | None = None) -> None:
    """Print the comparison as a table."""
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(Column("criterion", no_wrap=True))
    for title in ("both", "geometry only", "judge only", "judge - geometry", "distance", "Spearman"):
        table.add_column(title, justify="right")
    for name, row in found.criteria.items():
        counts = map(str, (row.both, row.geometry_only, row.judge_only))
        numbers = map(_number, (row.mean_difference, row.mean_distance, row.spearman))
        table.add_row(f"  {name.partition('.')[2]}" if "." in name else name, *counts, *numbers)
    (Console() if console is None else console).print(table)


class _Column:
    """The scores of one criterion, gathered response by response."""

    def __init__(self) -> None:
        self._geometry, self._judge = array("d"), array("d")
        self._only = {(True, False): 0, (False, True): 0, (False, False): 0}

    def add(self, geometry: float | None, judge: float | None) -> None:
        if geometry is None or judge is None:
            self._only[geometry is not None, judge is not None] += 1
            return
        self._geometry.append(geometry)
        self._judge.append(judge)

    def compare(self) -> Criterion:
        differences = [judge - geometry for judge, geometry in zip(self._judge, self._geometry, strict=True)]
        return Criterion(
            both=len(differences),
            geometry_only=self._only[True, False],
            judge_only=self._only[False, True],
            neither=self._only[False, False],
            mean_difference=_mean(differences),
            mean_distance=_mean([abs(difference) for difference in differences]),
            spearman=_spearman(self._geometry, self._judge),
        )


def _score(said: Mapping[str, Any], name: str) -> float | None:
    return said["parts" if "." in name else "reward"].get(name)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _spearman(first: array[float], second: array[float]) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None for fewer than three pairs, or where one side is constant."""
    if len(first) < 3 or min(first) == max(first) or min(second) == max(second):
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)  # pyright: ignore[reportAttributeAccessIssue] - untyped in scipy


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"
