"""The models of a report side by side: their scores, and each prediction with its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import GROUPS
from spatialreasoner.evaluation.predictions import Prediction
from spatialreasoner.evaluation.score import ModelComparison, Score, Tally, compare, judge_all, score_predictions
from spatialreasoner.report.published import published

if TYPE_CHECKING:
    from spatialreasoner.evaluation.answers import Verdict


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table: a category or a total, each model's count, and which of them are the best."""

    name: str
    total: bool
    items: int
    tallies: Sequence[Tally]
    best: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Results:
    """Scores and judged predictions by model, in the order in which they are shown."""

    scores: Mapping[str, Score]
    judged: Mapping[str, Sequence[tuple[Prediction, Verdict]]]

    @property
    def last(self) -> str:
        """The model shown last: the end of the pipeline."""
        return list(self.scores)[-1]

    @property
    def comparable(self) -> bool:
        """Whether all models answered the whole benchmark of the published rows."""
        counts = ({name: tally.items for name, tally in score.groups.items()} for score in self.scores.values())
        return all(map(published().covers, counts))

    def steps(self) -> list[ModelComparison]:
        """Each model against the one before it, where they answered the same questions."""
        found: list[ModelComparison] = []
        for (before, first), (after, second) in pairwise(self.judged.items()):
            (rows, verdicts), (rows_after, verdicts_after) = zip(*first, strict=True), zip(*second, strict=True)
            with suppress(RecordError):
                step = compare(rows, rows_after, (verdicts, verdicts_after))
                found.append(replace(step, first=before, second=after))
        return found

    def lines(self) -> list[Line]:
        """The table: six groups, their total, the other six, their total."""
        names = list(GROUPS)
        order = [*names[:6], "qualitative", *names[6:], "quantitative"]
        return [self._line(name) for name in order]

    def _line(self, name: str) -> Line:
        total = name not in GROUPS
        tallies = [(score.totals if total else score.groups)[name] for score in self.scores.values()]
        rates = [tally.headline if total else tally.rate for tally in tallies]
        top = max((rate for rate in rates if rate is not None), default=None)
        several = len({rate for rate in rates if rate is not None}) > 1
        return Line(
            name=name,
            total=total,
            items=max(tally.items for tally in tallies),
            tallies=tallies,
            best=frozenset(index for index, rate in enumerate(rates) if several and rate == top),
        )


def results(predictions: Mapping[str, Sequence[Prediction]]) -> Results | None:
    """Judge and score every model's predictions; None if there are none."""
    if not predictions:
        return None
    judged = {label: list(zip(rows, judge_all(rows), strict=True)) for label, rows in predictions.items()}
    return Results(
        scores={
            label: score_predictions([row for row, _ in rows], [verdict for _, verdict in rows])
            for label, rows in judged.items()
        },
        judged=judged,
    )
