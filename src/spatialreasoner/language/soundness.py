"""Whether an answer holds by itself: its results follow from what is written, and its numbers were said before.

Neither has to do with the image: an answer may be sound and wrong, or right by luck.
"""

from __future__ import annotations

from collections.abc import Iterator

from spatialreasoner.language.arithmetic import checks
from spatialreasoner.language.scan import lazily

_NUMBER = r"\d+(?:\.\d+)?"
COMPARISON = lazily(rf"({_NUMBER})(?: m)? is (more|less) than ({_NUMBER})")
"""A length, the relation, a length: "0.57 m is more than 0.38 m"."""

_WHOLE = lazily(rf"(?<![\w.]){_NUMBER}")
_OPERAND = lazily(rf"({_NUMBER})(?= [×/] )|(?<=[×/] )({_NUMBER})")
_FACTORS = {"100", "39", "3.3", "0.0254", "0.3048"}
"""Of conversions: known, not said before."""

_CONCLUSION = "### In Conclusion"


def copies(text: str) -> Iterator[bool]:
    """Whether each number that should have been said before was, in the same digits.

    These are each operand of a calculation but the factors of conversions, each number of a comparison, and each number of the
    conclusion, unless that tells an hour.

    >>> list(copies("It is 0.57 m wide. 0.57 × 100 = 57. ### In Conclusion It is 58 centimetres wide."))
    [True, False]
    """
    places = [(found.start(), found.group()) for found in _OPERAND.finditer(text) if found.group() not in _FACTORS]
    for found in COMPARISON.finditer(text):
        places += [(found.start(), found.group(1)), (found.start(), found.group(3))]
    conclusion = text.rfind(_CONCLUSION)
    if conclusion >= 0 and "o'clock" not in text[conclusion:]:
        places += [(conclusion, number) for number in _WHOLE.findall(text[conclusion:])]
    said: dict[str, int] = {}
    for found in _WHOLE.finditer(text):
        said.setdefault(found.group(), found.end())
    yield from (said.get(number, len(text) + 1) <= place for place, number in places)


def is_sound(text: str) -> bool:
    """Whether every calculation of an answer is right and every number that should have been said before was."""
    return all(check.right for check in checks(text)) and all(copies(text))
