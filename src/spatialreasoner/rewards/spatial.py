"""The depth-guided spatial reward: every spatial statement of a segment verified against measured depth.

The paper lets a model grade each statement (section 3.3); here geometry does. Its weights and its scale are kept::

    R_sp = 4 / n * sum of W_u * W_c * r     over the n statements that can be verified

with r in [0, 1] the correctness, W_u = 1 for flat and 0.8 for hedged statements, and W_c = 1 for what the question asks and
0.8 for auxiliary statements.

A relation whose measured difference is inside the noise of the depth (`scenes.noise`), or a value whose error bar is wider than
the benchmark's tolerance (`scenes.uncertainty`), is unscored, neither true nor false.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from spatialreasoner.core.types import (
    CONVERSE,
    METRES_PER,
    QUANTITY_OF,
    RELATIONS,
    Category,
    QuantityName,
    Question,
    Region,
    Scene,
    relation_of,
)
from spatialreasoner.language.native.making import record_maker
from spatialreasoner.language.statements import (
    SYMMETRIC,
    Assertion,
    Fact,
    Stance,
    StatementUnit,
    said_of,
    side_of,
    stance_of,
)
from spatialreasoner.rewards.truths import (
    NO_RATIO,
    MeasuredDifference,
    MeasuredTruth,
    measured_difference,
    measured_ratio,
    measured_truth,
)
from spatialreasoner.scenes.measure import Measured

FULL = 4.0
"""The largest value of a reward."""

NEUTRAL = 2.0
"""The reward of a segment that states nothing: silence is neither rewarded nor punished."""

HEDGED = 0.8
"""W_u of a statement that its writer limits."""

AUXILIARY = 0.8
"""W_c of a statement that is not what the question asks for."""

EXACT = 0.1
"""Relative error up to which a value counts as right."""

RELATIVE_TOLERANCE = 0.25
"""Relative error up to which a value holds, as in the benchmark."""

BEYOND = 0.5
"""What is left of r of an asked value that is wrong by the benchmark: guessing must not earn more than saying nothing."""

MAX_ASSERTIONS = 200
"""Maximum number of distinct statements verified per segment, so that a text that repeats itself endlessly costs little."""

ARITY: Mapping[str, int] = {"width": 1, "height": 1, "depth": 1, "camera_distance": 1}
"""How many regions a quantity is about, where not two."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StatementVerdict:
    """The outcome of one statement.

    Attributes:
        assertion: The statement.
        score: r, its correctness 0..1; None if the data cannot tell.
        weight: W_u * W_c.
        truth: The truth in the claim's terms: the value in its unit, or for a relation the measured difference, positive
            where the relation holds (metres; cubic metres for big and small). None if unknown.
        reason: Why it is unscored, or what the truth is, in words.
        fact: What the statement says apart from its wording.
        stance: What it is about, and which side it takes, if any.
    """

    assertion: Assertion
    score: float | None
    weight: float = 1.0
    truth: float | None = None
    reason: str = ""

    fact: Fact = field(init=False, repr=False, compare=False)
    stance: Stance | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fact", self.assertion.fact)
        object.__setattr__(self, "stance", self.assertion.stance)

    @property
    def label(self) -> str:
        """One word for it: true, false, partial or unscored.

        A value is true within the benchmark's tolerance, 25 % or one hour, and else false; a relation is what r says.
        """
        return _label(self.assertion, self.score, self.truth)


def _label(said: Assertion, score: float | None, truth: float | None) -> str:
    if score is None:
        return "unscored"
    if said.value is not None and truth is not None and said.kind not in RELATIONS and said.unit in ("m", "hour"):
        category: Category = "direction" if said.kind == "direction" else "width_data"
        return "true" if within_tolerance(category, said.value, truth, high=said.high) != said.negated else "false"
    return "true" if score >= 0.8 else "false" if score <= 0.2 else "partial"


@dataclass(frozen=True, kw_only=True, slots=True)
class SpatialScore:
    """The depth-guided reward of one segment.

    Attributes:
        value: 0..4; None if there are statements and none of them could be verified.
        reason: Why it is neutral or unscored, else empty.
    """

    value: float | None
    reason: str = ""


def verify(measured: Measured, question: Question, assertion: Assertion) -> StatementVerdict:
    """Hold one statement against the scene.

    Args:
        measured: The question's scene.
        question: Whose regions the statement names, and what makes a statement the asked one.
        assertion: The statement.
    """
    return Gauge(measured, question, assertion.kind, assertion.regions, assertion.unit).verdict(assertion)


def other_regions(scene: Scene, question: Question) -> list[Region]:
    """The scene's regions that a question is not about, in order."""
    return [region for region in scene.regions if region.id not in question.region_ids]


def scene_regions(scene: Scene, question: Question, names: Sequence[str]) -> tuple[str, ...] | None:
    """The scene's regions that names of a text mean; None if one means nothing.

    "region1" is `region_ids[0]`, and "other1" the first of the `other_regions`.
    """
    found = _own_regions(question.region_ids, tuple(names))
    if found is not None or not any(name.startswith("other") for name in names):
        return found
    known = {f"other{n}": region.id for n, region in enumerate(other_regions(scene, question), start=1)}
    known |= {f"region{n}": region_id for n, region_id in enumerate(question.region_ids, start=1)}
    meant = tuple([known[name] for name in names if name in known])
    return meant if len(meant) == len(names) else None


@lru_cache(maxsize=4096)
def _own_regions(region_ids: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...] | None:
    """The scene's regions of names that a question gives its own; None if one is none of them."""
    own = {f"region{number}": region_id for number, region_id in enumerate(region_ids, start=1)}
    return tuple([own[name] for name in names]) if own.keys() >= set(names) else None


def is_asked(question: Question, assertion: Assertion) -> bool:
    """Whether the statement is about the very relation or quantity that the question asks for (W_c = 1)."""
    return _is_asked(question, assertion.kind, assertion.regions, assertion.unit)


def _is_asked(question: Question, kind: str, regions: tuple[str, ...], unit: StatementUnit) -> bool:
    kinds, about = _asked(question.category, len(question.region_ids))
    return kind in kinds and regions in about and (unit != "times" or len(kinds) > 1)


def any_asked(question: Question, assertions: Iterable[Assertion]) -> bool:
    """Whether one of some statements is about what the question asks for."""
    for assertion in assertions:  # noqa: SIM110  (a generator within `any` takes three times as long)
        if is_asked(question, assertion):
            return True
    return False


@lru_cache
def _asked(category: Category, num_regions: int) -> tuple[frozenset[str], frozenset[tuple[str, ...]]]:
    """The kinds of statement that a question asks for, and the regions they must be about."""
    own = tuple(f"region{number}" for number in range(1, num_regions + 1))
    relation = relation_of(category)
    if relation is not None:
        return frozenset({relation, CONVERSE[relation]}), frozenset({own[:2], own[1::-1]})
    quantity = QUANTITY_OF[category]
    asked = own[: ARITY.get(quantity, 2)]
    return frozenset({quantity}), frozenset({asked, asked[::-1]} if quantity in SYMMETRIC else {asked})


def spatial_reward(verdicts: Sequence[StatementVerdict]) -> SpatialScore:
    """R_sp of one segment: 4/n times the sum of W_u W_c r over its distinct, verifiable statements."""
    scores = [verdict.weight * verdict.score for verdict in distinct(verdicts) if verdict.score is not None]
    if scores:
        return record_maker(SpatialScore)(FULL * math.fsum(scores) / len(scores), "")
    if not verdicts:
        return SpatialScore(value=NEUTRAL, reason="no spatial statement: neutral")
    return SpatialScore(value=None, reason=f"none of {len(verdicts)} statements could be verified: {verdicts[0].reason}")


def distinct(verdicts: Sequence[StatementVerdict]) -> list[StatementVerdict]:
    """One verdict per fact: saying the same again, also the other way round, earns nothing. The flattest wording counts."""
    best: dict[tuple[object, ...], StatementVerdict] = {}
    for verdict in verdicts:
        fact = verdict.fact
        if best.setdefault(fact, verdict).weight < verdict.weight:
            best[fact] = verdict
    return list(best.values())


def value_score(claim: float, truth: float, *, noise: float = 0.0, high: float | None = None) -> float:
    """Correctness of a value: 1 within 10 % of the truth, falling linearly to 0 at 100 %.

    Args:
        claim: What is claimed, or the lower end of a claimed range.
        truth: The truth, same unit.
        noise: The truth's uncertainty; errors are not relative to less than that.
        high: The upper end of a range. A range is as wrong as its farther half: its error is the larger of its half width
            and of its middle's error, so that "0 to 100 m" earns nothing.

    >>> round(value_score(2.2, 2.0), 3), round(value_score(1.1, 2.0), 3), value_score(4.0, 2.0)
    (1.0, 0.611, 0.0)
    """
    error = abs(claim - truth) if high is None else max(abs((claim + high) / 2 - truth), abs(high - claim) / 2)
    error /= max(abs(truth), noise, 1e-9)
    if error <= EXACT + 1e-9:
        return 1.0
    return 0.0 if error >= 1.0 else min(1.0, (1.0 - error) / (1.0 - EXACT))


def within_tolerance(category: Category, claim: float, truth: float, *, high: float | None = None) -> bool:
    """Whether a value is right by the benchmark, a range by its middle: within 25 % of the truth, or one hour.

    >>> [within_tolerance("width_data", claim, 1.0) for claim in (0.75, 1.25, 1.3)], within_tolerance("direction", 1, 12)
    ([True, True, False], True)
    """
    if category == "direction":
        middle = claim if high is None else claim + (high - claim) % 12 / 2
        return abs((middle - truth + 6) % 12 - 6) <= 1
    middle = claim if high is None else (claim + high) / 2
    return abs(middle - truth) <= RELATIVE_TOLERANCE * truth * (1 + 1e-6) + 1e-9


def hour_score(claim: float, truth: float, *, high: float | None = None) -> float:
    """Correctness of an hour: 1 at the true hour, falling by a third per hour around the clock to 0 at a quarter turn.

    >>> hour_score(12, 12), round(hour_score(1, 12), 3), hour_score(6, 12)
    (1.0, 0.667, 0.0)
    """
    span = 0.0 if high is None else (high - claim) % 12
    off = abs((claim + span / 2 - truth + 6) % 12 - 6)
    return max(0.0, 1.0 - max(off, span / 2) / 3)


_Outcome = tuple[float | None, float | None, str]
"""r, the truth and the reason of a statement that is not denied."""


class Gauge:
    """What statements of a kind about certain regions are held against: they differ in their numbers alone.

    Args:
        measured: The question's scene.
        question: Whose regions the statements name, and what makes a statement the asked one.
        kind: The relation or quantity that they are about.
        regions: The regions that they name.
        unit: The unit of their values.
    """

    __slots__ = ("_asked", "_found", "_judge", "_said", "_side")

    def __init__(
        self, measured: Measured, question: Question, kind: str, regions: tuple[str, ...], unit: StatementUnit
    ) -> None:
        self._asked = _is_asked(question, kind, regions, unit)
        self._judge, self._found = _judged_by(measured, question, kind, regions, unit)
        self._said = said_of(kind, regions, unit)
        self._side = side_of(kind, regions, unit)

    def verdict(self, said: Assertion) -> StatementVerdict:
        """The verdict on a statement of that kind, about those regions, in that unit."""
        score, truth, reason = self._judge(said, self._found)
        value, negated, asked = said.value, said.negated, self._asked
        if negated and score is not None and truth is not None:  # what cannot be is not made true by a "not"
            score = 1.0 - score
        if score and asked and value is not None and _label(said, score, truth) == "false":
            score *= BEYOND
        weight = (HEDGED if said.hedged else 1.0) * (1.0 if asked else AUXILIARY)
        fact = (*self._said, value, said.high, said.unit, negated)
        make = record_maker(StatementVerdict)
        return make(said, score, weight, truth, reason, fact, stance_of(self._side, said))


_Judge = Callable[[Assertion, Any], _Outcome]


def _judged_by(
    measured: Measured, question: Question, kind: str, regions: tuple[str, ...], unit: StatementUnit
) -> tuple[_Judge, Any]:
    """By what a kind of statement about certain regions is judged, and what is measured of it."""
    names = scene_regions(measured.scene, question, regions)
    if names is None:
        unknown = [name for name in regions if scene_regions(measured.scene, question, (name,)) is None]
        return _as_found, (0.0, None, f"the question has no {', '.join(unknown)}")
    if len(names) != ARITY.get(kind, 2) and unit != "times":
        return _as_found, (None, None, f"a statement of {kind} about {len(names)} regions cannot be verified")
    if len(set(names)) < len(names):
        return _as_found, (0.0, None, f"it compares {names[0]} with itself")
    if unit == "times":
        return _judge_ratio, measured_ratio(measured, kind, names)
    if kind in RELATIONS:
        return _judge_relation, measured_difference(measured, kind, names)
    judge = _judge_hour if kind == "direction" else _judge_length
    return judge, measured_truth(measured, cast("QuantityName", kind), names)


def _as_found(said: Assertion, found: _Outcome) -> _Outcome:
    """The outcome that every statement of the kind has."""
    return found


def _judge_relation(said: Assertion, found: MeasuredDifference) -> _Outcome:
    difference, inside, unsure, reason = found
    if difference is None or unsure:
        return None, difference, reason
    score = 1.0 if difference > 0 else 0.0
    if said.value is not None and score:
        score = value_score(said.value, difference, noise=inside, high=said.high)
    return score, difference, reason


def _judge_hour(said: Assertion, found: MeasuredTruth) -> _Outcome:
    truth, told, certain, _ = found
    if truth is None:
        return None, None, told
    if said.value is None:
        return None, truth, "it states no value"
    return hour_score(said.value, truth, high=said.high) if certain else None, truth, f"measured: {told}"


def _judge_length(said: Assertion, found: MeasuredTruth) -> _Outcome:
    truth, told, certain, inside = found
    value = said.value
    if truth is None:
        return None, None, told
    if value is None:
        return None, truth, "it states no value"
    if not certain:
        return None, truth, f"too uncertain to judge (measured: {told})"
    middle = value if said.high is None else (value + said.high) / 2
    reason = f"measured: {told}, error {abs(middle - truth) / max(abs(truth), 1e-9):.0%}"
    return value_score(value, truth, noise=inside, high=said.high), truth, reason


def _judge_ratio(said: Assertion, found: float | str) -> _Outcome:
    """A factor, such as "twice as wide as": the ratio of the two regions' sizes, or why there is none."""
    if said.value is None:
        return None, None, NO_RATIO
    if isinstance(found, str):
        return None, None, found
    return value_score(said.value, found, high=said.high), found, f"measured: {found:.2f} times"


def reference_metres(question: Question) -> float | None:
    """The reference value in metres, or the hour; None for qualitative questions."""
    if question.value is None or question.unit is None:
        return None
    return question.value * METRES_PER.get(question.unit, 1.0)
