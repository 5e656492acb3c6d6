r"""Patterns by the just-in-time compiler of PCRE2: they find what `re` finds, in a tenth of the time, and are ready in a tenth.

That is where the library is installed, as on most systems, and `patterns.c` is built; elsewhere patterns are those of `re`.

What both write differently is rewritten: `\Z` as `\z`, `\u2022` as `\x{2022}`, and `\s`, which holds more blanks in `re`. For
texts that are not ASCII, `\w`, `\d` and `\b` are, too: Unicode says then what a letter is. Where case is ignored, those texts
are left to `re`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import cast
from zlib import crc32

from spatialreasoner.core.native import PATTERNS, open_module

BEGINNINGS = Path(__file__).with_name("beginnings.json")
"""What to look for before a slow pattern, by its key, as `scripts/beginnings.py` writes it."""
ATOMS = Path(__file__).with_name("atoms.json")
"""For each pattern, by its key, words of which each text in which it matches holds one, as `scripts/atoms.py` writes it."""
_UTF = 0x80000
_FLAGS = {int(re.IGNORECASE): 0x8, int(re.MULTILINE): 0x400, int(re.DOTALL): 0x20}
_SLOW = 400
"""Characters of the shortest pattern that may be in `BEGINNINGS`."""
_PIECE = re.compile(r"\\(?:u[0-9a-f]{4}|.)|\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
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


def pattern_key(source: str, flags: int = 0) -> str:
    """By what a pattern is known in `BEGINNINGS` and `ATOMS`; one that was changed is not."""
    return f"{crc32(source.encode(), int(flags)):08x}{len(source):04x}"


@cache
def _beginnings() -> Mapping[str, str]:
    return cast("Mapping[str, str]", json.loads(BEGINNINGS.read_text("utf-8")))


@cache
def _numbers(native: ModuleType) -> Mapping[str, int]:
    """The number of each pattern in the sieve of `patterns.c`, which is told the words of all."""
    known = json.loads(ATOMS.read_text("utf-8"))
    native.sieve(list(known.values()))
    return {key: number for number, key in enumerate(known)}


def compile_pattern(source: str, flags: int = 0) -> re.Pattern[str]:
    """What has the methods of a compiled pattern: one of `re`, or what finds the same in less time, made when first used.

    Args:
        source: A pattern as `re` writes it.
        flags: Of `re.IGNORECASE`, `re.MULTILINE` and `re.DOTALL`.
    """
    native = pattern_module()
    if native is None:
        return re.compile(source, flags)
    given = int(flags)  # to look at them as they are takes ten times as long
    options = _UTF | sum(option for flag, option in _FLAGS.items() if given & flag) if given else _UTF
    return cast("re.Pattern[str]", native.compile(source, given, options, _written, _counting(native), re.compile))


def _written(source: str, flags: int, wide: int) -> str:
    """A pattern as PCRE2 writes it, behind what it begins with where that is known."""
    look = "" if flags or len(source) < _SLOW else _beginnings().get(pattern_key(source), "")
    cased = not flags & re.IGNORECASE and "(?i" not in source
    return written_for_pcre2(f"{look}(?:{source})" if look else source, wide=bool(wide), cased=cased)


@cache
def _counting(native: ModuleType) -> Callable[[str, int], int]:
    """What tells the number of a pattern in the sieve; -1 where that does not know it."""
    return lambda source, flags: _numbers(native).get(pattern_key(source, flags), -1)


def written_for_pcre2(source: str, *, wide: bool = False, cased: bool = True) -> str:
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
