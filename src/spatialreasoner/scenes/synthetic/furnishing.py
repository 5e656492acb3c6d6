"""Furnishing a room at random, so that everything stands on something, nothing overlaps, and most of it can be seen.

`native/furnish.c` does the same with the same draws; what is changed here must be changed there.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from spatialreasoner.scenes.synthetic.shapes import FURNITURE, SHAPE_KINDS
from spatialreasoner.scenes.synthetic.world import COLOURS, RGB, Camera, Room, Thing

THINGS = (4, 9)
"""Fewest and most things that are tried in a room; some find no place."""

CLEARANCE = 0.02
"""Least gap between neighbours, metres: a pixel's worth, so that their masks and clouds stay apart."""

STEADY = 0.25
"""How far from the edge of its supporter's top a centre of mass stays, as a share of the top's half width."""

AREA = (0.008, 0.35)
"""Smallest and largest share of the image that a thing's box may take."""

HIDDEN = 0.55
"""Largest share of a thing's box that the box of one nearer thing may cover."""

CUT = 0.35
"""Largest share of a thing's box that may lie outside of the image, for the one in eight that may be cut at all."""

CUT_CHANCE = 0.12
"""How many of the things that are in the way of nothing may be cut."""

NEAREST_AHEAD = 0.6
"""Nearest that a thing comes to the camera, metres ahead."""

STACKED = 0.65
"""How many things that could stand on another are tried there."""

FARTHEST_PLACE = 5.5
"""Farthest place on the floor, metres ahead."""

_CHANCES = np.cumsum((0.15, 0.4, 0.3, 0.15))
FURNITURE_SHARES = (_CHANCES / _CHANCES[-1]).tolist()
"""Of rooms with no piece of furniture, of those with at most one, and so on."""

_ENDS = (np.minimum.reduce, np.maximum.reduce)
_FEW = 16
"""Up to this many corners are projected one by one as fast as by numpy."""

PLACE_TRIES = 14
"""Places tried for one thing before it is left out."""

KIND_SIZES: Mapping[str, tuple[tuple[float, float], tuple[float, float] | float, tuple[float, float] | float]] = {
    # Width, height and depth: lowest and highest, metres, or a share of the width.
    "box": ((0.15, 1.0), (0.12, 1.0), (0.15, 0.9)),
    "ball": ((0.15, 0.7), 1.0, 1.0),
    "cylinder": ((0.12, 0.6), (0.15, 1.2), 1.0),
    "cone": ((0.2, 0.7), (0.2, 1.0), 1.0),
    "pyramid": ((0.2, 0.8), (0.2, 0.9), 1.0),
    "prism": ((0.15, 0.7), (0.12, 0.9), 1.0),
    "wedge": ((0.25, 1.0), (0.15, 0.7), (0.2, 0.8)),
    "dome": ((0.25, 0.9), 0.5, 1.0),
    "table": ((0.8, 1.8), (0.45, 0.85), (0.6, 1.0)),
    "stool": ((0.32, 0.5), (0.4, 0.75), 1.0),
    "bench": ((0.9, 1.6), (0.38, 0.55), (0.35, 0.5)),
    "chair": ((0.4, 0.6), (0.8, 1.1), (0.4, 0.6)),
}


def _labels(rng: Generator) -> Iterator[tuple[str, str]]:
    """Kinds and colours, no pair twice: some furniture, then other things."""
    colours, primitives = list(COLOURS), [kind for kind in SHAPE_KINDS if kind not in FURNITURE]
    num_things = rng.integers(THINGS[0], THINGS[1], endpoint=True)
    num_furniture = bisect_right(FURNITURE_SHARES, rng.random())  # as `rng.choice` of four draws, in a tenth of the time
    used: set[tuple[str, str]] = set()
    while len(used) < num_things:
        kinds = FURNITURE if len(used) < num_furniture else primitives
        label = kinds[rng.integers(len(kinds))], colours[rng.integers(len(colours))]
        if label not in used:
            used.add(label)
            yield label


def furnish(rng: Generator, camera: Camera, room: Room) -> tuple[Thing, ...]:
    """What stands in a room."""
    furnishing = _Furnishing(rng=rng, camera=camera, room=room)
    for kind, colour in _labels(rng):
        furnishing.add(kind, colour)
    return tuple(furnishing.things)


def floor_places(camera: Camera) -> tuple[float, float, float]:
    """Half the width of the view at a metre, and the logarithms of the nearest and the farthest place on the floor."""
    half = 0.5 * camera.width / camera.intrinsics.fx
    steepest = camera.pitch + np.arctan(0.5 * camera.height / camera.intrinsics.fy)
    nearest = max(1.1, camera.altitude / np.tan(steepest))
    return float(half), float(np.log(nearest)), float(np.log(FARTHEST_PLACE))


@dataclass(kw_only=True)
class _Furnishing:
    """A room that is being filled, one thing at a time."""

    rng: Generator
    camera: Camera
    room: Room
    things: list[Thing] = field(default_factory=list[Thing])
    views: list[_View] = field(default_factory=list["_View"])

    def add(self, kind: str, colour: str) -> None:
        """Put a thing in the first place that will do; leave it out if none does."""
        rgb = self._shade(colour)
        for _ in range(PLACE_TRIES):
            thing = self._propose(kind, colour, rgb)
            if thing is None:
                continue
            view = self._view(thing)
            if view is not None and self._fits(thing):
                self.things.append(thing)
                self.views.append(view)
                return

    def _propose(self, kind: str, colour: str, rgb: RGB) -> Thing | None:
        """The thing somewhere on the floor or on another thing, whether or not there is room for it."""
        carriers = [i for i, thing in enumerate(self.things) if thing.shape.carries and thing.colour != colour]
        stacked = kind not in FURNITURE and carriers and self.rng.random() < STACKED
        below = carriers[self.rng.integers(len(carriers))] if stacked else None
        size = self._size(kind, below)
        spot = self._spot_on(self.things[below]) if below is not None else self._spot_on_floor()
        if size is None:
            return None
        base = self.camera.altitude if below is None else self.things[below].bodies[0].top
        return Thing(
            kind=kind,
            colour=colour,
            rgb=rgb,
            centre=(spot[0], base - size[1] / 2, spot[1]),
            size=size,
            yaw=self.rng.uniform(-np.pi, np.pi),
            supported_by=below,
        )

    def _size(self, kind: str, below: int | None) -> tuple[float, float, float] | None:
        """Log-uniform sizes; on a supporter no wider than its top, or None if even the smallest is too wide."""
        top = np.inf if below is None else 0.9 * min(self.things[below].size[0], self.things[below].size[2])
        most = (top, 1.5 * top, top)
        drawn: list[float] = []
        for limit, bound in zip(KIND_SIZES[kind], most, strict=True):
            low, high = limit if isinstance(limit, tuple) else (limit * drawn[0],) * 2
            if low > bound:
                return None
            drawn.append(low * (min(high, bound) / low) ** self.rng.random())
        return drawn[0], drawn[1], drawn[2]

    def _spot_on_floor(self) -> tuple[float, float]:
        """A place (x, z) on the floor that the camera sees; farther places are as likely as near ones on a log scale."""
        half, nearest, farthest = self._floor
        z = math.exp(self.rng.uniform(nearest, farthest))
        return self.rng.uniform(-0.9, 0.9) * half * z, z

    @cached_property
    def _floor(self) -> tuple[float, float, float]:
        return floor_places(self.camera)

    def _spot_on(self, supporter: Thing) -> tuple[float, float]:
        """A place (x, z) over the supporter's top, away from its edge."""
        reach = (1 - STEADY) / 2
        across, along = self.rng.uniform(-reach, reach, size=2).tolist()
        cos, sin = math.cos(supporter.yaw), math.sin(supporter.yaw)
        (width, _, length), (x, _, z) = supporter.size, supporter.centre
        right, ahead = across * width, along * length
        return right * cos - ahead * sin + x, right * sin + ahead * cos + z

    def _shade(self, colour: str) -> RGB:
        """A colour of its own: somewhat lighter or darker than the word's, with hardly another hue."""
        lighter, hue = self.rng.uniform(-0.04, 0.04), self.rng.uniform(-0.012, 0.012, size=3).tolist()
        red, green, blue = (
            min(max(of / 255 + (lighter + each), 0.0), 1.0) for of, each in zip(COLOURS[colour], hue, strict=True)
        )
        return red, green, blue

    def _fits(self, thing: Thing) -> bool:
        """Whether it is inside the room, steady, and clear of all other things."""
        return self._inside(thing) and self._steady(thing) and not any(thing.meets(other, CLEARANCE) for other in self.things)

    def _inside(self, thing: Thing) -> bool:
        """Whether it is clear of the walls."""
        (left, _, near), (right, _, far) = self.room.low, self.room.high
        (x, _, z), (to_x, to_z), reach = thing.centre, self._axes, thing.reach + CLEARANCE + 1e-6
        across, along = x * to_x[0] + z * to_x[1], x * to_z[0] + z * to_z[1]
        if left + reach < across < right - reach and near + reach < along < far - reach:
            return True  # even its circle
        corners = (thing.vertices @ self.room.turn)[:, [0, 2]]
        low, high = np.array((left, near)) + CLEARANCE, np.array((right, far)) - CLEARANCE
        return not ((corners < low).any() or (corners > high).any())

    @cached_property
    def _axes(self) -> tuple[list[float], list[float]]:
        """The room's x and z axes as (x, z) of the levelled frame."""
        turn = self.room.turn
        return turn[[0, 2], 0].tolist(), turn[[0, 2], 2].tolist()

    def _steady(self, thing: Thing) -> bool:
        """Whether its centre of mass is well over every thing below it, so that no stack can tip."""
        below = thing.supported_by
        while below is not None:
            supporter = self.things[below]
            margin = STEADY * min(supporter.size[0], supporter.size[2]) / 2
            if supporter.bodies[0].outside(thing.mass_centre[None, [0, 2]]).max() > -margin:
                return False
            below = supporter.supported_by
        return True

    def _view(self, thing: Thing) -> _View | None:
        """Its box in the image, or None if it shows badly.

        It shows badly if it is too near, too small or too large in the image, cut by the border, or hides behind another
        or hides it.
        """
        (x0, y0, nearest), (x1, y1, farthest) = self._seen_box(thing)
        if nearest < NEAREST_AHEAD:
            return None
        view = _View(x0, y0, x1, y1, (nearest + farthest) / 2)
        shown = view.overlap(_View(0.0, 0.0, float(self.camera.width), float(self.camera.height), 0.0))
        share = shown / (self.camera.width * self.camera.height)
        border = CUT if self.rng.random() < CUT_CHANCE else 0
        if not AREA[0] < share < AREA[1] or shown < (1 - border) * view.area:
            return None
        return None if any(view.clashes(other) for other in self.views) else view

    def _seen_box(self, thing: Thing) -> tuple[list[float], list[float]]:
        """Lowest and highest (u, v, depth) of a thing: as `camera.project` of all its vertices, in a third of the time."""
        to_camera = [self._towards(thing, axis) for axis in self._camera_axes]
        if len(thing.shape.corners) > _FEW:
            points = np.array(to_camera) @ thing.shape.outermost
            points[:2] /= points[2]
            (x0, y0, nearest), (x1, y1, farthest) = (reduce(points, axis=1).tolist() for reduce in _ENDS)
        else:
            right, down, ahead = ([a * x + b * y + c * z + d for x, y, z in thing.shape.corners] for a, b, c, d in to_camera)
            across = [part / depth for part, depth in zip(right, ahead, strict=True)]
            below = [part / depth for part, depth in zip(down, ahead, strict=True)]
            x0, y0, nearest, x1, y1, farthest = min(across), min(below), min(ahead), max(across), max(below), max(ahead)
        k = self.camera.intrinsics
        return [k.fx * x0 + k.cx, k.fy * y0 + k.cy, nearest], [k.fx * x1 + k.cx, k.fy * y1 + k.cy, farthest]

    def _towards(self, thing: Thing, axis: Sequence[float]) -> tuple[float, float, float, float]:
        """How far a point of a thing's cube is along an axis: what x, y, z and 1 are multiplied by."""
        (width, height, length), (x, y, z), (right, down, ahead) = thing.size, thing.centre, axis
        cos, sin = math.cos(thing.yaw), math.sin(thing.yaw)
        across, along = width * (cos * right + sin * ahead), length * (cos * ahead - sin * right)
        return across, height * down, along, x * right + y * down + z * ahead

    @cached_property
    def _camera_axes(self) -> list[list[float]]:
        return self.camera.to_level.T.tolist()


class _View(NamedTuple):
    """The box of a thing in the image, pixels, and its depth."""

    x0: float
    y0: float
    x1: float
    y1: float
    depth: float

    @property
    def area(self) -> float:
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def overlap(self, other: _View) -> float:
        """Area that both cover."""
        left, upper, right, lower, _ = self
        x0, y0, x1, y1, _ = other
        width = (right if right < x1 else x1) - (left if left > x0 else x0)
        height = (lower if lower < y1 else y1) - (upper if upper > y0 else y0)
        return width * height if width > 0 and height > 0 else 0.0

    def clashes(self, other: _View) -> bool:
        """Whether the nearer of the two covers too much of the other."""
        both = self.overlap(other)
        if not both:
            return False
        hides = self.depth <= other.depth and both > HIDDEN * other.area
        return hides or (other.depth <= self.depth and both > HIDDEN * self.area)
