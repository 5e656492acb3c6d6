"""What a conclusion claims: a length, an hour, or whether the asked relation holds; and how it compares with the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from spatialreasoner.core.types import METRES_PER, QUANTITY_OF, Question, relation_of
from spatialreasoner.language.parsed import ParsedResponse
from spatialreasoner.language.quantities import fold
from spatialreasoner.language.question import question_asked
from spatialreasoner.language.refusals import why_unanswered
from spatialreasoner.language.scan import holds
from spatialreasoner.language.statements import Assertion, extract
from spatialreasoner.language.verdicts import leading
from spatialreasoner.rewards.spatial import ARITY, hour_score, is_asked, reference_metres, value_score, within_tolerance

MAX_CONCLUSION_CHARACTERS = 2000
"""Of a conclusion, so much is read; an answer is one sentence."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What an answer says.

    Attributes:
        value: Metres, or an hour; None for qualitative questions.
        high: The upper end where a range is claimed.
        holds: Whether the asked relation holds between the question's first and second region; None for quantities.
        clashes: Whether the answer contradicts itself: a "no" before a statement that says yes.
    """

    value: float | None = None
    high: float | None = None
    holds: bool | None = None
    clashes: bool = False


def read_claim(question: Question, text: str, assertions: Sequence[Assertion], labels: Sequence[str] = ()) -> Claim | None:
    """Read what an answer to the question claims; None if it claims nothing, or two things at once.

    Args:
        question: What is answered.
        text: The answer.
        assertions: The statements extracted from the answer.
        labels: What the question's regions are called.
    """
    text = text[:MAX_CONCLUSION_CHARACTERS]
    asked = [assertion for assertion in assertions if is_asked(question, assertion)]
    if question.qualitative:
        return _relation_claim(question, text, asked, labels)
    stated = [assertion for assertion in asked if assertion.value is not None and not assertion.negated]
    if stated and _announces(text) and (found := _by_reader(question, text)) is not None and found.value is not None:
        apart = not any(
            min(a.value or 0.0, a.high or a.value or 0.0) <= found.value <= max(a.value or 0.0, a.high or 0.0) for a in stated
        )
        return replace(found, clashes=apart)
    if stated:
        return Claim(value=stated[-1].value, high=stated[-1].high)
    return _by_reader(question, text)


@lru_cache(maxsize=1 << 10)
def cannot_tell(text: str) -> bool:
    """Whether an answer only says that it cannot tell, by the rules by which the scorer takes it for a refusal."""
    return len(text) <= MAX_CONCLUSION_CHARACTERS and why_unanswered(fold(text)) == "refusal"


_ANNOUNCED = ("answer", "Answer", "ANSWER", "verdict", "Verdict", "\\boxed")


def _announces(text: str) -> bool:
    """Whether something in an answer is announced as the answer, and so decides whatever is stated beside it."""
    return holds(text, _ANNOUNCED)


def _by_reader(question: Question, text: str) -> Claim | None:
    """The claim of an answer that states nothing of what is asked, as the scorer reads it."""
    asked = question_asked(question.category, question.text)
    found = ParsedResponse(text=text, question=(question.category, question.text)).conclusion
    if found is None or found.value is None:
        return None
    if question.qualitative:
        first = asked.choice or asked.regions[0] == "region1"
        return Claim(holds=(found.value == 1) == first, clashes=found.clashes)
    value, high = (found.value, None) if found.low is None else (found.low, found.high)
    if found.rule.endswith("is a number alone") and question.category != "direction":
        value *= METRES_PER.get(question.unit or "m", 1.0)
    return Claim(value=value, high=high)


def reference_claim(question: Question, labels: tuple[str, ...] = ()) -> Claim | None:
    """The true answer as a claim; None if the question has no readable one."""
    if not question.qualitative:
        value = reference_metres(question)
        return None if value is None else Claim(value=value)
    return _reference(question, labels)


def implied(question: Question, claimed: Claim, span: tuple[int, int]) -> Assertion:
    """The spatial statement that a terse answer makes: "Yes." and "2 m" answer for the question's own regions."""
    relation = relation_of(question.category)
    if relation is not None:
        return Assertion(kind=relation, regions=("region1", "region2"), negated=not claimed.holds, span=span)
    quantity = QUANTITY_OF[question.category]
    regions = tuple(f"region{number}" for number in range(1, ARITY.get(quantity, 2) + 1))
    unit = "hour" if quantity == "direction" else "m"
    return Assertion(kind=quantity, regions=regions, value=claimed.value, high=claimed.high, unit=unit, span=span)


def is_right(question: Question, claimed: Claim, true: Claim) -> bool:
    """Whether a claim is right by the benchmark: within 25 % or one hour of the truth, or the same relation."""
    if claimed.holds is not None or true.holds is not None:
        return claimed.holds == true.holds
    if claimed.value is None or true.value is None:
        return False
    return within_tolerance(question.category, claimed.value, true.value, high=claimed.high)


def claim_agreement(question: Question, claimed: Claim, true: Claim) -> float:
    """How well a claim agrees with another, 0..1: as values and hours score as statements, and relations agree or not."""
    if claimed.holds is not None or true.holds is not None:
        return float(claimed.holds == true.holds)
    if claimed.value is None or true.value is None:
        return 0.0
    if question.category == "direction":
        return hour_score(claimed.value, true.value, high=claimed.high)
    return value_score(claimed.value, true.value, high=claimed.high)


def polarity(question: Question, assertion: Assertion) -> bool:
    """Whether an asked relation, as stated, says that the relation holds between the first and the second region."""
    same = (assertion.kind == relation_of(question.category)) == (assertion.regions[0] == "region1")
    return same != assertion.negated


def _relation_claim(question: Question, text: str, asked: list[Assertion], labels: Sequence[str]) -> Claim | None:
    said = {polarity(question, assertion) for assertion in asked}
    if question.category.endswith("_predicate") and (verdict := leading(fold(text))) is not None:
        return Claim(holds=verdict, clashes=bool(said) and said != {verdict})
    if said and _announces(text) and (found := _by_reader(question, text)) is not None and found.holds is not None:
        return replace(found, clashes=said != {found.holds})
    if said:
        return Claim(holds=said.pop()) if len(said) == 1 else None
    found = _by_reader(question, text)
    if found is not None or question.category.endswith("_predicate") or extract(text, labels):
        return found
    lower = text.lower()
    named = {number for number, label in enumerate(labels, start=1) if label and label.lower() in lower}
    return Claim(holds=named == {1}) if len(named) == 1 else None


@lru_cache(maxsize=4096)
def _reference(question: Question, labels: tuple[str, ...]) -> Claim | None:
    return read_claim(question, question.answer, extract(question.answer, labels), labels)
