"""Models' texts for a page: escaped, cut into segments, region names as numbered chips."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

from spatialreasoner.language import responses
from spatialreasoner.language.parsed import ParsedResponse
from spatialreasoner.scenes.marks import MARK_COLOURS

MAX_SHOWN = 6000
"""Characters of one segment that a page shows."""

_CHIP = re.compile(r"&lt;region(\d{1,3})&gt;")
_HEADING = re.compile(r"^#{1,4}[ \t]*(.{1,80})$", re.MULTILINE)
_TAG = re.compile(r"</?(?:description|reasoning)>", re.IGNORECASE)
_BLANKS = re.compile(r"\n{2,}")


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A coloured piece of an answer: "description", "reasoning" or "conclusion"."""

    name: str
    html: Markup


def rich(text: str) -> Markup:
    """A text as HTML: escaped, `<region1>` as the chip of that number, headings bold, lines kept."""
    shown = text.strip()
    shown = shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + " …"
    html = _CHIP.sub(_chip, str(escape(_BLANKS.sub("\n", shown))))
    html = _HEADING.sub(r"<b>\1</b>", html)
    return Markup(html.replace("\n", "<br>"))


def _chip(match: re.Match[str]) -> str:
    number = int(match[1])
    return f'<span class="chip c{(number - 1) % len(MARK_COLOURS)}" title="region {number}">{number}</span>'


def segments(text: str) -> list[Segment]:
    """An answer cut into its segments, tags left out; one without any form is a conclusion."""
    text = text[: responses.MAX_CHARACTERS]
    said = ((piece.name, _TAG.sub("", text[piece.start : piece.end]).strip()) for piece in ParsedResponse(text=text).pieces)
    return [Segment(name=name, html=rich(words)) for name, words in said if words]
