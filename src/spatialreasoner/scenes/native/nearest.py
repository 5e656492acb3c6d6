"""The library of `nearest.c` for Python."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np
from jaxtyping import Bool, Float64, Int64

from spatialreasoner.core.native import NEARBY, address, open_library


@cache
def nearest_library() -> ctypes.CDLL | None:
    """The library of `nearest.c`; None if there is none for this processor."""
    library = open_library(NEARBY)
    if library is not None:
        library.nearest_distances.restype = library.nearest_squares.restype = None
    return library


def nearest_distances(
    library: ctypes.CDLL,
    points: Float64[np.ndarray, "n 3"],
    near: Int64[np.ndarray, "n k"],
    kept: Bool[np.ndarray, " n"],
    nearest: int,
) -> Float64[np.ndarray, "kept nearest"]:
    """The distances of each kept point to those kept ones of its neighbours that are nearest, ascending.

    Args:
        library: That of `nearest_library`.
        points: All points.
        near: The neighbours of each, itself among them.
        kept: Which points count.
        nearest: How many distances are wanted; NaN where a point has fewer kept neighbours.
    """
    points, near, kept = (np.ascontiguousarray(each) for each in (points, near, kept))
    distances = np.empty((int(kept.sum()), nearest))
    counts = (ctypes.c_int64(count) for count in (*near.shape, nearest))
    library.nearest_distances(*map(address, (points, near, kept)), *counts, address(distances))
    return distances


def nearest_squares(
    library: ctypes.CDLL, one: Float64[np.ndarray, "m 3"], other: Float64[np.ndarray, "n 3"]
) -> Float64[np.ndarray, " both"]:
    """The square of the distance of each point to the nearest point of the other cloud: of `other`'s points, then of `one`'s.

    Args:
        library: That of `nearest_library`.
        one: The points of a cloud.
        other: The points of another.
    """
    one, columns = np.ascontiguousarray(one), np.ascontiguousarray(other.T)
    squares = np.empty(len(one) + len(other))
    counts = ctypes.c_int64(len(one)), ctypes.c_int64(len(other))
    library.nearest_squares(address(one), address(columns), *counts, address(squares))
    return squares
