"""Keys and values with room to grow: a step of `generate` writes one column where a usual cache copies all before it.

For a decoder this small that copying is a third of all work.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

ROOM = 72
"""Columns by which the room grows; not a power of two, which would put all heads in the same lines of a processor's cache."""


class RoomyLayer(DynamicLayer):
    """A layer of a cache; `keys` and `values` are the used part of larger tensors."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rooms: list[Tensor | None] = [None, None]

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Add columns; returns all keys and all values."""
        if not self.is_initialized:
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
    ours = room is not None and used.data_ptr() == room.data_ptr() and used.shape[:-2] == room.shape[:-2]
    if room is None or not ours or end > room.shape[-2]:
        room = added.new_empty(*added.shape[:-2], (end // ROOM + 1) * ROOM, added.shape[-1])
        room[..., :start, :] = used
    room[..., start:end, :] = added
    return room[..., :end, :], room


def with_room(cache: DynamicCache) -> DynamicCache:
    """A cache that is still empty, its plain layers replaced by roomy ones."""
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
