r"""Patterns by the just-in-time compiler of PCRE2: they find what `re` finds, in a tenth of the time, and are ready in a tenth.

That is where the library is installed, as on most systems, and `patterns.c` is built; elsewhere patterns are those of `re`.

What both write differently is rewritten: `\Z` as `\z`, `\u2022` as `\x{2022}`, and `\s`, which holds more blanks in `re`. For
texts that are not ASCII, `\w`, `\d` and `\b` are, too: Unicode says then what a letter is. Where case is ignored, those texts
are left to `re`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import cast

from spatialreasoner.core.native import PATTERNS, open_module

BEGINNINGS = Path(__file__).with_name("beginnings.json")
"""What to look for before a slow pattern, by its key, as `scripts/beginnings.py` writes it."""
_UTF = 0x80000
_FLAGS = {int(re.IGNORECASE): 0x8, int(re.MULTILINE): 0x400, int(re.DOTALL): 0x20}
_SLOW = 400
"""Characters of the shortest pattern that may be in `BEGINNINGS`."""
_PIECE = re.compile(r"\\(?:u[0-9a-f]{4}|.)|\[\^?\]?(?:[^\]\\]|\\.)*\]|\((?:\?P<\w+>|(?!\?))", re.DOTALL)
_ESCAPED = re.compile(r"\\(?:u[0-9a-f]{4}|.)", re.DOTALL)
_DIFFERS = re.compile(r"\\[sSuZ]")
"""What is written differently for PCRE2, for texts of ASCII."""
_SPACES = r"\s\x1c-\x1f"
_WIDE_SPACES = rf"{_SPACES}\x85\p{{Z}}"
_WIDE_WORD = r"\p{L}\p{N}_"
_SETS: Mapping[bool, Mapping[str, str]] = {
    False: {r"\s": _SPACES},
    True: {r"\s": _WIDE_SPACES, r"\w": _WIDE_WORD, r"\d": r"\p{Nd}"},
}
"""What is written within a set instead of an escape, for texts of ASCII and for others; of its opposite there is none."""
_EDGES = {
    r"\Z": r"\z",
    r"\b": f"(?:(?<=[{_WIDE_WORD}])(?![{_WIDE_WORD}])|(?<![{_WIDE_WORD}])(?=[{_WIDE_WORD}]))",
    r"\B": f"(?:(?<=[{_WIDE_WORD}])(?=[{_WIDE_WORD}])|(?<![{_WIDE_WORD}])(?![{_WIDE_WORD}]))",
}


@cache
def pattern_module() -> ModuleType | None:
    """The module of `patterns.c`; None where it is not built, of another source, or without PCRE2."""
    return open_module(PATTERNS)


def pattern_key(source: str) -> str:
    """By what a pattern is known in `BEGINNINGS`; one that was changed is not."""
    return blake2b(source.encode(), digest_size=8).hexdigest()


@cache
def _beginnings() -> Mapping[str, str]:
    return cast("Mapping[str, str]", json.loads(BEGINNINGS.read_text("utf-8")))


def compile_pattern(source: str, flags: int = 0) -> re.Pattern[str]:
    """What has the methods of a compiled pattern: one of `re`, or what finds the same in less time.

    Args:
        source: A pattern as `re` writes it.
        flags: Of `re.IGNORECASE`, `re.MULTILINE` and `re.DOTALL`.
    """
    native = pattern_module()
    if native is None:
        return re.compile(source, flags)
    names = [name[4:-1] for name in _PIECE.findall(source) if name[0] == "("] if _may_have_groups(source) else []
    numbers = {name: number for number, name in enumerate(names, start=1) if name}
    given = int(flags)  # to look at them as they are takes ten times as long
    options = _UTF | sum(option for flag, option in _FLAGS.items() if given & flag)
    cased = not options & _FLAGS[re.IGNORECASE] and "(?i" not in source
    look = "" if flags or len(source) < _SLOW else _beginnings().get(pattern_key(source), "")
    searched = f"{look}(?:{source})" if look else source
    slow, wide = partial(re.compile, source, flags), partial(_written, searched, wide=True, cased=cased)
    return cast("re.Pattern[str]", native.compile(_written(searched), options, wide, slow, len(names), numbers))


def _may_have_groups(source: str) -> bool:
    """Whether a pattern may have groups with a number: most have none, and need not be cut into pieces."""
    return "(?P<" in source or source.count("(") != source.count("(?")


def _written(source: str, *, wide: bool = False, cased: bool = True) -> str:
    """A pattern as PCRE2 writes it.

    Args:
        source: As `re` writes it.
        wide: Whether it is for texts that are not ASCII.
        cased: Whether upper and lower case differ.

    Raises:
        ValueError: If it cannot be written.
    """
    if wide and not cased:
        raise ValueError("cases of letters beyond ASCII are not the same to PCRE2 and to re")
    if not wide and _DIFFERS.search(source) is None:
        return source
    sets = _SETS[wide]

    def within_set(match: re.Match[str]) -> str:
        written = match.group()
        if written.lower() in sets and written not in sets:
            raise ValueError(f"{written} within a set cannot be written for PCRE2: write the set otherwise")
        return rf"\x{{{written[2:]}}}" if written[1] == "u" else sets.get(written, written)

    def piece(match: re.Match[str]) -> str:
        written = match.group()
        if written[0] != "\\":
            return _ESCAPED.sub(within_set, written) if written[0] == "[" else written
        if written in _EDGES and (wide or written == r"\Z"):
            return _EDGES[written]
        if written.lower() in sets:
            return f"[{'' if written in sets else '^'}{sets[written.lower()]}]"
        return within_set(match)

    return _PIECE.sub(piece, source)
