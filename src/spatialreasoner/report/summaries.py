"""What a run's stages made, in a few numbers each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from spatialreasoner.core.types import Trajectory
from spatialreasoner.report import charts
from spatialreasoner.report.runs import PairRow, Runs


def pipeline(runs: Runs) -> list[tuple[int, str]]:
    """What the stages made, in their order: how many of what."""
    counts = (
        (len(runs.scenes), "scenes"),
        (len(runs.questions), "questions"),
        (sum(map(len, runs.trajectories.values())), "scored answers"),
        (len(runs.pairs), "preference pairs"),
        (len(runs.trainings), "trained models"),
        (sum(map(len, runs.predictions.values())), "predictions"),
    )
    return [(count, what.removesuffix("s") if count == 1 else what) for count, what in counts if count]


@dataclass(frozen=True, kw_only=True)
class SearchSummary:
    """How the searches of a run ended: trees, how many by outcome, steps rated, steps pruned."""

    trees: int
    outcomes: Mapping[str, int]
    nodes: int
    pruned: int


def search_overview(runs: Runs) -> SearchSummary | None:
    """The searches in a few numbers; None if there were none."""
    if not runs.trees:
        return None
    nodes = [node for tree in runs.trees.values() for node in tree.root.walk() if node.parent is not None]
    return SearchSummary(
        trees=len(runs.trees),
        outcomes=Counter(tree.outcome or "unfinished" for tree in runs.trees.values()),
        nodes=len(nodes),
        pruned=sum(node.pruned is not None for node in nodes),
    )


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """One line of the table of answers by their authors.

    Attributes:
        name: The policy, or "search, several policies".
        answers: Answers scored.
        right: Share that agrees with the reference, of those that can be told, 0..1, or None.
        rewards: Mean of each of the four rewards, 0..4, and of the total, 0..16; None if none is scored.
    """

    name: str
    answers: int
    right: float | None
    rewards: Sequence[float | None]


MIXED = "several in one path"


def teachers(runs: Runs) -> list[Teacher]:
    """Answers by who wrote them; paths of the tree that mix policies are a line of their own."""
    by_name: dict[str, list[Trajectory]] = {}
    for rows in runs.trajectories.values():
        for row in rows:
            authors = set(row.policies)
            by_name.setdefault(authors.pop() if len(authors) == 1 else MIXED, []).append(row)
    return [_teacher(name, by_name[name]) for name in sorted(by_name, key=lambda name: (name == MIXED, name))]


def _teacher(name: str, rows: Sequence[Trajectory]) -> Teacher:
    told = [row.success for row in rows if row.success is not None]
    parts = ("visual", "spatial_description", "spatial_reasoning", "logical", "total")
    return Teacher(
        name=name,
        answers=len(rows),
        right=sum(told) / len(told) if told else None,
        rewards=[_mean([getattr(row.reward, part) for row in rows]) for part in parts],
    )


@dataclass(frozen=True, kw_only=True)
class PairsOverview:
    """The preference pairs of a run.

    Attributes:
        ranked: Pairs of a best and a worst answer.
        hard: Pairs that differ in the conclusion alone.
        gap_description: Mean gap of the description over ranked pairs, or None.
        gap_reasoning: Mean gap of the reasoning over ranked pairs, or None.
        reasoning_larger: Share of ranked pairs whose reasoning has the larger gap, and so the larger beta, or None.
        chart: How the gaps are spread.
    """

    ranked: int
    hard: int
    gap_description: float | None
    gap_reasoning: float | None
    reasoning_larger: float | None
    chart: Markup


def pairs_overview(runs: Runs) -> PairsOverview | None:
    """The pairs in a few numbers; None if there are none."""
    if not runs.pairs:
        return None
    ranked = [row for row in runs.pairs if row.kind == "ranked"]
    gaps = [(row.gap_description, row.gap_reasoning) for row in ranked]
    known = [(one, other) for one, other in gaps if one is not None and other is not None]
    return PairsOverview(
        ranked=len(ranked),
        hard=len(runs.pairs) - len(ranked),
        gap_description=_mean([one for one, _ in known]),
        gap_reasoning=_mean([other for _, other in known]),
        reasoning_larger=_mean([float(other > one) for one, other in known]),
        chart=_gap_chart(ranked),
    )


def _gap_chart(ranked: Sequence[PairRow]) -> Markup:
    bars = [
        charts.Bars(label=label, values=[value for value in values if value is not None], style=style)
        for label, values, style in (
            ("description", [row.gap_description for row in ranked], 1),
            ("reasoning", [row.gap_reasoning for row in ranked], 2),
        )
    ]
    return charts.histogram(bars, title="gaps of the ranked pairs", x_name="reward of chosen minus rejected")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
