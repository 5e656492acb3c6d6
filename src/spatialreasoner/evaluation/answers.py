"""What counts as a correct answer to SpatialRGPT-Bench, without a judge model.

The official rules (docs/papers.md 4.3): a length within 25 % of the truth, an hour within one of it around the clock, the same
yes or no, the same choice. What cannot be read is unscored, not wrong; `score` reports how many there are.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, takewhile
from typing import cast

from spatialreasoner.core.types import CONVERSE, QUALITATIVE, QUANTITY_OF, Category, Relation
from spatialreasoner.language import quantities, responses
from spatialreasoner.language.lexicon import RELATION_WORDS
from spatialreasoner.language.quantities import Quantity
from spatialreasoner.language.statements import Assertion, read_statements
from spatialreasoner.language.tokens import Reading

TOLERANCE = 0.25
"""A length is right within this share of the truth, ends included."""

_SLACK = 1e-6
"""Relative; a bound that is met exactly in one unit must be met in every other."""

_CONCLUSION = re.compile(
    r"(?:in conclusion|in summary|to conclude|(?:the )?final answer(?: is)?|(?:the |my )?answer(?: is|:)"
    r"|</reasoning>|<answer>|\\boxed\{"
    r"|therefore|thus|hence|overall|to sum up)[\s:,.*#]*"
)
_YES = re.compile(
    r"\b(?:yes|yeah|yep|indeed|correct|true|affirmative|(?:absolutely|certainly|definitely|exactly)(?! not)"
    r"|that(?:'s| is) (?:right|so))\b"
)
_NO = re.compile(
    r"\b(?:no(?! doubt)|nope|not|incorrect|false|wrong|negative|neither|(?:absolutely|certainly|definitely) not"
    r"|that(?:'s| is) not (?:right|so|true|correct))\b|n't\b"
)
_SAME = re.compile(
    r"\b(?:same (?:horizontal |vertical )?(?:height|width|size|level|depth|distance|position)"
    r"|equally (?:tall|wide|big|large)|identical|level with each other)\b"
)
_REFUSAL = re.compile(
    r"\b(?:cannot|can't|unable|impossible|unknown|don't know|do not know|not (?:sure|possible|clear|enough)|unclear)\b"
)
_SHORT = 200
"""In a longer text a number without a unit is hardly the answer."""
_ORDINAL = re.compile(r"\b(?:the )?(?:(?P<first>first|former|1st)|(?P<second>second|latter|2nd))\b")
_DENIED = re.compile(r"(?:not|rather than|instead of|than|unlike|over|compared to|compared with) (?:the )?$")
_NAME = r"(?:the|an?) ([a-z][a-z -]{1,40}?)"
_NAMED = re.compile(rf"{_NAME} ?\(? ?(?:<region\d|\[?region ?\[?\d)")
_PREDICATES = {
    *("is", "are", "has", "positioned", "located", "situated", "placed", "standing"),
    *("more", "less", "further", "farther", "closer", "nearer"),
    *RELATION_WORDS["COMPARED"],
}
_PAIR = re.compile(
    rf"{_NAME},? (?:and|or|than|from|(?:to the )?(?:left|right) of|behind|above|below|in front of) {_NAME}(?:[,?.:]|$)"
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an answer is worth.

    Attributes:
        success: Right or wrong by the official rules; None = unscored, because answer or reference could not be read.
        error: |pred - gt| / (gt + 1e-4) of lengths, degrees of directions; None for qualitative kinds and where unscored.
        gt_value: What the reference says: metres; an hour; 1 yes or 0 no; the number of the chosen region, from 1.
        pred_value: What the answer says, likewise.
    """

    success: bool | None
    error: float | None
    gt_value: float | None
    pred_value: float | None


def judge(category: Category, question: str, gt: str, pred: str) -> Verdict:
    """Compare an answer with the reference.

    Args:
        category: One of the benchmark's 24 categories.
        question: The question; its regions may be named in any of the usual ways.
        gt: The reference answer, a sentence.
        pred: The answer: a word, a sentence, or long reasoning that ends with a conclusion.

    >>> judge("width_data", "How wide is Region [0]?", "It is 1.00 meters.", "About 4 feet wide and 2 m tall.").success
    True
    """
    asked = _asked(category, question)
    truth, answer = asked.read(gt), asked.read(pred)
    if truth is None or answer is None:
        return Verdict(success=None, error=None, gt_value=truth, pred_value=answer)
    return weigh(category, truth, answer)


def weigh(category: Category, truth: float, answer: float) -> Verdict:
    """The verdict on two values that were read, by the official rules.

    >>> weigh("direction", 12, 1)
    Verdict(success=True, error=30.0, gt_value=12, pred_value=1)
    """
    success, error = _compare(category, truth, answer)
    return Verdict(success=success, error=error, gt_value=truth, pred_value=answer)


def _compare(category: Category, truth: float, answer: float) -> tuple[bool, float | None]:
    if category in QUALITATIVE:
        return truth == answer, None
    if category == "direction":
        hours = abs(truth - answer) % 12
        hours = min(hours, 12 - hours)
        return hours <= 1, 30.0 * hours
    slack = _SLACK * truth
    success = (1 - TOLERANCE) * truth - slack <= answer <= (1 + TOLERANCE) * truth + slack
    return success, abs(answer - truth) / (truth + 1e-4)


class Asked:
    """A question, ready to read answers to it."""

    def __init__(self, category: Category, question: str) -> None:
        self.category = category
        name, _, form = category.partition("_")
        self.relation = name if category in QUALITATIVE else None
        self.choice = form == "choice"
        folded = quantities.fold(question)
        self.labels = _labels(folded)
        mentions = Reading(folded, self.labels)
        self.base = 0 if re.search(r"region ?\[|region ?0", folded) else 1
        self.regions = self._regions(folded, mentions)

    def _regions(self, folded: str, mentions: Reading) -> tuple[str, ...]:
        """The regions in the roles of the question: "is the first left of the second"."""
        stated = read_statements(Reading(folded.replace("?", "."), self.labels, base=self.base), terse=True)
        for assertion in stated:
            if assertion.kind == self.relation and not self.choice:
                return assertion.regions
        named = tuple(dict.fromkeys(region for _, regions in sorted(mentions.mentions.items()) for region in regions))
        return named if named else ("region1", "region2")

    def read(self, text: str) -> float | None:
        """The value of an answer, as `Verdict.pred_value`; None if it cannot be read. Of one too long, its end is read."""
        folded = quantities.fold(text[-responses.MAX_CHARACTERS :])
        return next((value for part in _parts(folded) if (value := self._value(part)) is not None), None)

    def _value(self, text: str) -> float | None:
        if self.relation is None:
            return self._measure(text)
        said = self._said(text, context=self.regions[:1] if not self.choice else ())
        related = [a for a in said if a.kind in (self.relation, CONVERSE[cast("Relation", self.relation)])]
        return self._chosen(text, related) if self.choice else self._agreed(text, related)

    def _said(self, text: str, context: tuple[str, ...]) -> list[Assertion]:
        labels = self.labels or [""] * max(2, len(self.regions))
        return read_statements(Reading(text, labels, base=self.base), context, terse=True)

    # Qualitative

    def _agreed(self, text: str, related: Sequence[Assertion]) -> float | None:
        """1 for yes, 0 for no."""
        stated = [self._holds(a) for a in related if set(a.regions) == set(self.regions[:2])]
        head = _leading(text)
        if stated:
            return None if head is not None and head != stated[-1] else float(stated[-1])
        if head is None and _SAME.search(text):
            return 0.0
        word = _yes_or_no(text) if head is None else head
        return None if word is None else float(word)

    def _holds(self, assertion: Assertion) -> bool:
        """Whether what is asked holds if the assertion does; "not taller" is read as "shorter"."""
        same = (assertion.kind == self.relation) == (assertion.regions == self.regions[:2])
        return same != assertion.negated

    def _chosen(self, text: str, related: Sequence[Assertion]) -> float | None:
        """The number of the region that is chosen."""
        if related:
            last = related[-1]
            winner = last.regions[((last.kind == self.relation) == last.negated)]
            return float(winner[6:])
        reading = Reading(text, self.labels or ["", ""], base=self.base)
        named = {
            region
            for token, regions in reading.mentions.items()
            if not _DENIED.search(text[max(0, reading.starts[token] - 16) : reading.starts[token] + 1])
            for region in regions
        }
        if len(named) == 1:
            return float(named.pop()[6:])
        ordinals = {bool(match["second"]) for match in _ORDINAL.finditer(text)}
        return float(self.regions[ordinals.pop()][6:]) if len(ordinals) == 1 and not named else None

    # Quantitative

    def _measure(self, text: str) -> float | None:
        if self.category == "direction":
            return self._hour(text)
        said = [a for a in self._said(text, context=self.regions) if a.unit == "m"]
        asked = [
            a for a in said if a.kind == QUANTITY_OF[cast("Category", self.category)] and set(a.regions) <= set(self.regions)
        ]
        if asked:
            return _middle(asked[-1])
        found = [q for q in _outside(quantities.find_quantities(text), said) if q.unit == "m"]
        if found:
            return _last(found).middle
        bare = [] if said or len(text) > _SHORT or _REFUSAL.search(text) else quantities.bare_numbers(text)
        return bare[-1].value if bare else None

    def _hour(self, text: str) -> float | None:
        """The last hour that is not said of the way back, from the target to the observer."""
        hours = [q for q in quantities.find_quantities(text) if q.unit == "hour"]
        said = [a for a in self._said(text, context=self.regions) if a.unit == "hour"]
        back = [a for a in said if a.regions == self.regions[1::-1]]
        if hours:
            return (_outside(hours, back) or hours)[-1].middle
        bare = [q.value for q in quantities.bare_numbers(text) if q.value in range(1, 13)]
        return bare[-1] if bare and len(text) <= _SHORT and not _REFUSAL.search(text) else None


@lru_cache(maxsize=4096)
def _asked(category: Category, question: str) -> Asked:
    return Asked(category, question)


def _parts(text: str) -> Iterator[str]:
    """Where an answer may stand, the likeliest first: behind the last word of conclusion, the last paragraph, anywhere."""
    ends = [match.end() for match in _CONCLUSION.finditer(text)]
    for end in reversed(ends[-3:]):
        yield text[end:]
    paragraphs = [part for part in re.split(r"\n\s*\n|\n(?=#)", text.strip()) if part.strip()]
    if len(paragraphs) > 1:
        yield paragraphs[-1]
    yield text


def _leading(text: str) -> bool | None:
    """Yes or no, where a text begins with it."""
    head = text.lstrip(" \n\t*#\"'.:,")[:40]
    yes, no = _YES.match(head), _NO.match(head)
    return bool(yes) if yes or no else None


def _yes_or_no(text: str) -> bool | None:
    """Yes or no, where a text says only one of them."""
    yes, no = _YES.search(text), _NO.search(text)
    return None if bool(yes) == bool(no) else bool(yes)


def _middle(assertion: Assertion) -> float:
    value = cast("float", assertion.value)
    return Quantity(value=value, high=assertion.high, unit="m" if assertion.unit == "m" else "hour", span=(0, 0)).middle


def _outside(found: Sequence[Quantity], said: Sequence[Assertion]) -> list[Quantity]:
    """The quantities that stand within none of the assertions; an answer may hold thousands of both."""
    spans = sorted(assertion.span for assertion in said)
    starts = [start for start, _ in spans]
    reach = [0, *accumulate((end for _, end in spans), max)]  # how far the assertions go that begin so early
    return [each for each in found if reach[bisect_right(starts, each.span[0])] < each.span[1]]


def _last(found: Sequence[Quantity]) -> Quantity:
    """The last quantity; where it says the one before again in another unit, that one."""
    if len(found) > 1 and abs(found[-1].middle - found[-2].middle) <= 0.02 * found[-2].middle:
        return found[-2]
    return found[-1]


def _labels(folded: str) -> list[str]:
    """Names that a question gives its regions: "the chair (Region [0])", or "between the chair and the table"."""
    named = [_noun(name) for name in _NAMED.findall(folded)]
    if named:
        return named if len(named) > 1 else []
    pair = None if "region" in folded else _PAIR.search(folded)
    return [_noun(name) for name in pair.groups()] if pair else []


def _noun(words: str) -> str:
    """The noun in front of a predicate: "bike" of "bike positioned"."""
    return " ".join(takewhile(lambda word: word not in _PREDICATES, words.split()))
