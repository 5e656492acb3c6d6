"""The segments of an answer that may still be being written."""

import re
from dataclasses import dataclass

from spatialreasoner.language import responses

_TAG = re.compile(r"</?(?:description|reasoning)>", re.IGNORECASE)
_HEADING = re.compile(r"[#* \t]{0,12}in conclusion[:,.* \t]{0,8}\n?\Z", re.IGNORECASE)
_UNFINISHED = re.compile(r"<[^<>\s]{0,12}\Z|(?:^|\n)[ \t]{0,8}#[^\n]{0,80}\Z")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A run of text of one segment, "description", "reasoning" or "conclusion", without tags and blank ends."""

    name: str
    start: int
    end: int


def settled(text: str) -> str:
    r"""The text without an end that may become a tag or a heading.

    >>> settled("A box.</descr"), settled("It is tall.\n### In Conc"), settled("<region1")
    ('A box.', 'It is tall.', '')
    """
    match = _UNFINISHED.search(text, max(0, len(text) - 100))
    return text if match is None else text[: match.start()]


def pieces(text: str) -> list[Piece]:
    """Cut an answer, or the beginning of one, into its segments; a text without the form is all reasoning.

    >>> [(p.name, p.start, p.end) for p in pieces("<description>A box.")]
    [('description', 13, 19)]
    """
    text = text[: responses.MAX_CHARACTERS - 20]
    lowered = text.lower()
    opened = "<description>" in lowered and "</description>" not in lowered
    found = responses.spans(f"{text}</description>" if opened else text)
    concluded = found.get("conclusion", (len(text), len(text)))[0]
    ends = {
        "description": found["description"],
        "reasoning": (found["reasoning"][0], _before_heading(text, found["reasoning"][0], concluded)),
        "conclusion": (concluded, len(text)),
    }
    cut = [_trimmed(name, text, start, min(end, len(text))) for name, (start, end) in ends.items()]
    return [piece for piece in cut if piece.start < piece.end]


def _before_heading(text: str, start: int, concluded: int) -> int:
    """Where the reasoning ends: before the words that open the conclusion."""
    heading = _HEADING.search(text, max(start, concluded - 60), concluded)
    return heading.start() if heading else concluded


def _trimmed(name: str, text: str, start: int, end: int) -> Piece:
    """A piece without the tags and the blanks at its ends."""
    while start < end:
        tag = _TAG.match(text, start)
        if tag is None and not text[start].isspace():
            break
        start = tag.end() if tag else start + 1
    while start < end:
        opened = text.rfind("<", start, end)
        tag = _TAG.fullmatch(text, opened, end) if opened >= 0 and text[end - 1] == ">" else None
        if tag is None and not text[end - 1].isspace():
            break
        end = tag.start() if tag else end - 1
    return Piece(name=name, start=start, end=end)
