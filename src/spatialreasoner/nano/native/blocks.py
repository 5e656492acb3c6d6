"""What rows have read, in blocks of tokens: rows that begin alike have whole blocks in common, and none is copied to grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spatialreasoner.nano.native.rooms import lined_empty

ROW_BLOCK = 16
"""Tokens of a block, as in `attention.h`."""

_MOST = 12
"""Blocks that rows may have at first; two thirds of what the longest answers take."""

_CHUNK = 128
"""Blocks that memory is taken for at once: of as much the system gives large pages, which come faster than small ones. What is
not used yet is not touched, and takes none."""


class Blocks:
    """The blocks of some rows.

    Args:
        rows: How many rows.
        size: Numbers that a block holds.

    Attributes:
        table: The addresses of each row's blocks.
        rooms: For how many tokens each row has room.
    """

    def __init__(self, rows: int, size: int) -> None:
        self.table = np.zeros((rows, _MOST), np.uint64)
        self.rooms = [0] * rows
        self._size = size
        self._rows: list[list[int]] = [[] for _ in range(rows)]
        self._chunks: list[np.ndarray[Any, Any]] = []
        self._places: list[int] = []
        self._holders: list[int] = []
        self._free: list[int] = []

    def extend(self, row: int, places: int) -> bool:
        """Let a row have room for `places` tokens at least; returns whether there is another table now."""
        missing = -(-places // ROW_BLOCK) - len(self._rows[row])
        table = self.table
        self._hold(row, [self._take() for _ in range(missing)])
        return self.table is not table

    def begin_as(self, row: int, other: int, places: int) -> tuple[int, int, int]:
        """Let a row hold the first `places` tokens of another one, or of itself, and nothing else.

        Returns:
            What is left to do: to copy of the block at an address, to another address, so many tokens; of blocks that are whole
            nothing is copied.
        """
        whole, rest = divmod(places, ROW_BLOCK)
        begin = self._rows[other][:whole]
        for each in begin:
            self._holders[each] += 1
        copied = 0, 0, 0
        if rest:
            begin.append(self._take())
            copied = self._places[self._rows[other][whole]], self._places[begin[-1]], rest
        for each in self._rows[row]:
            self._holders[each] -= 1
            if not self._holders[each]:
                self._free.append(each)
        self._rows[row].clear()
        self._hold(row, begin)
        return copied

    def _hold(self, row: int, blocks: Sequence[int]) -> None:
        start, end = len(self._rows[row]), len(self._rows[row]) + len(blocks)
        if end > self.table.shape[1]:
            self.table = np.pad(self.table, ((0, 0), (0, max(end, self.table.shape[1] * 3 // 2) - self.table.shape[1])))
        self._rows[row] += blocks
        self.rooms[row] = end * ROW_BLOCK
        self.table[row, start:end] = [self._places[each] for each in blocks]

    def _take(self) -> int:
        """A block that nobody holds, now held by one."""
        block = self._free.pop() if self._free else self._unused()
        self._holders[block] = 1
        return block

    def _unused(self) -> int:
        """A block that nobody held before; what is in it is not looked at before it is read."""
        block = len(self._places)
        if block % _CHUNK == 0:
            self._chunks.append(lined_empty((_CHUNK, self._size)))
        self._places.append(self._chunks[-1].ctypes.data + 4 * self._size * (block % _CHUNK))
        self._holders.append(0)
        return block
