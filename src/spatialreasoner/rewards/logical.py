"""Logical coherence of a reasoning, 0..4: the paper's four criteria (appendix A), each verified.

- factual consistency: how true its premises are of the scene; a premise that contradicts the description counts half;
- logical coherence: the share of its statements that contradict no earlier one, and of its steps that are not repeats;
- rule application: the share of its calculations and unit conversions that are right;
- conclusion validity: whether the conclusion follows from the steps, and agrees with the reference answer.

A criterion that nothing in the text bears on is unscored, and the others make up the reward. A reasoning without a conclusion
that answers the question has no valid conclusion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from spatialreasoner.core.types import CONVERSE, Question, relation_of
from spatialreasoner.language import quantities
from spatialreasoner.language.arithmetic import Check
from spatialreasoner.language.native.making import record_maker
from spatialreasoner.language.scan import lazily
from spatialreasoner.language.statements import POSITIVE, Assertion
from spatialreasoner.rewards.conclusion import Claim, claim_agreement, is_right, polarity
from spatialreasoner.rewards.spatial import EXACT, StatementVerdict, distinct, is_asked
from spatialreasoner.rewards.visual import Criteria

LOGICAL_CRITERIA = ("factual", "coherence", "rules", "conclusion")

UNSURE = 0.4
"""Validity of a conclusion that says it cannot tell: more than a wrong one has, less than a right one."""

_STEP = lazily(r"#{2,4}[ \t]*step \d{1,4}\b[:.]?|\n[ \t]*\**step \d{1,4}\b[:.]?", re.IGNORECASE)
_SIZED = {"height": "tall", "width": "wide", "camera_distance": "behind"}
"""Which relation two stated sizes decide."""


@dataclass(kw_only=True, slots=True)  # not frozen: that would triple the cost of making one
class Argument:
    """A reasoning as the criteria see it.

    Attributes:
        text: Everything before the conclusion.
        premises: The statements before the conclusion, with their verdicts.
        concluding: The statements of the conclusion, with their verdicts.
        described: The statements of the description, with their verdicts.
        calculations: Calculations and conversions of reasoning and conclusion.
        claim: What the conclusion claims, or None if there is no conclusion that answers the question.
        reference: The true answer, where there is one.
        unsure: Whether the conclusion only says that it cannot tell.
    """

    text: str
    premises: Sequence[StatementVerdict]
    concluding: Sequence[StatementVerdict]
    described: Sequence[StatementVerdict]
    calculations: Sequence[Check]
    claim: Claim | None
    reference: Claim | None
    unsure: bool = False


def grade_reasoning(question: Question, argument: Argument) -> Criteria:
    """Grade one reasoning with its conclusion."""
    if not argument.text.strip() and argument.claim is None and not argument.unsure:
        return Criteria(parts=dict.fromkeys(LOGICAL_CRITERIA, 0.0), reasons={"conclusion": "there is no reasoning"})
    wrong = [check for check in argument.calculations if not check.right]
    rules = 1 - len(wrong) / len(argument.calculations) if argument.calculations else None
    factual, false = _factual(argument)
    coherence, clash = _coherence(argument)
    conclusion, why = _conclusion(question, argument)
    parts = {"factual": factual, "coherence": coherence, "rules": rules, "conclusion": conclusion}
    complaints = {
        "factual": false,
        "coherence": clash,
        "rules": f"{wrong[0].text!r} should be {wrong[0].expected:.4g}" if wrong else "",
        "conclusion": why,
    }
    return record_maker(Criteria)(parts, {name: text for name, text in complaints.items() if text})


def rate(question: Question, argument: Argument, step: str, *, concludes: bool) -> float | None:
    """Logic of one new step, 0..1: its contradictions with what was said before, its calculations, and its conclusion.

    Args:
        question: What is answered.
        argument: What came before the step as its premises, the step's own statements as its concluding ones, and the
            step's calculations.
        step: The step's text.
        concludes: Whether the step is the conclusion.

    Returns:
        The mean of what could be scored; None if nothing could.
    """
    clashes = contradictions(argument.premises, argument.concluding)
    scores = [clashes.count("") / len(clashes)] if clashes else []
    if argument.calculations:
        scores.append(sum(check.right for check in argument.calculations) / len(argument.calculations))
    if concludes:
        scores.append(_conclusion(question, argument)[0])
    if step.strip() and step.strip() in argument.text:
        scores.append(0.0)  # a step that was taken before leads nowhere
    return sum(scores) / len(scores) if scores else None


def contradicts(first: Assertion, second: Assertion) -> bool:
    """Whether two statements cannot both be true: opposite relations, or values more than 10 % (one hour) apart.

    Only statements about the same relation or quantity of the same regions can contradict each other.
    """
    left, right = first.stance, second.stance
    return left is not None and right is not None and left[0] == right[0] and _opposed(first, left[1], second, right[1])


def _opposed(first: Assertion, left: float | bool, second: Assertion, right: float | bool) -> bool:
    """Whether two statements about the same cannot both be true, by the side that each takes."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left != right and not (first.negated and second.negated)
    return _apart(first.kind, left, right)


def _apart(kind: str, left: float, right: float) -> bool:
    if kind == "direction":
        return abs((left - right + 6) % 12 - 6) > 1
    return abs(left - right) > EXACT * max(abs(left), abs(right)) + 1e-9


def _factual(argument: Argument) -> tuple[float | None, str]:
    """Mean correctness of the distinct premises that can be verified, and the worst one's reason."""
    described = _table(argument.described)
    judged = [
        (verdict.score * 0.5, verdict, True) if described and _clashes(described, verdict) else (verdict.score, verdict, False)
        for verdict in distinct(argument.premises)
        if verdict.score is not None
    ]
    if not judged:
        return None, ""
    scores = [score for score, _, _ in judged]
    worst = min(scores)
    if worst >= 1:
        return sum(scores) / len(scores), ""
    reasons = [
        f"{verdict.assertion.kind}: {'contradicts the description' if clash else verdict.reason}"
        for score, verdict, clash in judged
        if score == worst
    ]
    return sum(scores) / len(scores), min(reasons)


_Taken = tuple[Assertion, float | bool]
"""A statement, and the side that it takes."""


def _clashes(described: Mapping[tuple[object, ...], _Taken], verdict: StatementVerdict) -> bool:
    """Whether a statement contradicts what the description says of the same."""
    stance = verdict.stance
    before = None if stance is None else described.get(stance[0])
    return stance is not None and before is not None and _opposed(*before, verdict.assertion, stance[1])


def _coherence(argument: Argument) -> tuple[float | None, str]:
    """Share of the statements without a contradiction, times the share of the steps that are not said twice."""
    clashes = contradictions((), (*argument.premises, *argument.concluding))
    steps = _STEP.split(f"\n{argument.text}")[1:]
    repeated = _repeated(steps) if len(steps) > 1 else 0
    if len(clashes) < 2 and not steps:
        return None, ""  # one statement alone has nothing to be coherent with
    coherent = clashes.count("") / len(clashes) if clashes else 1.0
    share = coherent * (1 - repeated / len(steps) if steps else 1.0)
    return share, next(filter(None, clashes), "") or (f"{repeated} steps repeat others" if repeated else "")


def _repeated(steps: Sequence[str]) -> int:
    """How many of some steps say word for word what others do; most differ by their first words."""
    if len({tuple(step.split(None, 2)[:2]) for step in steps}) == len(steps):
        return 0
    return len(steps) - len({tuple(step.split()) for step in steps})


def contradictions(earlier: Iterable[StatementVerdict], statements: Iterable[StatementVerdict]) -> list[str]:
    """For each statement that takes a side, what is wrong with it: empty, or that it contradicts an earlier one.

    Args:
        earlier: What was said before; not judged.
        statements: What is judged, in order; each counts as said for the next.
    """
    said: dict[tuple[object, ...], _Taken] = {}
    sizes: dict[tuple[str, str], float] = {}
    found: list[str] = []
    for group in (earlier, statements):
        found.clear()
        for verdict in group:
            stance = verdict.stance
            if stance is None:
                continue
            assertion, (about, side) = verdict.assertion, stance
            before = said.get(about)
            if before is None:
                said[about] = assertion, side
            clash = before is not None and _opposed(*before, assertion, side)
            clash = clash or (bool(sizes) and _against_sizes(assertion, sizes))
            regions, kind = assertion.regions, assertion.kind
            found.append(f"{kind} of {', '.join(regions)} contradicts an earlier statement" if clash else "")
            if kind in _SIZED and assertion.unit == "m" and assertion.value is not None and len(regions) == 1:
                sizes[_SIZED[kind], regions[0]] = assertion.value
    return found


def _against_sizes(assertion: Assertion, sizes: Mapping[tuple[str, str], float]) -> bool:
    """Whether a relation contradicts the sizes that were stated of its two regions."""
    if assertion.kind not in CONVERSE or assertion.unit is not None or len(assertion.regions) != 2:
        return False
    positive = POSITIVE[assertion.kind]
    first, second = (sizes.get((positive, region)) for region in assertion.regions)
    if first is None or second is None or not _apart("", first, second):
        return False
    return ((first > second) == (positive == assertion.kind)) == assertion.negated


def _conclusion(question: Question, argument: Argument) -> tuple[float, str]:
    """Mean of what is known of its support by the steps and of its agreement with the reference."""
    if argument.claim is None:
        return (UNSURE, "it says that it cannot tell") if argument.unsure else (0.0, "no conclusion that answers the question")
    if argument.claim.clashes:
        return 0.0, "it contradicts its own yes or no"
    supported = _support(question, argument, argument.claim)
    scores, reasons = [supported], ["" if supported == 1 else "the steps do not lead to it"]
    if argument.reference is not None:
        if not is_right(question, argument.claim, argument.reference):
            return 0.0, f"the true answer is {_words(argument.reference)}"
        scores.append(claim_agreement(question, argument.claim, argument.reference))
        reasons.append("" if scores[-1] == 1 else f"the true answer is {_words(argument.reference)}")
    return sum(scores) / len(scores), "; ".join(filter(None, reasons))


def _support(question: Question, argument: Argument, claim: Claim) -> float:
    """1 where the steps say what the conclusion claims, 0 if they say otherwise or nothing."""
    if claim.holds is not None:
        asked = [v.assertion for v in argument.premises if is_asked(question, v.assertion) and v.assertion.value is None]
        said = [polarity(question, assertion) for assertion in asked] or list(_from_sizes(question, argument))
        return float(bool(said) and said[-1] == claim.holds)
    stated = [v.assertion.value for v in argument.premises if is_asked(question, v.assertion)]
    return float(any(_same(question, claim, value) for value in chain(stated, _numbers(question, argument))))


def _from_sizes(question: Question, argument: Argument) -> Iterator[bool]:
    """Whether the asked relation holds by sizes that the steps state of both regions."""
    relation = relation_of(question.category)
    if relation is None:
        return
    sizes = {
        verdict.assertion.regions[0]: verdict.assertion.value
        for verdict in argument.premises
        if _SIZED.get(verdict.assertion.kind) == POSITIVE[relation] and verdict.assertion.unit == "m"
    }
    first, second = sizes.get("region1"), sizes.get("region2")
    if first is not None and second is not None and first != second:
        yield (first > second) == (POSITIVE[relation] == relation)


def _numbers(question: Question, argument: Argument) -> Iterator[float]:
    """Every number of the steps that could be the claim: hours, or lengths in metres and results of calculations."""
    unit = "hour" if question.category == "direction" else "m"
    for quantity in quantities.find_quantities(argument.text):
        if quantity.unit == unit:
            yield from (quantity.value, quantity.middle)


def _same(question: Question, claim: Claim, value: float | None) -> bool:
    """Whether a number of the steps is the claimed one, up to rounding."""
    if value is None or claim.value is None:
        return False
    if question.category == "direction":
        return round(value) % 12 == round(claim.value) % 12
    high = claim.value if claim.high is None else claim.high
    return claim.value * 0.98 - 0.005 <= value <= high * 1.02 + 0.005


def _table(verdicts: Sequence[StatementVerdict]) -> dict[tuple[object, ...], _Taken]:
    """The first statement on each side that is taken."""
    table: dict[tuple[object, ...], _Taken] = {}
    for verdict in verdicts:
        if (stance := verdict.stance) is not None:
            table.setdefault(stance[0], (verdict.assertion, stance[1]))
    return table


def _words(claim: Claim) -> str:
    return f"{claim.value:.2f}" if claim.value is not None else "yes" if claim.holds else "no"
