"""Writes `language/native/beginnings.json`: with what the matches of the reader's slowest patterns begin.

    python scripts/beginnings.py

A pattern of a hundred alternatives tries them all at each place of a text; a small pattern in front, of the letters with which
a match may begin, rules out nearly every place. What a file does not know, such as a pattern that was changed since, is
searched without; a test tells when to run this again.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from spatialreasoner import language, rewards
from spatialreasoner.language.native.engine import BEGINNINGS, pattern_key
from spatialreasoner.language.scan import LAZY

LETTERS = 4
"""Characters of a beginning, at most."""
SLOW = 400
"""Characters of the shortest pattern that is worth it."""
FEW = 8
"""Characters of the largest set that is written as each of its own."""

Beginning = tuple[str, bool, bool]
"""Its characters, whether a match must begin at the edge of a word, and whether a pattern may end there."""


def beginnings(source: str) -> set[tuple[str, bool]]:
    """With what a match of a pattern begins: characters, and whether at the edge of a word; "" where it may be anything."""
    return {(said, edge) for said, edge, _ in _of_sequence(_parser.parse(source))}


def _of_sequence(items: Iterable[tuple[Any, Any]]) -> set[Beginning]:
    found: set[Beginning] = {("", False, True)}
    for item in items:
        if not any(goes_on for _, _, goes_on in found):
            break
        found = {longer for one in found for longer in (_joined(one, _of_item(*item)) if one[2] else [one])}
    return found


def _joined(one: Beginning, following: Iterable[Beginning]) -> Iterable[Beginning]:
    said, edge, _ = one
    for more, edge_behind, goes_on in following:
        whole = said + more
        yield whole[:LETTERS], edge or (edge_behind and not said), goes_on and len(whole) < LETTERS


def _of_item(kind: Any, what: Any) -> set[Beginning]:
    if kind is _constants.LITERAL:
        return {(chr(what), False, True)}
    if kind is _constants.AT:
        return {("", what is _constants.AT_BOUNDARY, True)}
    if kind in (_constants.ASSERT, _constants.ASSERT_NOT):
        return {("", False, True)}
    if kind is _constants.SUBPATTERN and not what[1]:  # else cases of letters may not differ in it
        return _of_sequence(what[3])
    if kind is _constants.ATOMIC_GROUP:
        return _of_sequence(what)
    if kind is _constants.BRANCH:
        return set().union(*map(_of_sequence, what[1]))
    if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
        least, most, repeated = what
        return _repeated(_of_sequence(repeated), least, most)
    if kind is _constants.IN and all(one is _constants.LITERAL for one, _ in what) and len(what) <= FEW:
        return {(chr(character), False, True) for _, character in what}
    return {("", False, False)}


def _repeated(once: set[Beginning], least: int, most: int) -> set[Beginning]:
    found: set[Beginning] = {("", False, True)}
    every = set(found) if least == 0 else set[Beginning]()
    for times in range(1, min(most, LETTERS) + 1):
        found = {longer for one in found for longer in (_joined(one, once) if one[2] else [one])}
        every |= found if times >= min(least, LETTERS) else set()
    return every


def look(source: str) -> str | None:
    """What to look for before a pattern; None where it may begin with nearly anything."""
    found = beginnings(source)
    if any(len(said) < 2 for said, _ in found):
        return None
    loose = {said for said, edge in found if not edge}
    edged = {said for said, edge in found if edge} - loose
    parts = [rf"\b{_tree(edged)}"] * bool(edged) + [_tree(loose)] * bool(loose)
    return f"(?={'|'.join(parts)})"


def _tree(words: set[str]) -> str:
    """A pattern of any of some words, which asks for each first letter once."""
    if "" in words:
        return ""
    rests: dict[str, set[str]] = {}
    for word in sorted(words):
        rests.setdefault(word[0], set()).add(word[1:])
    ends: dict[str, list[str]] = {}
    for letter, rest in rests.items():
        ends.setdefault(_tree(rest), []).append(letter)
    branches = [_one_of(letters) + rest for rest, letters in ends.items()]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


def _one_of(letters: list[str]) -> str:
    escaped = "".join(re.escape(letter) for letter in letters)
    return escaped if len(letters) == 1 else f"[{escaped}]"


def reader_patterns() -> Mapping[str, str]:
    """The slow patterns of the reader and of the rewards, by key."""
    found: dict[str, str] = {}
    for package in (language, rewards):
        for module in iter_modules(package.__path__):
            for held in vars(import_module(f"{package.__name__}.{module.name}")).values():
                if isinstance(held, LAZY) and not held.flags and len(held.pattern) >= SLOW:
                    found[pattern_key(held.pattern)] = held.pattern
    return found


def looks() -> dict[str, str]:
    """What the file holds."""
    found = {key: look(source) for key, source in sorted(reader_patterns().items())}
    return {key: said for key, said in found.items() if said}


if __name__ == "__main__":
    Path(BEGINNINGS).write_text(json.dumps(looks(), indent=0) + "\n", encoding="utf-8")
    sys.exit(0)
