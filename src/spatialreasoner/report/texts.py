"""Models' texts for a page: escaped, cut into segments, region names as numbered chips."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

from spatialreasoner.language import responses
from spatialreasoner.scenes.marks import MARK_COLOURS

MAX_SHOWN = 6000
"""Characters of one segment that a page shows."""

_CHIP = re.compile(r"&lt;region(\d{1,3})&gt;")
_HEADING = re.compile(r"^#{1,4}[ \t]*(.{1,80})$", re.MULTILINE)
_TAG = re.compile(r"</?(?:description|reasoning)>", re.IGNORECASE)
_OPENING = re.compile(r"[#*]{0,6}[ \t]{0,4}\**in conclusion[:,.*]{0,4}\s*$", re.IGNORECASE)
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
    """An answer cut into its segments, tags left out; a text without the form is all reasoning."""
    text = text[: responses.MAX_CHARACTERS]
    found = responses.spans(text)
    end = found["conclusion"][0] if "conclusion" in found else len(text)
    pieces = {
        "description": text[slice(*found["description"])],
        "reasoning": _without_last_heading(text[found["reasoning"][0] : end], "conclusion" in found),
        "conclusion": text[end:],
    }
    cleaned = {name: _TAG.sub("", piece).strip() for name, piece in pieces.items()}
    return [Segment(name=name, html=rich(piece)) for name, piece in cleaned.items() if piece]


def _without_last_heading(text: str, concluded: bool) -> str:
    """The reasoning without the words that open the conclusion."""
    return text[:-60] + _OPENING.sub("", text[-60:]) if concluded else text
