"""A cache of limited size for computed values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


def recall(known: dict[_K, _V], key: _K, most: int, find: Callable[[], _V]) -> _V:
    """The cached value of a key, computed if it is missing; a full cache is emptied first.

    >>> known = {"a": 1, "b": 2}
    >>> recall(known, "a", 2, lambda: 3), recall(known, "c", 2, lambda: 3), known
    (1, 3, {'c': 3})
    """
    value = known.get(key)
    if value is None:
        if len(known) >= most:
            known.clear()
        value = known[key] = find()
    return value
