"""What is known of each word of a text, found once for a word and then looked up."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import accumulate, product
from string import ascii_lowercase
from typing import Any, Literal, cast

from spatialreasoner.core.recall import recall

MAX_WORDS = 1 << 13
"""Maximum number of words that a table remembers."""

ColumnKind = Literal["list", "text", "sums"]
"""How the values of a column are put together: as a list, as one text of ASCII characters, or as the sums before each word."""


class WordTable:
    """Columns of values, with one value for each word that a pattern finds in a text.

    Where patterns are those of `native.engine`, a text is cut and its words are looked up without making a text of each.

    Args:
        pattern: What finds the words; it has no groups.
        find: The values of a word, one for each column; the first one is what words are called.
        columns: How the values of each column are put together.
        marked: With what words begin that may be more than letters. A run of at most 40 letters a-z, and a blank before it,
            that begins otherwise, and that neither "'" nor "-" follows, the pattern must take as a word.
    """

    def __init__(
        self,
        pattern: re.Pattern[str],
        find: Callable[[str], tuple[Any, ...]],
        columns: tuple[ColumnKind, ...],
        marked: Sequence[str],
    ) -> None:
        self.pattern, self.find, self.columns, self.marked = pattern, find, columns, marked
        self._rows: dict[str, tuple[Any, ...]] = {}

    def read(self, text: str, wanted: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """The columns of a text, and the numbers of the words whose first value is wanted, as a list.

        The sums of a column are one more than the words: the last is the sum of all.

        >>> table = WordTable(re.compile("[a-z]+"), lambda word: (word, word[0], len(word)), ("list", "text", "sums"), ())
        >>> words, letters, sums, found = table.read("it is wide", {"is": True})
        >>> words, letters, list(sums), found
        (['it', 'is', 'wide'], 'iiw', [0, 2, 4, 8], [1])
        """
        wanted = _NONE if wanted is None else wanted  # one that is read with must not change any more
        return self._natively(text, wanted) or self._plainly(text, wanted)

    @cached_property
    def _natively(self) -> Callable[[str, Mapping[str, Any]], Sequence[Any] | None]:
        """The columns by `native/patterns.c`; None where that is not built, or gives up on a text."""
        cut: Callable[..., Any] | None = getattr(self.pattern, "columns", None)
        if cut is None:
            return lambda text, wanted: None
        table = cast("Any", self.pattern).table(self.find, self.columns, tuple(_beginnings(self.marked)))
        sums = [at for at, how in enumerate(self.columns) if how == "sums"]

        def read(text: str, wanted: Mapping[str, Any]) -> Sequence[Any] | None:
            found = cut(text, table, wanted)
            if found and sums:
                found = [*found]
                for at in sums:
                    found[at] = memoryview(found[at]).cast("q")
            return found

        return read

    def _plainly(self, text: str, wanted: Mapping[str, Any]) -> Sequence[Any]:
        words: list[str] = self.pattern.findall(text)
        rows = [recall(self._rows, word, MAX_WORDS, partial(self.find, word)) for word in words]
        columns = [_joined([row[at] for row in rows], how) for at, how in enumerate(self.columns)]
        return [*columns, [number for number, row in enumerate(rows) if row[0] in wanted]]


_NONE: Mapping[str, Any] = {}
_LETTERS = f" {ascii_lowercase}"


def _beginnings(marked: Sequence[str]) -> Iterator[str]:
    """All that texts of three characters, blanks or letters a-z, may be that begin like what is marked."""
    for begin in marked:
        yield from map("".join, product(*(begin[at : at + 1] or _LETTERS for at in range(3))))


def _joined(values: list[Any], how: ColumnKind) -> Sequence[Any]:
    if how == "text":
        return "".join(values)
    return memoryview(array("q", accumulate(values, initial=0))) if how == "sums" else values
