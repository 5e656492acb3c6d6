"""The kinds of thing in a procedural room, each a few convex parts that fill the unit cube.

A part is the convex hull of a handful of points: closed, and simple to keep apart from another. The cube runs from -0.5 to
0.5 along x (right), y (down) and z (forward), so a thing stands on y = 0.5. A thing stretches its kind's cube to its size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

SECTIONS = 32
"""Corners of a circle: the flat faces of a round thing stay within 0.5 % of its radius."""

_CREASE = np.cos(np.radians(40))
"""Faces that meet at a smaller angle are shaded as one smooth surface."""

Points = Float[np.ndarray, "n 3"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One convex body in the unit cube.

    Attributes:
        vertices: Its corners.
        faces: Triangles of corners.
        normals: Outward unit normal at each corner of each triangle, shared across smooth edges.
        footprint: Its outline seen along y, as (x, z) counter-clockwise.
    """

    vertices: Float[np.ndarray, "n 3"]
    faces: Int[np.ndarray, "f 3"]
    normals: Float[np.ndarray, "f 3 3"]
    footprint: Float[np.ndarray, "k 2"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Shape:
    """A kind of thing.

    Attributes:
        parts: The convex bodies it is made of.
        mass_centre: Its centre of mass, all parts being of one material.
        carries: Whether things stay on the upper face of its first part.
        hull: Those of `vertices` that the hull of them all has.
    """

    parts: tuple[Part, ...]
    mass_centre: Float[np.ndarray, " 3"]
    carries: bool
    hull: tuple[int, ...]

    @cached_property
    def vertices(self) -> Float[np.ndarray, "n 3"]:
        """The corners of all parts, one part after the other."""
        return np.concatenate([part.vertices for part in self.parts])

    @cached_property
    def faces(self) -> Int[np.ndarray, "f 3"]:
        """The triangles of all parts, as rows of `vertices`."""
        starts = np.cumsum([0, *(len(part.vertices) for part in self.parts)])
        faces = [part.faces + start for part, start in zip(self.parts, starts, strict=False)]
        return np.concatenate(faces).astype(np.int32)

    @cached_property
    def normals(self) -> Float[np.ndarray, "f 3 3"]:
        """Normals of the corners of `faces`."""
        return np.concatenate([part.normals for part in self.parts])

    @cached_property
    def corners(self) -> list[tuple[float, float, float]]:
        """The corners of its hull: what bounds the thing from wherever it is seen."""
        return [(x, y, z) for x, y, z in self.vertices[list(self.hull)].tolist()]

    @cached_property
    def outermost(self) -> Float[np.ndarray, "4 n"]:
        """The same as columns x, y, z, 1."""
        return np.array([(*corner, 1.0) for corner in self.corners]).T.copy()

    @cached_property
    def footprints(self) -> Float[np.ndarray, "k 3"]:
        """The footprints of all parts, one part after the other, as points at half the height."""
        return np.insert(np.concatenate([part.footprint for part in self.parts]), 1, 0.0, axis=1)

    @cached_property
    def footprint_rows(self) -> tuple[slice, ...]:
        """Where in `footprints` that of each part is."""
        ends = list(accumulate(len(part.footprint) for part in self.parts))
        return tuple(slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True))

    @cached_property
    def heights(self) -> tuple[tuple[float, float], ...]:
        """The y of each part's top and bottom."""
        return tuple((float(part.vertices[:, 1].min()), float(part.vertices[:, 1].max())) for part in self.parts)

    @cached_property
    def directions(self) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "f 3"]]:
        """The different ones of `normals`, and which of them each corner of a face has."""
        different, which = np.unique(self.normals.reshape(-1, 3), axis=0, return_inverse=True)
        return different, which.reshape(-1, 3)

    @cached_property
    def curved(self) -> Bool[np.ndarray, " f"]:
        """Which of `faces` have corners with different normals."""
        return np.abs(self.normals - self.normals[:, :1]).max(axis=(1, 2)) > 1e-6


@cache
def shape(kind: str) -> Shape:
    """The shape of a kind.

    Raises:
        KeyError: If the kind is unknown.
    """
    found = _hulls()[kind]
    hulls = [_hull(points, **each) for points, each in zip(part_points(kind), found["parts"], strict=True)]
    volumes = np.array([volume for _, _, volume in hulls])
    centres = np.array([centre for _, centre, _ in hulls])
    return Shape(
        parts=tuple(part for part, _, _ in hulls),
        mass_centre=(volumes[:, None] * centres).sum(axis=0) / volumes.sum(),
        carries=kind in CARRIERS,
        hull=tuple(found["hull"]),
    )


def part_points(kind: str) -> list[Points]:
    """The corners of each part of a kind.

    Raises:
        KeyError: If the kind is unknown.
    """
    return _POINTS[kind]()


@cache
def _hulls() -> dict[str, Any]:
    """The convex hulls of all kinds, as `scripts/convex_hulls.py` found them.

    In a file, for Qhull comes with scipy, which takes longer to import than a hundred rooms to make; and another release of it
    might list faces in another order.
    """
    return json.loads(Path(__file__).with_name("hulls.json").read_text("utf-8"))


def _hull(points: Points, faces: list[list[int]], outline: list[int]) -> tuple[Part, Float[np.ndarray, " 3"], float]:
    """A convex part, its centre of mass and its volume, from its triangles and its outline seen from above."""
    triangles = np.array(faces)
    wedges = np.linalg.det(points[triangles] - points.mean(axis=0)) / 6  # volume from the middle to each face
    centroids = (points[triangles].sum(axis=1) + points.mean(axis=0)) / 4
    centre = (wedges[:, None] * centroids).sum(axis=0) / wedges.sum()
    return (
        Part(
            vertices=points,
            faces=triangles,
            normals=_corner_normals(points, triangles),
            footprint=points[:, [0, 2]][outline],
        ),
        centre,
        float(wedges.sum()),
    )


def _corner_normals(points: Points, faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "f 3 3"]:
    """Area-weighted mean normal of the faces around each corner that are smooth with the corner's own face."""
    a, b, c = points[faces].swapaxes(0, 1)
    areas = np.cross(b - a, c - a)
    units = areas / np.linalg.norm(areas, axis=1, keepdims=True)
    normals = np.empty((*faces.shape, 3))
    for vertex in range(len(points)):
        around, corner = np.nonzero(faces == vertex)
        smooth = units[around] @ units[around].T > _CREASE
        normals[around, corner] = smooth @ areas[around]
    return normals / np.linalg.norm(normals, axis=2, keepdims=True)


def _ring(radius: float, y: float, sections: int = SECTIONS) -> Points:
    """Points on a level circle; the corners of a few sections lie on the circle, the first one on the x axis."""
    angle = 2 * np.pi * np.arange(sections) / sections
    return np.stack([radius * np.cos(angle), np.full(sections, y), radius * np.sin(angle)], axis=1)


def _block(x0: float, x1: float, y0: float, y1: float, z0: float, z1: float) -> Points:
    return np.array([[x, y, z] for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)])


def _legs(top: float, thickness: float, far: float = 0.5) -> list[Points]:
    """Four square legs from `top` to the floor, their outer corners at (+-far, +-far)."""
    near = far - thickness
    sides = ((-far, -near), (near, far))
    return [_block(*x, top, 0.5, *z) for x in sides for z in sides]


def _ball() -> list[Points]:
    """Rings of latitude around y, with a vertex at either pole, so that it touches the ground in one point."""
    latitude = np.pi * (np.arange(1, SECTIONS // 2) / (SECTIONS // 2) - 0.5)
    rings = [_ring(0.5 * np.cos(angle), 0.5 * np.sin(angle)) for angle in latitude]
    return [np.concatenate([*rings, [[0, -0.5, 0], [0, 0.5, 0]]])]


def _dome() -> list[Points]:
    latitude = np.pi / 2 * np.arange(SECTIONS // 4) / (SECTIONS // 4)
    rings = [_ring(0.5 * np.cos(angle), 0.5 - np.sin(angle)) for angle in latitude]
    return [np.concatenate([*rings, [[0, -0.5, 0]]])]


def _wedge() -> list[Points]:
    """A ramp that rises along x."""
    return [np.array([[x, y, z] for z in (-0.5, 0.5) for x, y in ((-0.5, 0.5), (0.5, 0.5), (0.5, -0.5))])]


def _bench_ends() -> list[Points]:
    return [_block(*x, -0.36, 0.5, -0.46, 0.46) for x in ((-0.48, -0.42), (0.42, 0.48))]


def _chair() -> list[Points]:
    seat = _block(-0.5, 0.5, -0.04, 0.04, -0.5, 0.5)
    back = _block(-0.5, 0.5, -0.5, -0.04, 0.38, 0.5)
    return [seat, back, *_legs(0.04, 0.12)]


_POINTS: Mapping[str, Callable[[], list[Points]]] = {
    "box": lambda: [_block(-0.5, 0.5, -0.5, 0.5, -0.5, 0.5)],
    "ball": _ball,
    "cylinder": lambda: [np.concatenate([_ring(0.5, -0.5), _ring(0.5, 0.5)])],
    "cone": lambda: [np.concatenate([_ring(0.5, 0.5), [[0, -0.5, 0]]])],
    "pyramid": lambda: [np.array([[x, 0.5, z] for x in (-0.5, 0.5) for z in (-0.5, 0.5)] + [[0, -0.5, 0]])],
    "prism": lambda: [np.concatenate([_ring(0.5, -0.5, 6), _ring(0.5, 0.5, 6)])],
    "wedge": _wedge,
    "dome": _dome,
    "table": lambda: [_block(-0.5, 0.5, -0.5, -0.43, -0.5, 0.5), *_legs(-0.43, 0.08)],
    "stool": lambda: [np.concatenate([_ring(0.5, -0.5), _ring(0.5, -0.38)]), *_legs(-0.38, 0.1, 0.34)],
    "bench": lambda: [_block(-0.5, 0.5, -0.5, -0.36, -0.5, 0.5), *_bench_ends()],
    "chair": _chair,
}

SHAPE_KINDS = tuple(_POINTS)
FURNITURE = ("table", "stool", "bench", "chair")
CARRIERS = frozenset({"box", "cylinder", "prism", "table", "stool", "bench"})
"""Kinds with a flat top and nothing above it."""
