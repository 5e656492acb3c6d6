"""What a conclusion claims: a length, an hour, or whether the asked relation holds; and how it compares with the reference."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from spatialreasoner.core.types import METRES_PER, QUANTITY_OF, Question, relation_of
from spatialreasoner.language import quantities
from spatialreasoner.language.statements import Assertion, extract
from spatialreasoner.rewards.spatial import ARITY, hour_score, is_asked, reference_metres, value_score

MAX_CONCLUSION_CHARACTERS = 2000
"""Of a conclusion, so much is read; an answer is one sentence."""

_YES = re.compile(r"\W{0,8}(?:yes|yeah|indeed|correct|true|that is (?:right|so|correct|true)|right)\b", re.IGNORECASE)
_NO = re.compile(r"\W{0,8}(?:no|nope|incorrect|false|that is not (?:so|right|correct|true)|not (?:so|really))\b", re.IGNORECASE)
_NAMED = re.compile(r"<region ?(\d{1,3})>|\bregion ?(?:\[(\d{1,3})\]|(\d{1,3})\b)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What an answer says.

    Attributes:
        value: Metres, or an hour; None for qualitative questions.
        high: The upper end where a range is claimed.
        holds: Whether the asked relation holds between the question's first and second region; None for quantities.
    """

    value: float | None = None
    high: float | None = None
    holds: bool | None = None


def read_claim(question: Question, text: str, assertions: Sequence[Assertion], labels: Sequence[str] = ()) -> Claim | None:
    """Read what an answer to the question claims; None where it claims nothing, or two things at once.

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
    if stated:
        return Claim(value=stated[-1].value, high=stated[-1].high)
    unit = "hour" if question.category == "direction" else "m"
    found = [quantity for quantity in quantities.find_quantities(text) if quantity.unit == unit]
    if found:
        return Claim(value=found[-1].value, high=found[-1].high)
    bare = quantities.bare_numbers(text)
    if not bare:
        return None
    return Claim(value=bare[-1].value * (METRES_PER.get(question.unit or "m", 1.0) if unit == "m" else 1.0))


def reference_claim(question: Question, labels: tuple[str, ...] = ()) -> Claim | None:
    """The true answer as a claim; None where the question has no readable one."""
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
    if question.category.endswith("_predicate"):
        if _YES.match(text) or _NO.match(text):
            said.add(_NO.match(text) is None)
    elif not said:
        named = _named(text, labels)
        said = {named == "region1"} if named in {"region1", "region2"} else set()
    return Claim(holds=said.pop()) if len(said) == 1 else None


def _named(text: str, labels: Sequence[str]) -> str | None:
    """The one region that a text names, by tag or by label; None where it names none or several."""
    tags = (match.groups() for match in _NAMED.finditer(text))
    named = {f"region{int(tag or number) if index is None else int(index) + 1}" for tag, index, number in tags}
    if not named:
        lower = text.lower()
        named = {f"region{number}" for number, label in enumerate(labels, start=1) if label and label.lower() in lower}
    return named.pop() if len(named) == 1 else None


@lru_cache(maxsize=4096)
def _reference(question: Question, labels: tuple[str, ...]) -> Claim | None:
    return read_claim(question, question.answer, extract(question.answer, labels), labels)
