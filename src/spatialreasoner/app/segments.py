"""The segments of an answer that may still be being written."""

import re
from dataclasses import replace

from spatialreasoner.language import responses
from spatialreasoner.language.parsed import ParsedResponse, Piece

_UNFINISHED = re.compile(r"<[^<>\s]{0,12}\Z|(?:^|\n)[ \t]{0,8}#[^\n]{0,80}\Z")
_CLOSING = "</description>"


def settled(text: str) -> str:
    r"""The text without an end that may become a tag or a heading.

    >>> settled("A box.</descr"), settled("It is tall.\n### In Conc"), settled("<region1")
    ('A box.', 'It is tall.', '')
    """
    match = _UNFINISHED.search(text, max(0, len(text) - 100))
    return text if match is None else text[: match.start()]


def pieces(text: str, *, writing: bool = False) -> list[Piece]:
    """Cut an answer into its segments; one without any form is a conclusion.

    Args:
        text: The answer, or the beginning of one.
        writing: Whether more is to come, so that what has no form yet may still become reasoning.

    >>> [(p.name, p.start, p.end) for p in pieces("<description>A box.", writing=True)]
    [('description', 13, 19)]
    """
    text = text[: responses.MAX_CHARACTERS - len(_CLOSING)]
    lowered = text.lower()
    opened = "<description>" in lowered and _CLOSING not in lowered
    parsed = ParsedResponse(text=text + _CLOSING * opened)
    name = "reasoning" if writing and parsed.plain else None
    cut = [replace(piece, name=name or piece.name, end=min(piece.end, len(text))) for piece in parsed.pieces]
    return [piece for piece in cut if piece.start < piece.end]
