"""Whether all of an answer holds: its steps, and its conclusion word by word."""

from __future__ import annotations

import re

from spatialreasoner.core.types import Category
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.language.soundness import COMPARISON, is_sound

_STATEMENT = re.compile(r"### In Conclusion\s+(?:(?:Yes|No)\b[,.]?)?\s*(.*)", re.DOTALL)


def wholly_right(category: Category, question: str, truth: str, text: str) -> bool:
    """Whether an answer follows from its own steps, comparisons too, and is right, also by what stands behind its Yes or No.

    Args:
        category: What is asked for.
        question: How it is asked.
        truth: The reference answer.
        text: The answer.
    """
    compared = all((float(a) > float(b)) == (said == "more") and a != b for a, said, b in COMPARISON.findall(text))
    right = all(judge(category, question, truth, told).success for told in (text, *_STATEMENT.findall(text)))
    return compared and right and is_sound(text)
