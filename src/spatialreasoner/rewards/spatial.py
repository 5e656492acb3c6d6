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
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

from spatialreasoner.core.filled import filled
from spatialreasoner.core.recall import recall
from spatialreasoner.core.types import (
    CONVERSE,
    METRES_PER,
    QUANTITY_OF,
    RELATIONS,
    Category,
    QuantityName,
    Question,
    Region,
    Relation,
    Scene,
    relation_of,
)
from spatialreasoner.language.statements import SYMMETRIC, Assertion
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.noise import margin, sigma
from spatialreasoner.scenes.values import HOURS

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


@dataclass(frozen=True, kw_only=True)
class StatementVerdict:
    """The outcome of one statement.

    Attributes:
        assertion: The statement.
        score: r, its correctness 0..1; None if the data cannot tell.
        weight: W_u * W_c.
        truth: The truth in the claim's terms: the value in its unit, or for a relation the measured difference, positive
            where the relation holds (metres; cubic metres for big and small). None if unknown.
        reason: Why it is unscored, or what the truth is, in words.
    """

    assertion: Assertion
    score: float | None
    weight: float = 1.0
    truth: float | None = None
    reason: str = ""

    def of(self, assertion: Assertion) -> StatementVerdict:
        """The verdict on the same statement in another place."""
        same, fields = self.assertion, vars(assertion)  # but for its place: what it says need not be found out again
        fields["fact"], fields["stance"] = same.fact, same.stance
        return filled(
            StatementVerdict, assertion=assertion, score=self.score, weight=self.weight, truth=self.truth, reason=self.reason
        )

    @property
    def label(self) -> str:
        """One word for it: true, false, partial or unscored.

        A value is true within the benchmark's tolerance, 25 % or one hour, and else false; a relation is what r says.
        """
        if self.score is None:
            return "unscored"
        said = self.assertion
        if said.value is not None and self.truth is not None and said.kind not in RELATIONS and said.unit in ("m", "hour"):
            category: Category = "direction" if said.kind == "direction" else "width_data"
            return "true" if within_tolerance(category, said.value, self.truth, high=said.high) != said.negated else "false"
        return "true" if self.score >= 0.8 else "false" if self.score <= 0.2 else "partial"


@dataclass(frozen=True, kw_only=True)
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
    is_the_asked = is_asked(question, assertion)
    weight = (HEDGED if assertion.hedged else 1.0) * (1.0 if is_the_asked else AUXILIARY)
    score, truth, reason = _judge(measured, question, assertion)
    if assertion.negated and score is not None and truth is not None:  # what cannot be is not made true by a "not"
        score = 1.0 - score
    verdict = filled(StatementVerdict, assertion=assertion, score=score, weight=weight, truth=truth, reason=reason)
    if score and assertion.value is not None and is_the_asked and verdict.label == "false":
        return replace(verdict, score=BEYOND * score)
    return verdict


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
    kinds, regions = _asked(question.category, len(question.region_ids))
    return assertion.kind in kinds and assertion.regions in regions and (assertion.unit != "times" or len(kinds) > 1)


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
        return filled(SpatialScore, value=FULL * math.fsum(scores) / len(scores), reason="")
    if not verdicts:
        return SpatialScore(value=NEUTRAL, reason="no spatial statement: neutral")
    return SpatialScore(value=None, reason=f"none of {len(verdicts)} statements could be verified: {verdicts[0].reason}")


def distinct(verdicts: Sequence[StatementVerdict]) -> list[StatementVerdict]:
    """One verdict per fact: saying the same again, also the other way round, earns nothing. The flattest wording counts."""
    best: dict[tuple[object, ...], StatementVerdict] = {}
    for verdict in verdicts:
        fact = verdict.assertion.fact
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


def _judge(measured: Measured, question: Question, assertion: Assertion) -> _Outcome:
    names = scene_regions(measured.scene, question, assertion.regions)
    if names is None:
        unknown = [name for name in assertion.regions if scene_regions(measured.scene, question, (name,)) is None]
        return 0.0, None, f"the question has no {', '.join(unknown)}"
    if len(names) != ARITY.get(assertion.kind, 2) and assertion.unit != "times":
        return None, None, f"a statement of {assertion.kind} about {len(names)} regions cannot be verified"
    if len(set(names)) < len(names):
        return 0.0, None, f"it compares {names[0]} with itself"
    if assertion.unit == "times":
        return _judge_ratio(measured, assertion, names)
    if assertion.kind in RELATIONS:
        return _judge_relation(measured, assertion, names)
    return _judge_quantity(measured, assertion, names)


def _judge_relation(measured: Measured, assertion: Assertion, names: tuple[str, ...]) -> _Outcome:
    relation = cast("Relation", assertion.kind)
    difference, inside, unsure, reason = recall(
        measured.found, (relation, *names), _MAX_MEASURED, lambda: _difference(measured, relation, names)
    )
    if difference is None or unsure:
        return None, difference, reason
    score = 1.0 if difference > 0 else 0.0
    if assertion.value is not None and score:
        score = value_score(assertion.value, difference, noise=inside, high=assertion.high)
    return score, difference, reason


_Difference = tuple[float | None, float, bool, str]
"""A measured difference, its noise, whether it is too uncertain to judge by, and in words what it is, or why there is none."""
_MAX_MEASURED = 4096
"""What is remembered of a scene, at most."""


def _difference(measured: Measured, relation: Relation, names: tuple[str, ...]) -> _Difference:
    comparison = measured.compare(relation, names[0], names[1])
    difference = comparison.difference
    if difference is None:
        return None, 0.0, True, comparison.reason or "unknown"
    inside = margin(measured, relation, names, comparison.scale)
    unit = "m³" if relation in {"big", "small"} else "m"
    reason = f"measured: {difference:+.2f} {unit}, noise {inside:.2f} {unit}"
    if abs(difference) <= inside:
        return difference, inside, True, f"inside the noise ({reason})"
    bars = measured.uncertainty.compare(relation, names[0], names[1])
    if not bars.certain:
        return difference, inside, True, f"inside the error bars ({reason})"
    return difference, inside, False, reason


def _judge_quantity(measured: Measured, assertion: Assertion, names: tuple[str, ...]) -> _Outcome:
    kind = cast("QuantityName", assertion.kind)
    truth, told, certain, inside = recall(measured.found, (kind, *names), _MAX_MEASURED, lambda: _truth(measured, kind, names))
    if truth is None:
        return None, None, told
    if assertion.value is None:
        return None, truth, "it states no value"
    if kind == "direction":
        score = hour_score(assertion.value, truth, high=assertion.high) if certain else None
        return score, truth, f"measured: {told}"
    if not certain:
        return None, truth, f"too uncertain to judge (measured: {told})"
    middle = assertion.value if assertion.high is None else (assertion.value + assertion.high) / 2
    reason = f"measured: {told}, error {abs(middle - truth) / max(abs(truth), 1e-9):.0%}"
    return value_score(assertion.value, truth, noise=inside, high=assertion.high), truth, reason


_Truth = tuple[float | None, str, bool, float]
"""A value, its words (or why there is none), whether it is certain enough to judge by, and its noise."""


def _truth(measured: Measured, kind: QuantityName, names: tuple[str, ...]) -> _Truth:
    measurement = measured.quantity(kind, *names)
    if measurement.value is None:
        return None, measurement.reason or "unknown", False, 0.0
    bars = measured.uncertainty.quantity(kind, *names)
    if kind == "direction":
        return measurement.value, bars.told("hour"), bars.value is not None and bars.half <= HOURS, 0.0
    inside = 2 * math.hypot(*(sigma(measured, name) for name in names)) if bars.certain else 0.0
    return measurement.value, bars.told(), bars.certain, inside


def _judge_ratio(measured: Measured, assertion: Assertion, names: tuple[str, ...]) -> _Outcome:
    """A factor, such as "twice as wide as": the ratio of the two regions' sizes, inverted for short, thin and small."""
    if assertion.value is None or len(names) != 2:
        return None, None, "a factor needs two regions"
    sizes = [_RATIO.get(assertion.kind, _nothing)(measured, name) for name in names]
    if None in sizes or min(cast("list[float]", sizes)) <= 0:
        return None, None, f"no ratio of {assertion.kind} can be measured"
    first, second = cast("list[float]", sizes)
    truth = second / first if assertion.kind in {"short", "thin", "small", "front"} else first / second
    return value_score(assertion.value, truth, high=assertion.high), truth, f"measured: {truth:.2f} times"


def _size(name: QuantityName) -> Callable[[Measured, str], float | None]:
    def certain(measured: Measured, region: str) -> float | None:
        found = measured.uncertainty.quantity(name, region)
        return found.value if found.certain else None

    return certain


def _volume(measured: Measured, region: str) -> float | None:
    cloud = measured.cloud(region)
    return None if cloud is None or any(measured.cut(region)) else cloud.volume


def _nothing(measured: Measured, region: str) -> None:
    return None


_RATIO: Mapping[str, Callable[[Measured, str], float | None]] = {
    **dict.fromkeys(("width", "wide", "thin"), _size("width")),
    **dict.fromkeys(("height", "tall", "short"), _size("height")),
    **dict.fromkeys(("big", "small"), _volume),
    **dict.fromkeys(("camera_distance", "behind", "front"), _size("camera_distance")),
    "depth": _size("depth"),
}
"""What a factor compares, by kind: "twice as far away" is about distances from the camera."""


def reference_metres(question: Question) -> float | None:
    """The reference value in metres, or the hour; None for qualitative questions."""
    if question.value is None or question.unit is None:
        return None
    return question.value * METRES_PER.get(question.unit, 1.0)
