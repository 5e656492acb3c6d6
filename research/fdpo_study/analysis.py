"""From the results of all trainings to `study.json`: rates, differences, divergence, curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from research.fdpo_study.arms import ARMS
from research.fdpo_study.claims import COMPARISONS
from research.fdpo_study.effects import LENGTHS, Estimate, QuestionSet, estimate, matched
from research.fdpo_study.work import FACTOR, RESULT, TrainingResult

from spatialreasoner.core import records
from spatialreasoner.core.errors import MissingFileError
from spatialreasoner.core.types import Question, Record
from spatialreasoner.rewards.spatial import value_score

SWEEP = ("dpo-beta-0.05", "dpo", "dpo-beta-0.2", "dpo-beta-0.3")
"""DPO by its beta, 0.1 among them."""

BASE_TITLE = "the base as it ships"


@dataclass(frozen=True, kw_only=True)
class ArmSummary(Record):
    """An arm over its seeds; `rates` are shares, all else means over seeds (`TrainingResult`).

    Attributes:
        title: What it is.
        seeds: How many trainings.
        rates: Success by column.
        ratios: Mean logarithm of answer over truth, by column of lengths.
        errors: The same without its sign: how far off lengths are either way.
        scores: What the spatial reward would give the same lengths, 0..1 (`value_score`).
        spread: Standard deviation of the two averages over seeds; nothing for a single one.
        unread: Share of unreadable answers.
        words: Words by segment.
        drift: Divergence from the reference, nats per answer.
        ends: Where the training's curves end.
        curves: The curves of the first seed.
        gaps: Of the pairs.
    """

    title: str
    seeds: int
    rates: Mapping[str, Estimate]
    ratios: Mapping[str, Estimate]
    errors: Mapping[str, Estimate]
    scores: Mapping[str, Estimate]
    spread: Mapping[str, float]
    unread: float
    words: Mapping[str, float]
    drift: Mapping[str, float]
    ends: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[float, float]]]
    gaps: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class ArmComparison(Record):
    """Two arms, paired by question and seed.

    Attributes:
        first: The arm that the second is compared with; several, at matched divergence, are joined by " + ".
        second: The other.
        seeds: Seeds that both have.
        effects: Success of the second minus that of the first, by column.
        ratios: Difference of `ArmSummary.ratios`.
        errors: Difference of `ArmSummary.errors`.
        scores: Difference of `ArmSummary.scores`.
    """

    first: str
    second: str
    seeds: int
    effects: Mapping[str, Estimate]
    ratios: Mapping[str, Estimate] = field(default_factory=dict)
    errors: Mapping[str, Estimate] = field(default_factory=dict)
    scores: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StudyResult(Record):
    """`study.json`.

    Attributes:
        questions: Test questions.
        rooms: Test rooms.
        arms: By name, the base model first.
        comparisons: Those of `claims.COMPARISONS` whose arms are there.
        matched: fDPO against the mix of DPO arms whose divergence is fDPO's own; None without them.
    """

    questions: int
    rooms: int
    arms: Mapping[str, ArmSummary]
    comparisons: tuple[ArmComparison, ...]
    matched: ArmComparison | None = field(default=None)


def analyse(out: Path) -> StudyResult:
    """Read all results of a study and estimate.

    Raises:
        MissingFileError: If there is no result yet.
    """
    questions = list(records.read_jsonl(out / "data" / "test" / "questions.jsonl", Question))
    test, found = QuestionSet.of(questions), read_results(out)
    if not found:
        raise MissingFileError(f"expected results of trainings in {out}; there are none yet")
    arms = {name: _measured(results, test) for name, results in found.items()}
    comparisons = [
        _compare(first, second, arms, test)
        for first, second in COMPARISONS
        if first in arms and second in arms and _shared(arms, first, second)
    ]
    return StudyResult(
        questions=len(test.ids),
        rooms=len(set(test.rooms)),
        arms={name: _summarise(name, arm, test) for name, arm in arms.items()},
        comparisons=tuple(comparisons),
        matched=_matched(arms, test),
    )


def read_results(out: Path) -> dict[str, list[TrainingResult]]:
    """The results there are by arm, base first, then in the order of the arms; each by seed."""
    paths = [out / "base" / RESULT, *sorted(out.glob(f"seed-*/*/{RESULT}"))]
    order = ["base", *ARMS]
    results = [records.read_json(path, TrainingResult) for path in paths if path.is_file()]
    results.sort(key=lambda result: (order.index(result.arm), result.run))
    return {name: list(group) for name, group in groupby(results, key=lambda result: result.arm)}


class _Measured(NamedTuple):
    """An arm's trainings, one per seed, and what each test question measured of them [seeds questions]."""

    results: Sequence[TrainingResult]
    right: Float[np.ndarray, "seeds questions"]
    ratios: Float[np.ndarray, "seeds questions"]
    errors: Float[np.ndarray, "seeds questions"]
    scores: Float[np.ndarray, "seeds questions"]

    def of(self, seeds: Sequence[int]) -> _Measured:
        """The trainings of some seeds; the base model, which no seed changes, has every one."""
        place = {result.run: index for index, result in enumerate(self.results)}
        rows = [0 if self.results[0].arm == "base" else place[seed] for seed in seeds]
        return _Measured([self.results[row] for row in rows], *(values[rows] for values in self[1:]))


def _measured(results: Sequence[TrainingResult], test: QuestionSet) -> _Measured:
    """A length that could not be read is as far off as counts, and neither too large nor too small."""
    unread = math.log(FACTOR)
    right = [[float(result.right[question_id]) for question_id in test.ids] for result in results]
    ratios = [[result.ratios.get(question_id, 0.0) for question_id in test.ids] for result in results]
    errors = [[abs(result.ratios.get(question_id, unread)) for question_id in test.ids] for result in results]
    scores = [[_score(result.ratios.get(question_id)) for question_id in test.ids] for result in results]
    return _Measured(results, np.array(right), np.array(ratios), np.array(errors), np.array(scores))


def _score(ratio: float | None) -> float:
    return 0.0 if ratio is None else value_score(math.exp(ratio), 1.0)


def _shared(arms: Mapping[str, _Measured], *names: str) -> list[int]:
    """The seeds that all arms have; the base model, which no seed changes, has every one."""
    sets = [{result.run for result in arms[name].results} for name in names if name != "base"]
    return sorted(set[int].intersection(*sets))


def _compare(first: str, second: str, arms: Mapping[str, _Measured], test: QuestionSet) -> ArmComparison:
    seeds = _shared(arms, first, second)
    before, after = (arms[name].of(seeds) for name in (first, second))
    return ArmComparison(
        first=first,
        second=second,
        seeds=len(seeds),
        effects=estimate(after.right - before.right, test),
        ratios=estimate(after.ratios - before.ratios, test, columns=LENGTHS),
        errors=estimate(after.errors - before.errors, test, columns=LENGTHS),
        scores=estimate(after.scores - before.scores, test, columns=LENGTHS),
    )


def _matched(arms: Mapping[str, _Measured], test: QuestionSet) -> ArmComparison | None:
    """The arm fDPO against DPO at the beta at which it strays as far from the reference as fDPO does."""
    sweep = [name for name in SWEEP if name in arms]
    if "fdpo" not in arms or len(sweep) < 2:
        return None
    strayed = {name: _mean_of([each.drift or {} for each in arms[name].results]).get("total", 0.0) for name in ("fdpo", *sweep)}
    mix = matched(strayed["fdpo"], [(strayed[name], name) for name in sweep])
    seeds = _shared(arms, "fdpo", *(name for name, _ in mix))
    if not seeds:
        return None
    before = sum(share * arms[name].of(seeds).right for name, share in mix)
    effects = estimate(arms["fdpo"].of(seeds).right - before, test)
    words = " + ".join(f"{share:.2f} {name}" for name, share in mix)
    return ArmComparison(first=words, second="fdpo", seeds=len(seeds), effects=effects)


def _summarise(name: str, arm: _Measured, test: QuestionSet) -> ArmSummary:
    results, right = arm.results, arm.right
    sides = {"qualitative": test.members[:, 0] > 0, "quantitative": test.members[:, 1] > 0}
    averages = {side: right[:, member].mean(axis=1) for side, member in sides.items() if member.any()}
    return ArmSummary(
        title=ARMS[name].title if name in ARMS else BASE_TITLE,
        seeds=len(results),
        rates=estimate(right, test),
        ratios=estimate(arm.ratios, test, columns=LENGTHS),
        errors=estimate(arm.errors, test, columns=LENGTHS),
        scores=estimate(arm.scores, test, columns=LENGTHS),
        spread={side: float(values.std(ddof=1)) for side, values in averages.items() if len(values) > 1},
        unread=fmean(result.unread for result in results),
        words=_mean_of([result.words for result in results]),
        drift=_mean_of([result.drift or {} for result in results]),
        ends=_mean_of([result.ends for result in results]),
        curves=results[0].curves,
        gaps=_mean_of([result.gaps for result in results]),
    )


def _mean_of(mappings: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means of what all of them hold."""
    shared = [key for key in mappings[0] if all(key in mapping for mapping in mappings)]
    return {key: fmean(mapping[key] for mapping in mappings) for key in shared}
