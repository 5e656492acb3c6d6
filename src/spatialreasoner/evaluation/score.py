"""Adding up verdicts: 12 groups, two totals, three outcomes, intervals, and the comparison of two models.

The rules are those of SpatialRGPT-Bench (docs/papers.md 4.3): totals are micro averages, and an answer that cannot be read
counts as wrong. It is never hidden: unscored answers are counted beside each share, and above 5 % of them no headline is given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from spatialreasoner.core import records
from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.garbage import no_collection
from spatialreasoner.core.types import GROUPS, QUALITATIVE, QUANTITATIVE, Category, Record
from spatialreasoner.evaluation.bootstrap import Interval, cluster_sums, difference_interval, mcnemar, share_intervals
from spatialreasoner.evaluation.predictions import NO_PREDICTION, Prediction, cluster_name, read_predictions, without_prediction

if TYPE_CHECKING:
    from spatialreasoner.evaluation.answers import Verdict

MAX_UNSCORED = 0.05
"""Above this share of unscored answers a total is not given as one number."""

TOTALS: Mapping[str, tuple[Category, ...]] = {"qualitative": QUALITATIVE, "quantitative": QUANTITATIVE}

_COLUMNS: Mapping[str, tuple[Category, ...]] = {**GROUPS, **TOTALS}


@dataclass(frozen=True, kw_only=True)
class Tally(Record):
    """The count of a group of questions.

    Attributes:
        items: Questions.
        right: Answers judged right.
        unscored: Answers that could not be judged; they count as wrong.
        interval: 95 % interval of `rate`, resampling images; None without items.
        error: Mean relative error of the lengths, or mean error of the hours in degrees, over judged answers; None if no
            answer was judged and for qualitative groups.
        median_error: Median of the same.
    """

    items: int
    right: int
    unscored: int
    interval: Interval | None = None
    error: float | None = None
    median_error: float | None = None

    @property
    def rate(self) -> float | None:
        """Share of right answers, unscored counted as wrong, 0..1; None without items."""
        return self.right / self.items if self.items else None

    @property
    def upper(self) -> float | None:
        """Share of right answers if every unscored one were right: the upper bound, as `rate` is the lower."""
        return (self.right + self.unscored) / self.items if self.items else None

    @property
    def coverage(self) -> float | None:
        """Share of answers that were judged."""
        return 1 - self.unscored / self.items if self.items else None

    @property
    def headline(self) -> float | None:
        """`rate`, unless more than 5 % are unscored."""
        return self.rate if self.items and self.unscored <= MAX_UNSCORED * self.items else None


@dataclass(frozen=True, kw_only=True)
class UnscoredAnswer(Record):
    """An answer that could not be read.

    Attributes:
        question_id: The question.
        category: Its category.
        reason: Why, in words: a refusal, an error, no answer found.
    """

    question_id: str
    category: Category
    reason: str


@dataclass(frozen=True, kw_only=True)
class Score(Record):
    """The score of one model on one set of questions.

    Attributes:
        model_id: The model; several are joined by " + ".
        items: Questions.
        images: Different images, the clusters of the intervals.
        groups: The 12 groups in the order of the paper's Table 1.
        totals: The micro averages "qualitative" and "quantitative".
        judge: What judged the answers.
        seed: Seed of the resampling.
        missing: Questions without a prediction; they count as unscored.
        unscored: Each answer that could not be read, with the reason.
    """

    model_id: str
    items: int
    images: int
    groups: Mapping[str, Tally]
    totals: Mapping[str, Tally]
    judge: str = "offline"
    seed: int = 0
    missing: int = 0
    unscored: tuple[UnscoredAnswer, ...] = ()


def judge_all(predictions: Sequence[Prediction]) -> list[Verdict]:
    """Judge each prediction offline; whether an answer contradicts itself is not looked for, as no score depends on it."""
    with no_collection():  # looking for garbage, of which there is none, would be a twentieth of the time
        from spatialreasoner.evaluation.answers import judge

        return [judge(p.qa_info.category, p.question, p.gt, p.pred, clashes=False) for p in predictions]


def score_predictions(predictions: Sequence[Prediction], verdicts: Sequence[Verdict] | None = None, *, seed: int = 0) -> Score:
    """Add up verdicts.

    Args:
        predictions: What was answered.
        verdicts: What each prediction is worth; judged offline where not given.
        seed: Seed of the resampling behind the intervals.

    Raises:
        RecordError: If there are no predictions.
    """
    if not predictions:
        raise RecordError("expected at least one prediction to score; got none")
    verdicts = judge_all(predictions) if verdicts is None else verdicts
    members = _members(predictions)
    right = np.array([v.success is True for v in verdicts])
    clusters = [cluster_name(p) for p in predictions]
    intervals = share_intervals(cluster_sums(clusters, members * right[:, None]), cluster_sums(clusters, members), seed=seed)
    tallies = {
        name: _tally(name, [v for v, member in zip(verdicts, members[:, column], strict=True) if member], interval)
        for column, (name, interval) in enumerate(zip(_COLUMNS, intervals, strict=True))
    }
    return Score(
        model_id=" + ".join(dict.fromkeys(p.model_id for p in predictions)),
        items=len(predictions),
        images=len(set(clusters)),
        groups={name: tallies[name] for name in GROUPS},
        totals={name: tallies[name] for name in TOTALS},
        seed=seed,
        missing=sum(p.unanswered == NO_PREDICTION for p in predictions),
        unscored=tuple(
            UnscoredAnswer(
                question_id=p.question_id, category=p.qa_info.category, reason=p.unanswered or v.reason or "not judged"
            )
            for p, v in zip(predictions, verdicts, strict=True)
            if v.success is None
        ),
    )


def _members(predictions: Sequence[Prediction]) -> Float[np.ndarray, "n columns"]:
    """Which prediction belongs to which column, as 0.0 and 1.0."""
    columns: dict[str, list[int]] = {}
    for column, categories in enumerate(_COLUMNS.values()):
        for category in categories:
            columns.setdefault(category, []).append(column)
    members = np.zeros((len(predictions), len(_COLUMNS)))
    for row, prediction in enumerate(predictions):
        members[row, columns[prediction.qa_info.category]] = 1
    return members


def _tally(name: str, verdicts: Sequence[Verdict], interval: Interval | None) -> Tally:
    # lengths err by a share and hours by degrees: their mean would mean nothing, so totals have none
    errors = sorted(v.error for v in verdicts if v.error is not None) if name not in TOTALS else []
    return Tally(
        items=len(verdicts),
        right=sum(v.success is True for v in verdicts),
        unscored=sum(v.success is None for v in verdicts),
        interval=interval,
        error=math.fsum(errors) / len(errors) if errors else None,
        median_error=_median(errors),
    )


def _median(ordered: Sequence[float]) -> float | None:
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclass(frozen=True, kw_only=True)
class Difference(Record):
    """One group of a paired comparison.

    Attributes:
        items: Questions that both models answered.
        gained: Right in the second, wrong in the first.
        lost: Right in the first, wrong in the second.
        difference: Share right in the second minus share right in the first, -1..1; None without items.
        interval: 95 % interval of `difference`, resampling images; None if nothing varies.
        p_value: Exact McNemar test of "no difference". It takes questions for independent; the interval does not.
    """

    items: int
    gained: int
    lost: int
    difference: float | None = None
    interval: Interval | None = None
    p_value: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ModelComparison(Record):
    """Two models on the questions that both answered.

    Attributes:
        first: The first model.
        second: The second model.
        groups: The 12 groups.
        totals: "qualitative" and "quantitative".
        only_first: Questions that the first alone answered; left out.
        only_second: Questions that the second alone answered; left out.
        seed: Seed of the resampling.
    """

    first: str
    second: str
    groups: Mapping[str, Difference]
    totals: Mapping[str, Difference]
    only_first: int = 0
    only_second: int = 0
    seed: int = 0


def compare(
    first: Sequence[Prediction],
    second: Sequence[Prediction],
    verdicts: tuple[Sequence[Verdict], Sequence[Verdict]] | None = None,
    *,
    seed: int = 0,
) -> ModelComparison:
    """Compare two models question by question, on the questions that both answered.

    Args:
        first: The first model's predictions.
        second: The second model's.
        verdicts: What they are worth, in the same order; judged offline where not given.
        seed: Seed of the resampling behind the intervals.

    Raises:
        RecordError: If no question is answered by both, or the two files disagree on a reference answer.
    """
    judged_first, judged_second = verdicts or (judge_all(first), judge_all(second))
    known = {p.question_id: (p, v) for p, v in zip(first, judged_first, strict=True)}
    shared = [(p, v) for p, v in zip(second, judged_second, strict=True) if p.question_id in known]
    if not shared:
        raise RecordError("expected predictions on the same questions; the two files share no question_id")
    paired = [known[p.question_id] for p, _ in shared]
    for (one, _), (other, _) in zip(paired, shared, strict=True):
        if (one.gt, one.qa_info) != (other.gt, other.qa_info):
            raise RecordError(
                f"question {one.question_id!r} has the reference {one.gt[:80]!r} in one file and {other.gt[:80]!r} in the "
                "other; compare predictions on the same questions"
            )
    before, after = ([verdict.success is True for _, verdict in rows] for rows in (paired, shared))
    differences = _differences([p for p, _ in shared], before, after, seed=seed)
    return ModelComparison(
        first=first[0].model_id,
        second=second[0].model_id,
        groups={name: differences[name] for name in GROUPS},
        totals={name: differences[name] for name in TOTALS},
        only_first=len(first) - len(shared),
        only_second=len(second) - len(shared),
        seed=seed,
    )


def _differences(
    predictions: Sequence[Prediction], before: Sequence[bool], after: Sequence[bool], *, seed: int
) -> dict[str, Difference]:
    members = _members(predictions).astype(bool)
    clusters = np.array([cluster_name(p) for p in predictions], dtype=object)
    changes = np.array(after, dtype=float) - np.array(before, dtype=float)
    found: dict[str, Difference] = {}
    for column, name in enumerate(_COLUMNS):
        chosen = members[:, column]
        change = changes[chosen]
        sums = cluster_sums(clusters[chosen].tolist(), np.stack([change, np.ones_like(change)], axis=1))
        gained, lost = int((change > 0).sum()), int((change < 0).sum())
        found[name] = Difference(
            items=len(change),
            gained=gained,
            lost=lost,
            difference=float(change.mean()) if len(change) else None,
            interval=difference_interval(sums[:, 0], sums[:, 1], seed=seed),
            p_value=mcnemar(gained, lost),
        )
    return found


def run_score(
    predictions: str | Path, out: str | Path | None = None, *, questions: str | Path | None = None, seed: int = 0
) -> Score:
    """The stage `score`: judge a file of predictions offline, and write `score.json` where asked.

    Args:
        predictions: The file of predictions.
        out: Where to write `score.json`; None writes nothing.
        questions: All questions; those without a prediction count as unscored. None takes the predictions for all.
        seed: Seed of the resampling behind the intervals.

    Raises:
        MissingFileError: If the file does not exist.
        RecordError: If a row is not a prediction.
        WorkError: If the output cannot be written.
    """
    rows = read_predictions(predictions)
    absent = [] if questions is None else without_prediction(rows, questions)
    result = score_predictions([*rows, *absent], seed=seed)
    if out is not None:
        records.write_json(out, score_to_json(result))
    return result


def score_to_json(result: Score) -> dict[str, object]:
    """The contents of `score.json`: the record, with the shares and bounds that follow from the counts."""

    def rows(tallies: Mapping[str, Tally]) -> dict[str, object]:
        return {
            name: {"rate": tally.rate, "upper": tally.upper, "headline": tally.headline, **asdict(tally)}
            for name, tally in tallies.items()
        }

    return {**asdict(result), "totals": rows(result.totals), "groups": rows(result.groups)}
