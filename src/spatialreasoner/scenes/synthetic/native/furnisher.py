"""The library of `furnish.c` for Python: what stands in a room, as `furnishing.furnish` draws it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.random import Generator

from spatialreasoner.core.native import FURNISHING, address, open_library
from spatialreasoner.scenes.synthetic import furnishing
from spatialreasoner.scenes.synthetic.shapes import FURNITURE, SHAPE_KINDS, shape
from spatialreasoner.scenes.synthetic.world import COLOURS, CONTACT, Camera, Room, Thing

_Array = np.ndarray[Any, Any]

FURNISHED_KINDS = (*(kind for kind in SHAPE_KINDS if kind not in FURNITURE), *FURNITURE)
_COLOURS = tuple(COLOURS)

# As in `furnish.c`, whose structs these are.
_RULES = np.dtype(
    [
        *((name, np.int32) for name in ("fewest", "most", "tries", "primitives", "furniture", "colours")),
        ("shares", np.float64, 4),
        *((name, np.float64) for name in ("clearance", "steady", "least", "largest", "hidden", "cut")),
        *((name, np.float64) for name in ("cut_chance", "nearest", "stacked", "contact")),
    ],
    align=True,
)
_KIND = np.dtype(
    [
        *((name, np.int32) for name in ("corners", "parts", "carries")),
        ("share", np.int32, 3),
        *((name, np.float64, 3) for name in ("low", "high", "mass_centre")),
        *((name, np.uintp) for name in ("corner", "outline", "first", "height")),
    ],
    align=True,
)
_PLACE = np.dtype((np.float64, 7 + 9 + 4 + 4 + 3))
_THING = np.dtype(
    [
        *((name, np.int32) for name in ("kind", "colour", "below", "unused")),
        *((name, np.float64, 3) for name in ("rgb", "centre", "size")),
        ("yaw", np.float64),
    ],
    align=True,
)

Furnish = Callable[[Generator, Camera, Room], tuple[Thing, ...]]
"""What furnishes a room; see `furnishing.furnish`."""


@cache
def furnish_library() -> Furnish | None:
    """`furnish` of the library; None if there is none for this processor."""
    native = open_library(FURNISHING)
    if native is None:
        return None
    given = [address(each) for each in _tables()[:3]]

    def furnish(rng: Generator, camera: Camera, room: Room) -> tuple[Thing, ...]:
        place, things = _place(camera, room), np.empty(furnishing.THINGS[1] + 1, _THING)
        count = native.furnish(*given, address(place), rng.bit_generator.ctypes.bit_generator, address(things))
        return tuple(_thing(*each) for each in things[:count].tolist())

    return furnish


def _thing(kind: int, colour: int, below: int, _: int, *rest: Any) -> Thing:
    rgb, centre, size, yaw = rest
    return Thing(
        kind=FURNISHED_KINDS[kind],
        colour=_COLOURS[colour],
        rgb=tuple(rgb),
        centre=tuple(centre),
        size=tuple(size),
        yaw=yaw,
        supported_by=None if below < 0 else below,
    )


def _place(camera: Camera, room: Room) -> _Array:
    """A camera and a room as the library takes them."""
    k, turn = camera.intrinsics, room.turn
    (left, _, back), (right, _, front) = room.low, room.high
    return np.array(
        [
            *(camera.width, camera.height, k.fx, k.fy, k.cx, k.cy, camera.altitude),
            *camera.to_level.T.ravel().tolist(),
            *(turn[0, 0], turn[2, 0], turn[0, 2], turn[2, 2]),
            *(left, back, right, front),
            *furnishing.floor_places(camera),
        ]
    )


@cache  # so that what is pointed to stays where it is
def _tables() -> tuple[_Array, _Array, _Array, list[_Array]]:
    """Rules, kinds and colours as the library takes them, and the arrays that they point to."""
    rules = np.array(
        (
            *furnishing.THINGS,
            *(furnishing.PLACE_TRIES, len(FURNISHED_KINDS) - len(FURNITURE), len(FURNITURE), len(_COLOURS)),
            furnishing.FURNITURE_SHARES,
            *(furnishing.CLEARANCE, furnishing.STEADY, *furnishing.AREA, furnishing.HIDDEN, furnishing.CUT),
            *(furnishing.CUT_CHANCE, furnishing.NEAREST_AHEAD, furnishing.STACKED, CONTACT),
        ),
        _RULES,
    )
    made = [_kind(name) for name in FURNISHED_KINDS]
    kinds = np.array([record for record, _ in made], _KIND)
    return rules, kinds, np.array(list(COLOURS.values()), np.float64), [each for _, kept in made for each in kept]


def _kind(name: str) -> tuple[tuple[Any, ...], list[_Array]]:
    form, sizes = shape(name), furnishing.KIND_SIZES[name]
    ends = [each if isinstance(each, tuple) else (each, each) for each in sizes]
    kept = [
        np.array(form.corners, np.float64),
        np.ascontiguousarray(form.footprints[:, ::2]),
        np.array([0, *(rows.stop for rows in form.footprint_rows)], np.int32),
        np.array(form.heights, np.float64),
    ]
    record = (
        *(len(form.corners), len(form.parts), form.carries),
        [not isinstance(each, tuple) for each in sizes],
        *([low for low, _ in ends], [high for _, high in ends], form.mass_centre),
        *(each.ctypes.data for each in kept),
    )
    return record, kept
