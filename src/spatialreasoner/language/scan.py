r"""Cheap looks at a text that spare it the expensive rules, and patterns that a search can skip to.

A search for a pattern that begins with a set of characters runs in C from one of them to the next; one that begins with `\b`
or with a look-behind tries every place of the text. So patterns here begin with a word's first letter and look behind it then.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import cast

from spatialreasoner.language.native.engine import compile_pattern

_WORD = re.compile("[a-z]+")
_MAX_REMEMBERED = 4_000
"""Characters of the longest text whose words are remembered: many rules ask for those of one text."""


def lazily(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """A pattern that is compiled when it is first used: all of them take as long to compile as a hundred answers to read."""
    return cast("re.Pattern[str]", _Lazy(pattern, flags))


class _Lazy:
    """What stands for a compiled pattern, and has its methods and attributes from when one is first asked for."""

    def __init__(self, pattern: str, flags: int) -> None:
        self.pattern, self.flags = pattern, flags

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return compile_pattern(self.pattern, self.flags)

    def __getattr__(self, name: str) -> object:
        found: object = getattr(self._compiled, name)
        setattr(self, name, found)
        return found


def holds(text: str, words: Sequence[str]) -> bool:
    """Whether a text holds one of some words, as a part of a longer one, too."""
    for word in words:  # noqa: SIM110  (a generator within `any` takes three times as long)
        if word in text:
            return True
    return False


def first_at(text: str, words: Sequence[str], begin: int = 0) -> int:
    """Where the first of some words is from `begin` on; -1 where none does."""
    return min([at for word in words if (at := text.find(word, begin)) >= 0], default=-1)


def word_starts(*alternatives: str) -> str:
    r"""A pattern of alternatives that begin a word; each begins with a plain letter.

    >>> word_starts("sorry", "see", "no")
    's(?<!\\ws)(?:orry|ee)|n(?<!\\wn)(?:o)'
    """
    rests: dict[str, list[str]] = {}
    for alternative in alternatives:
        rests.setdefault(alternative[0], []).append(alternative[1:])
    return "|".join(rf"{letter}(?<!\w{letter})(?:{'|'.join(rest)})" for letter, rest in rests.items())


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


def plain_words(text: str) -> frozenset[str]:
    """The words of a folded text, each a run of plain letters: "can't" is "can" and "t"."""
    return _words(text) if len(text) <= _MAX_REMEMBERED else _words.__wrapped__(text)


@lru_cache(maxsize=32)
def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text))


class Hinted:
    """A pattern for folded texts that is looked for only where a text holds the words without which it matches nothing.

    Args:
        pattern: The pattern.
        hints: What a match holds: at least one of these. Each is a list of words, of which a match holds one; or several
            lists, with a slash between, of each of which it holds one. Words are whole: what may be part of a longer one
            is no hint. A text with letters of other scripts is always searched.
        pieces: Of these pieces of text a match holds one where it holds none of the hints.

    Attributes:
        pattern: The pattern, compiled.
    """

    def __init__(self, pattern: str, *hints: str, pieces: Sequence[str] = ()) -> None:
        self.pattern = lazily(pattern)
        self._pieces = pieces
        self._hints = [[frozenset(words.split()) for words in hint.split("/")] for hint in hints]
        self._first = frozenset().union(*(hint[0] for hint in self._hints))

    def may_match(self, text: str) -> bool:
        """Whether a text holds the words of one of the hints, or one of the pieces."""
        words = plain_words(text)
        for hint in () if words.isdisjoint(self._first) else self._hints:
            for one in hint:
                if words.isdisjoint(one):
                    break
            else:
                return True
        return not text.isascii() or holds(text, self._pieces)

    def search(self, text: str, begin: int = 0) -> re.Match[str] | None:
        """The first match in a text from `begin` on."""
        return self.pattern.search(text, begin) if self.may_match(text) else None

    def finditer(self, text: str, begin: int = 0) -> Iterator[re.Match[str]]:
        """The matches in a text from `begin` on."""
        return self.pattern.finditer(text, begin) if self.may_match(text) else iter(())

    def sub(self, replacement: str, text: str) -> str:
        """A text with each match replaced."""
        return self.pattern.sub(replacement, text) if self.may_match(text) else text
