"""A reply that is shown while it is written: its answer, as far as it is certain to belong to it."""

from __future__ import annotations

import re

from spatialreasoner.inference.backends.replies import Assembled
from spatialreasoner.inference.cleaning import clean_text

_MAYBE = re.compile(
    r"<\|(?:start|channel)\|>(?:(?!<\|message\|>).){0,120}\Z|<\|(?:im_start|start_header_id)\|>[^\n]{0,80}\Z"
    r"|<(?:\|channel|unused94)>\s?\w{0,10}\Z|\n?`{1,3}\w{0,10}\Z|[<\[◁\n][^>\]▷\n]{0,40}\Z",
    re.DOTALL,
)
"""What may become a tag, a token or a fence."""

_CHANNELS = re.compile(r"(?:\A|[\n>])\s{0,9}(?:assistant)?(?:analysis|commentary)(?=[A-Z<\s]|\Z)")
"""What begins so may be thinking, whose end is one word."""

_GREETING = 200
"""A greeting has at most this many characters."""

_LONG = 6_000
"""Beyond this many characters, text without brackets is passed on as it comes."""


class Streamed:
    """Takes a reply piece by piece, and gives out the answer in it.

    Args:
        prefix: The beginning of the answer that is continued.
    """

    def __init__(self, prefix: str) -> None:
        self.reply = Assembled()
        self._prefix, self._raw, self._shown = prefix, "", ""

    def add(self, piece: str) -> str:
        """Take a piece in; returns what can be shown now."""
        self._raw += piece
        if len(self._raw) > _LONG and self._shown and not any(bracket in self._raw[-_GREETING:] for bracket in "<[◁`"):
            return self._show(self._shown + piece)
        maybe = _MAYBE.search(self._raw)
        certain = self._raw[: maybe.start()] if maybe else self._raw
        if not self._shown and _CHANNELS.search(certain, 0, 80) and "assistantfinal" not in certain:
            return ""
        text = clean_text(certain, prefix=self._prefix).text
        if not self._shown and len(text) < _GREETING and text.lstrip()[:1] not in {"<", "#"}:
            return ""  # it may be a greeting, which is seen when the answer begins
        return self._show(text.rstrip())  # what ends an answer may follow blank lines

    def end(self) -> str:
        """What is left when the reply is whole."""
        return self._show(clean_text(self._raw, prefix=self._prefix).text)

    def _show(self, text: str) -> str:
        if not text.startswith(self._shown):  # what was shown belongs to no answer, as is known only now
            return ""
        new, self._shown = text[len(self._shown) :], text
        return new
