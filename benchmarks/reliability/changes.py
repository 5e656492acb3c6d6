"""What can be wrong with a row of JSON, and how to make it so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Change = Callable[[dict[str, Any]], Any]
"""Gives a row, rows, or the text of a row."""

WRONG: tuple[tuple[str, Any], ...] = (
    ("nothing", None),
    ("a truth value", True),
    ("a text", "text"),
    ("a number", -1.5),
    ("a list", [[]]),
    ("a mapping", {"a": 1}),
)
NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "0x10", "1_000", "٣", "1.", ".5", "+1")
"""JSON texts that are not a finite JSON number."""

ESCAPES = (
    *("../outside.png", "/etc/hostname", "a/../../outside.png", "link/outside.png", "linked.png", "./../outside.png", ".."),
    *("/", "room\0.png", "a" * 300, "\n", "", ".", "~/x.png", "file:///etc/hostname", "..\\outside.png"),
)
"""Paths that lead out of the folder, or nowhere."""

IDS = ("../../evil", "/tmp/evil", "a/b", "..", ".", "", "a\0b", "a" * 300, "new\nline", "back\\slash")
"""Names that must not become part of a file's name."""


def put(place: tuple[str | int, ...], value: Any, row: dict[str, Any]) -> dict[str, Any]:
    """The row with another value at a place."""
    inner: Any = row
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return row


def drop(field: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row without a field."""
    return {key: value for key, value in row.items() if key != field}


def literal(place: tuple[str, ...], text: str, row: dict[str, Any]) -> str:
    """The row's text with any text at a place."""
    return dumps(put(place, "@", row)).replace('"@"', text)


def dumps(value: Any) -> str:
    """The text of a row; a text stays as it is."""
    return value if isinstance(value, str) else json.dumps(value)


def shown(text: str) -> str:
    """A text in the name of a case."""
    return repr(text) if len(text) < 30 else f"{len(text)} characters"
