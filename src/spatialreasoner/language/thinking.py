"""Thinking before an answer: where its block ends. What is quoted inside of one is never read as a part of the answer."""

from __future__ import annotations

import re
from typing import NamedTuple

from spatialreasoner.language.scan import holds, lazily

_TAGS = (
    r"<(?:think|thinking|thought|seed:think)>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|START_THINKING\|>"
    r"|<\|channel>thought\b|<\|channel\|>analysis<\|message\|>"
)
_ENDS = (
    r"</(?:think|thinking|thought|seed:think)>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|END_THINKING\|>|<channel\|>"
    r"|(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>"
)
_OPENING = lazily(rf"\s*(?:{_TAGS})", re.IGNORECASE)
_CLOSING = lazily(_ENDS, re.IGNORECASE)
_NOTHING = lazily(rf"(?:{_TAGS})\s*(?:(?:{_ENDS})\s*)?\Z", re.IGNORECASE)
_SIGNS = ("hink>", "hinking>", "THINK>", "THINK]", "THINKING|>", "think▷", "thought", "channel")
"""Every tag holds one of these; most texts hold none, and are spared the patterns."""


class Thought(NamedTuple):
    """The block of thinking at the beginning of a text.

    Attributes:
        span: Where the thinking is, as (start, end) character offsets without the tags.
        end: Where the answer begins, blanks before it left out.
    """

    span: tuple[int, int]
    end: int


def find_thought(text: str) -> Thought | None:
    r"""The block of thinking that a text begins with, or None.

    The block may have been opened before the text: many chat templates write the opening tag themselves. Thinking may quote
    tags, its own closing one too, so that it ends at the last of them.

    >>> find_thought("<think>Wide.</think>\n\nYes.")
    Thought(span=(7, 12), end=22)
    >>> find_thought("<think>Wide, so"), find_thought("Yes.")
    (Thought(span=(7, 15), end=15), None)
    """
    if not holds(text, _SIGNS):
        return None
    opening = _OPENING.match(text)
    closings = list(_CLOSING.finditer(text, opening.end() if opening else 0))
    if not opening and not closings:
        return None
    start = opening.end() if opening else 0
    if not closings:
        return Thought(span=(start, len(text)), end=len(text))
    after = len(text) - len(text[closings[-1].end() :].lstrip())
    return Thought(span=(start, closings[-1].start()), end=after)


def closes_thought(text: str) -> bool:
    """Whether a text holds the end of a block of thinking."""
    return _CLOSING.search(text) is not None


def before_thought(text: str) -> str:
    r"""A text without the block of thinking at its end that is open, or has nothing in it.

    >>> before_thought("<|assistant|>\n<think>\n"), before_thought("<|assistant|>\n<think>\n\n</think>\n\n")
    ('<|assistant|>\n', '<|assistant|>\n')
    """
    opened = _NOTHING.search(text)
    return text[: opened.start()] if opened else text
