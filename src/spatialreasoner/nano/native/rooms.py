"""Arrays that begin where a line of the processor's cache does."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

_LINE = 64
"""Bytes."""

_Array = np.ndarray[Any, Any]


def lined(values: _Array) -> _Array:
    """A copy of float32."""
    copied = lined_empty(values.shape)
    copied[...] = values
    return copied


def lined_empty(shape: int | tuple[int, ...]) -> _Array:
    """Room for float32."""
    size = shape if isinstance(shape, int) else prod(shape)
    room = np.empty(size + _LINE // 4, np.float32)
    start = -room.ctypes.data % _LINE // 4
    return room[start : start + size].reshape(shape)
