"""What counts as a correct answer to SpatialRGPT-Bench, without a judge model.

The official rules (docs/papers.md 4.3): a length within 25 % of the truth, an hour within one of it around the clock, the same
yes or no, the same choice. What cannot be read is unscored, not wrong; `score` reports how many there are.
"""

from dataclasses import dataclass
from functools import lru_cache

from spatialreasoner.core.filled import filled
from spatialreasoner.core.types import QUALITATIVE, Category
from spatialreasoner.language.conclusion import Conclusion, conclude
from spatialreasoner.language.question import Asked, question_asked
from spatialreasoner.language.terse import conclude_plainly

TOLERANCE = 0.25
"""A length is right within this share of the truth, ends included."""

_SLACK = 1e-6
"""Relative; a bound that is met exactly in one unit must be met in every other."""


_SHORT = 300
"""Characters of the longest answer whose reading is remembered: short ones repeat, to the same few questions."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on an answer.

    Attributes:
        success: Right or wrong by the official rules; None if unscored, because answer or reference could not be read.
        error: |pred - gt| / (gt + 1e-4) of lengths, degrees of directions; None for qualitative kinds and where unscored.
        gt_value: What the reference says: metres; an hour; 1 yes or 0 no; the number of the chosen region, from 1.
        pred_value: What the answer says, in the same units.
        reason: Why it is unscored; empty if it is scored.
        rule: How the answer was found in the text, in words.
        convention: How the answer counts regions, in words.
        clashes: Whether the answer contradicts itself, such as a "no" before a statement that says yes; the "no" counts. False
            where that was not looked for.
    """

    success: bool | None
    error: float | None
    gt_value: float | None
    pred_value: float | None
    reason: str = ""
    rule: str = ""
    convention: str = ""
    clashes: bool = False


def judge(category: Category, question: str, gt: str, pred: str, *, clashes: bool = True) -> Verdict:
    """Compare an answer with the reference.

    Args:
        category: One of the benchmark's 24 categories.
        question: The question; its regions may be named in any of the usual ways.
        gt: The reference answer, a sentence.
        pred: The answer: a word, a sentence, or long reasoning that ends with a conclusion.
        clashes: Whether to look for contradictions, too, which takes longer.

    >>> judge("width_data", "How wide is Region [0]?", "It is 1.00 meters.", "About 4 feet wide and 2 m tall.").success
    True
    """
    ready = question_asked(category, question)
    truth = _truth(ready, gt)
    found = (_read if len(pred) <= _SHORT else conclude)(ready, pred, clashes=clashes)
    if truth is None or found.value is None:
        reason = found.unscored or "the reference cannot be read"
        return Verdict(success=None, error=None, gt_value=truth, pred_value=found.value, reason=reason, rule=found.rule)
    success, error = _compare(category, truth, found.value)
    return filled(
        Verdict,
        success=success,
        error=error,
        gt_value=truth,
        pred_value=found.value,
        reason="",
        rule=found.rule,
        convention=found.convention,
        clashes=found.clashes,
    )


def weigh(category: Category, truth: float, answer: float) -> Verdict:
    """The verdict on two values that were read, by the official rules.

    >>> weigh("direction", 12, 1)
    Verdict(success=True, error=30.0, gt_value=12, pred_value=1, reason='', rule='', convention='', clashes=False)
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


_read = lru_cache(maxsize=4096)(conclude)


@lru_cache(maxsize=4096)
def _truth(ready: Asked, gt: str) -> float | None:
    """What a reference says; references repeat."""
    value = conclude_plainly(ready, gt)
    return conclude(ready, gt).value if value is None else value


__all__ = ["TOLERANCE", "Conclusion", "Verdict", "judge", "weigh"]
