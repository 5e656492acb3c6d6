"""Keys and values with room to grow: a step of `generate` writes one column where a usual cache copies all before it.

For a decoder this small that copying is a third of all work. And answers that have ended are let go of, which a usual batch
carries along until the longest has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from spatialreasoner.nano.steps import Steps

ROOM = 72
"""Columns by which the room grows; not a power of two, which would put all heads in the same lines of a processor's cache."""


class PreallocatedLayer(DynamicLayer):
    """A layer of a cache; `keys` and `values` are the used part of larger tensors."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rooms: list[Tensor | None] = [None, None]

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Add columns; returns all keys and all values."""
        if self.keys is None or self.values is None:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[..., :0, :], value_states[..., :0, :]
        self.keys, self._rooms[0] = _extended(self.keys, self._rooms[0], key_states)
        self.values, self._rooms[1] = _extended(self.values, self._rooms[1], value_states)
        return self.keys, self.values


def _extended(
    used: Float[Tensor, "rows heads used width"],
    room: Float[Tensor, "rows heads room width"] | None,
    added: Float[Tensor, "rows heads added width"],
) -> tuple[Tensor, Tensor]:
    """The used part with columns added, and the room that it is in: the same, unless it is full or no longer used."""
    start, end = used.shape[-2], used.shape[-2] + added.shape[-2]
    preallocated = room is not None and used.data_ptr() == room.data_ptr() and used.shape[:-2] == room.shape[:-2]
    if room is None or not preallocated or end > room.shape[-2]:
        room = added.new_empty(*added.shape[:-2], (end // ROOM + 1) * ROOM, added.shape[-1])
        room[..., :start, :] = used
    room[..., start:end, :] = added
    return room[..., :end, :], room


class PreallocatedCache(DynamicCache):
    """A cache of plain layers, all preallocated, for `generate` that samples or takes the likeliest token.

    Args:
        num_layers: Layers of the decoder.
        ends: Tokens that end an answer.
        steps: The decoder's steps of one token per row, where they can be taken so.
    """

    def __init__(self, num_layers: int, ends: Sequence[int] = (), steps: Steps | None = None) -> None:
        super().__init__()
        self.steps = steps
        self.layers = [PreallocatedLayer() for _ in range(num_layers)]
        self._ends = torch.tensor(list(ends))
        self._rows: Int[Tensor, " rows"] | None = None
        self._ended: Bool[Tensor, " rows"] | None = None

    def let_go(self, input_ids: Int[Tensor, "rows 1"]) -> Int[Tensor, " rows"] | None:
        """Let go of rows that have ended, once they are a quarter of those kept.

        `generate` feeds the token that ended an answer to the model once more, and replaces whatever comes of that row.

        Args:
            input_ids: This step's tokens, of all rows that the batch began with.

        Returns:
            The rows that are kept; None if all are.
        """
        if not len(self._ends) or input_ids.shape[1] != 1 or not self.get_seq_length():
            return self._rows
        rows = torch.arange(len(input_ids), device=input_ids.device) if self._rows is None else self._rows
        ends = torch.isin(input_ids[:, 0], self._ends.to(input_ids.device))
        self._ended = ends if self._ended is None else self._ended | ends
        kept = ~self._ended[rows]
        if kept.any() and 4 * int(kept.sum()) <= 3 * len(rows):
            self.batch_select_indices(kept.nonzero()[:, 0])
            self._rows = rows[kept]
        return self._rows
