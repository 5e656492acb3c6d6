"""Estimates with intervals that know both sources of chance: which rooms are asked about, and which seed trained.

All seeds of an arm answer the same questions, so rooms and seeds cross. The bootstrap draws both, independently of one
another, with replacement (Owen 2007, "The pigeonhole bootstrap"); it is conservative, the more so the fewer the seeds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.types import GROUPS, QUALITATIVE, QUANTITATIVE, Category, Question, Record
from spatialreasoner.evaluation.bootstrap import RESAMPLES, cluster_sums, resample_weights

COLUMNS: Mapping[str, tuple[Category, ...]] = {
    "qualitative": QUALITATIVE,
    "quantitative": QUANTITATIVE,
    **GROUPS,
    "all lengths": tuple(each for each in QUANTITATIVE if each.endswith("_data")),
}
"""The two averages, the 12 groups, and what is asked in metres."""

LENGTHS = tuple(name for name, categories in COLUMNS.items() if all(each.endswith("_data") for each in categories))
"""The columns whose answers are lengths."""

RATES = tuple(name for name in COLUMNS if name != "all lengths")
"""The columns for which success is reported."""


@dataclass(frozen=True, kw_only=True)
class Estimate(Record):
    """A share, or a difference of shares, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether the interval lies above 0, below it, or around it."""
        return "above" if self.low > 0 else "below" if self.high < 0 else "open"


@dataclass(frozen=True, kw_only=True)
class QuestionSet:
    """The questions of a test as the bootstrap needs them.

    Attributes:
        ids: The questions.
        rooms: The room of each.
        members: Which question belongs to which column, 0 or 1 [questions columns].
    """

    ids: Sequence[str]
    rooms: Sequence[str]
    members: Float[np.ndarray, "questions columns"]

    @classmethod
    def of(cls, questions: Sequence[Question]) -> QuestionSet:
        """The test of some questions."""
        members = [[float(question.category in each) for each in COLUMNS.values()] for question in questions]
        return cls(
            ids=[question.id for question in questions],
            rooms=[question.scene_id for question in questions],
            members=np.array(members),
        )


def estimate(
    values: Float[np.ndarray, "seeds questions"], test: QuestionSet, *, columns: Collection[str] = RATES, seed: int = 0
) -> dict[str, Estimate]:
    """The mean of values in each column, over all seeds and questions; columns without questions are left out.

    Args:
        values: What is measured of each seed and question, such as whether it was answered right, or a difference of two.
        test: The questions.
        columns: Which of `COLUMNS`.
        seed: Seed of the resampling.
    """
    items = cluster_sums(test.rooms, test.members)
    sums = np.stack([cluster_sums(test.rooms, row[:, None] * test.members) for row in values])
    rooms = resample_weights(len(items), seed=seed).astype(float)
    seeds = resample_weights(len(values), seed=seed + 1).astype(float) if len(values) > 1 else np.ones((RESAMPLES, 1))
    found: dict[str, Estimate] = {}
    for column, name in enumerate(COLUMNS):
        total = len(values) * items[:, column].sum()
        if name in columns and total:
            drawn = ((seeds @ sums[:, :, column]) * rooms).sum(axis=1)
            sizes = len(values) * (rooms @ items[:, column])
            low, high = np.percentile(drawn[sizes > 0] / sizes[sizes > 0], (2.5, 97.5))
            found[name] = Estimate(value=float(sums[:, :, column].sum() / total), low=float(low), high=float(high))
    return found


def matched(x: float, points: Sequence[tuple[float, str]]) -> list[tuple[str, float]]:
    """The arms whose mix lies at `x`, with their shares; at an end of the range, the arm at that end alone.

    >>> matched(3.0, [(2.0, "a"), (4.0, "b"), (9.0, "c")])
    [('a', 0.5), ('b', 0.5)]
    >>> matched(1.0, [(2.0, "a"), (4.0, "b")])
    [('a', 1.0)]
    """
    ordered = sorted(points)
    for (left, first), (right, second) in pairwise(ordered):
        if left <= x <= right and left < right:
            share = (x - left) / (right - left)
            return [(first, 1 - share), (second, share)]
    return [(min(ordered, key=lambda point: abs(point[0] - x))[1], 1.0)]
