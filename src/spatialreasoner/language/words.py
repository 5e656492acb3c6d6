"""What is known of each word of a text, found once for a word and then looked up."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from spatialreasoner.language.native.engine import pattern_module

MAX_WORDS = 1 << 13
"""Maximum number of words that a table remembers."""


class WordTable:
    """Columns of values, with one value for each word that a pattern finds in a text.

    Where patterns are those of `native.engine`, a text is cut and its words are looked up without making a text of each.

    Args:
        pattern: What finds the words; it has no groups.
        find: The values of a word, one for each column.
        columns: How many columns there are.
    """

    def __init__(self, pattern: re.Pattern[str], find: Callable[[str], tuple[Any, ...]], columns: int) -> None:
        self._pattern, self._find, self._columns = pattern, find, columns
        self._rows: dict[str, tuple[Any, ...]] = {}

    def read(self, text: str) -> Sequence[list[Any]]:
        """The columns of a text, each a list of its own.

        >>> WordTable(re.compile("[a-z]+"), lambda word: (word, len(word)), 2).read("it is wide")
        (['it', 'is', 'wide'], [2, 2, 4])
        """
        return self._natively(text) or self._plainly(text)

    @cached_property
    def _natively(self) -> Callable[[str], Sequence[list[Any]] | None]:
        """The columns by `native/patterns.c`; None where that is not built, or gives up on a text."""
        module = pattern_module()
        cut: Callable[..., Any] | None = getattr(self._pattern, "columns", None)
        if module is None or cut is None:
            return lambda text: None
        table = module.table(self._find, self._columns)
        return lambda text: cut(text, table)

    def _plainly(self, text: str) -> Sequence[list[Any]]:
        rows = [self._row(word) for word in self._pattern.findall(text)]
        return tuple([row[column] for row in rows] for column in range(self._columns))

    def _row(self, word: str) -> tuple[Any, ...]:
        row = self._rows.get(word)
        if row is None:
            if len(self._rows) >= MAX_WORDS:
                self._rows.clear()
            row = self._rows[word] = self._find(word)
        return row
