r"""Cheap looks at a text that spare it the expensive rules, and patterns that a search can skip to.

A search for a pattern that begins with a set of characters runs in C from one of them to the next; one that begins with `\b`
or with a look-behind tries every place of the text. So patterns here begin with a word's first letter and look behind it then.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import cast

from spatialreasoner.language.native.engine import compile_pattern, pattern_module


def lazily(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """A pattern that is compiled when it is first used: all of them take as long to compile as a hundred answers to read."""
    return compile_pattern(pattern, flags) if pattern_module() else cast("re.Pattern[str]", _Lazy(pattern, flags))


class _Lazy:
    """What stands for a pattern of `re`, and has its methods and attributes from when one is first asked for."""

    def __init__(self, pattern: str, flags: int) -> None:
        self.pattern, self.flags = pattern, flags

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, self.flags)

    def __getattr__(self, name: str) -> object:
        found: object = getattr(self._compiled, name)
        setattr(self, name, found)
        return found


LAZY = type(lazily(""))
"""The type of what `lazily` gives."""


def holds(text: str, words: Sequence[str]) -> bool:
    """Whether a text holds one of some words, as a part of a longer one, too."""
    for word in words:  # noqa: SIM110  (a generator within `any` takes three times as long)
        if word in text:
            return True
    return False


def words_in(*words: str) -> re.Pattern[str]:
    """A pattern that finds any of some words, as a part of a longer one, too: sooner than `holds` where they are many."""
    return lazily("|".join(map(re.escape, words)))


def word_starts(*alternatives: str) -> str:
    r"""A pattern of alternatives that begin a word; each begins with a plain letter.

    >>> word_starts("sorry", "see", "no")
    's(?<!\\ws)(?:orry|ee)|n(?<!\\wn)(?:o)'
    """
    rests: dict[str, list[str]] = {}
    for alternative in alternatives:
        rests.setdefault(alternative[0], []).append(alternative[1:])
    return "|".join(rf"{letter}(?<!\w{letter})(?:{'|'.join(rest)})" for letter, rest in rests.items())


def parted(pattern: re.Pattern[str], text: str, begin: int, end: int) -> Iterable[tuple[int, int]]:
    """The pieces between the matches of a pattern, each with the match behind it."""
    natively = getattr(pattern, "parted", None)  # of `patterns.c`, where there is no need for matches
    found: list[tuple[int, int]] | None = natively(text, begin, end) if natively else None
    return _parted(pattern, text, begin, end) if found is None else found


def _parted(pattern: re.Pattern[str], text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    for match in pattern.finditer(text, begin, end):
        if match.end() > begin:
            yield begin, match.end()
            begin = match.end()
    if end > begin:
        yield begin, end


def wholes(pattern: re.Pattern[str], text: str) -> Sequence[str]:
    """What the matches of a pattern are, in order."""
    natively = getattr(pattern, "wholes", None)  # of `patterns.c`, where there is no need for matches
    found: list[str] | None = natively(text) if natively else None
    return [match.group() for match in pattern.finditer(text)] if found is None else found


def rewritten(pattern: re.Pattern[str], text: str, known: dict[str, str], write: Callable[[re.Match[str]], str]) -> str:
    """A text with something else in the place of each match of a pattern.

    Args:
        pattern: The pattern.
        text: The text.
        known: What comes in the place of matches, by what they are; it is given what is written of others.
        write: What else does.
    """
    natively = getattr(pattern, "rewritten", None)  # of `patterns.c`, which calls nothing for what is known
    found: str | None = natively(text, known, write) if natively else None
    return _rewritten(pattern, text, known, write) if found is None else found


def _rewritten(pattern: re.Pattern[str], text: str, known: dict[str, str], write: Callable[[re.Match[str]], str]) -> str:
    def of(match: re.Match[str]) -> str:
        if match.group() not in known:
            known[match.group()] = write(match)
        return known[match.group()]

    return pattern.sub(of, text)


def _one_of(letters: set[str]) -> str:
    """A pattern of one of some characters; of none where one is empty, so that anything may follow."""
    return "" if "" in letters else f"[{re.escape(''.join(sorted(letters)))}]"


def plain_word(marked: Sequence[str]) -> str:
    """A pattern of words that differ by their third letter from all that is more than a word: most words do, and need no more.

    Args:
        marked: The beginnings of what is more than a word.
    """
    follows: dict[str, dict[str, set[str]]] = {}
    for begin in marked:
        follows.setdefault(begin[0], {}).setdefault(begin[1:2], set()).add(begin[2:3])
    free = "".join(sorted(set("abcdefghijklmnopqrstuvwxyz") - set(follows)))
    words = [f"[{free}]"]
    for letter, seconds in follows.items():
        begins = (re.escape(second) + _one_of(thirds) for second, thirds in seconds.items())
        words.append(f"{letter}(?!{'|'.join(begins)})")
    return f"(?:{'|'.join(words)})[a-z]{{0,39}}(?:'t\\b)?"
