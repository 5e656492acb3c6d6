"""Seeing a procedural room: exact depth and owner of each pixel by ray casting, colours by a sun, shadows and a sky glow.

Embree casts rays at the things; where a ray leaves the room, which is a box, arithmetic tells. A camera ray's direction has
z = 1 in the camera's own axes, so a distance in units of the direction's length is the depth along the optical axis.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int16, Shaped, UInt8

from spatialreasoner.scenes.synthetic.mesh import mesh, unit
from spatialreasoner.scenes.synthetic.world import World

FLOOR, WALL = -1, -2
"""Owner of a pixel that shows no thing; the ceiling counts as wall."""

# The room's sides: low and high x, low and high y (the ceiling and the floor), low and high z. Normals point inwards.
_SIDE_OWNER = np.array([WALL, WALL, WALL, FLOOR, WALL, WALL], dtype=np.int16)
SIDE_NORMALS = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float32
)  # fmt: skip

_OTHER_TILE, _SKIRTING_BOARD = -3, -4
"""What the floor and the walls are also made of."""

SKIRTING = 0.08
"""Height of the skirting board, metres."""

NUDGE = 1e-4
"""How far a ray continues behind a surface before it may hit again, metres of depth."""

LIFT = 1e-3
"""How far above a surface the ray to the sun starts, metres, so that no face shades itself."""

CONTRAST = 0.06
"""Pixels that differ more than this from a neighbour (linear light) are cast again with more rays."""


GLOSS = 0.12
"""Brightness of the sun's reflection on things."""


class Rendering(NamedTuple):
    """What the camera sees.

    Attributes:
        image: The image, sRGB.
        depth: Along the optical axis through each pixel's centre, metres.
        owner: The thing seen through each pixel's centre, `FLOOR` or `WALL`.
    """

    image: UInt8[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]
    owner: Int16[np.ndarray, "h w"]


class Hits(NamedTuple):
    """Where rays end."""

    point: Float32[np.ndarray, "n 3"]
    depth: Float32[np.ndarray, " n"]
    owner: Int16[np.ndarray, " n"]
    normal: Float32[np.ndarray, "n 3"]


class Caster:
    """Casts the rays of one world, which must hold at least one thing."""

    def __init__(self, world: World) -> None:
        """Build the mesh of the things."""
        self.world = world
        self._mesh = mesh(world.things)
        self._embree = self._mesh.embree()
        self._room_turn = world.room.turn.astype(np.float32)
        self._palette = palette(world)

    def render(self) -> Rendering:
        """The image, smooth at its edges, and the exact depth and owner through every pixel's centre."""
        shape = self.world.camera.height, self.world.camera.width
        light = self._shade(self._hits, self._pixels).reshape(*shape, 3)
        rows, columns = np.nonzero(_edges(light))
        u, v = columns[:, None] + SUBPIXELS[:, 0], rows[:, None] + SUBPIXELS[:, 1]
        finer = self._directions(u.ravel(), v.ravel())
        around = self._shade(self._cast(finer), finer).reshape(len(rows), len(SUBPIXELS), 3)
        light[rows, columns] = (light[rows, columns] + around.sum(axis=1)) / (1 + len(SUBPIXELS))
        return Rendering(_srgb(light), self._hits.depth.reshape(shape), self._hits.owner.reshape(shape))

    def whole_areas(self) -> Int[np.ndarray, " things"]:
        """How many pixels of the image each thing would cover were it alone.

        Rays continue through what they hit until they have left everything behind.
        """
        seen = np.zeros((len(self.world.things), len(self._pixels)), dtype=bool)
        pixels = np.flatnonzero(self._hits.owner >= 0)
        reached, owners = self._hits.depth[pixels], self._hits.owner[pixels]
        while len(pixels):
            seen[owners, pixels] = True
            ahead = self._pixels[pixels]
            reached = reached + NUDGE
            found: Any = self._embree.run(ahead * reached[:, None], ahead, output=1)
            hit = found["primID"] >= 0
            pixels, reached = pixels[hit], (reached + found["tfar"])[hit]
            owners = self._mesh.owner[found["primID"][hit]]
        return seen.sum(axis=1)

    @cached_property
    def _pixels(self) -> Float32[np.ndarray, "n 3"]:
        """Rays through the centres of all pixels, row by row."""
        camera = self.world.camera
        u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        return self._directions(u.ravel(), v.ravel())

    @cached_property
    def _hits(self) -> Hits:
        """Where the rays through the centres of all pixels end."""
        return self._cast(self._pixels)

    def _directions(self, u: Shaped[np.ndarray, " n"], v: Shaped[np.ndarray, " n"]) -> Float32[np.ndarray, "n 3"]:
        """Rays through image points, levelled frame, of length 1 along the optical axis."""
        k = self.world.camera.intrinsics
        x, y = (((u - k.cx) / k.fx).astype(np.float32), ((v - k.cy) / k.fy).astype(np.float32))
        right, down, forward = self.world.camera.to_level.T.astype(np.float32)
        return x[:, None] * right + y[:, None] * down + forward

    def _cast(self, directions: Float32[np.ndarray, "n 3"]) -> Hits:
        """Where rays from the camera end: on a thing, or else on the room."""
        found: Any = self._embree.run(np.zeros_like(directions), directions, output=1)
        depth, face = found["tfar"], found["primID"]
        owner, normal = self._mesh.owner.take(face), self._normals(found)
        missed = np.flatnonzero(face < 0)
        depth[missed], owner[missed], normal[missed] = self._leave(directions.take(missed, axis=0))
        return Hits(directions * depth[:, None], depth, owner, normal)

    def _leave(
        self, directions: Float32[np.ndarray, "n 3"]
    ) -> tuple[Float32[np.ndarray, " n"], Int16[np.ndarray, " n"], Float32[np.ndarray, "n 3"]]:
        """Depth, owner and normal where rays from the camera leave the room; four times as fast as Embree, being a box."""
        low, high = (np.array(corner, dtype=np.float32) for corner in (self.world.room.low, self.world.room.high))
        along = _times(directions, self._room_turn)
        with np.errstate(divide="ignore"):
            x, y, z = (np.abs(np.where(along[:, k] > 0, high[k], low[k]) / along[:, k]) for k in range(3))
        depth = np.minimum(np.minimum(x, y), z)
        axis = np.where(y <= depth, 1, np.where(x <= depth, 0, 2))
        side = 2 * axis + (np.take_along_axis(along, axis[:, None], axis=1)[:, 0] > 0)
        return depth, _SIDE_OWNER.take(side), (SIDE_NORMALS @ self._room_turn.T).take(side, axis=0)

    def _normals(self, found: Any) -> Float32[np.ndarray, "n 3"]:
        """Normals of things where Embree found them; anything for rays that missed."""
        face = found["primID"]
        normal = self._mesh.normals[:, 0].take(face, axis=0)
        curved = np.flatnonzero(self._mesh.curved.take(face) & (face >= 0))
        u, v = found["u"].take(curved), found["v"].take(curved)  # the weights of the second and the third corner
        weights = np.stack([1 - u - v, u, v], axis=1)
        normal[curved] = unit(np.einsum("nk,nkc->nc", weights, self._mesh.normals.take(face.take(curved), axis=0)))
        return normal

    def _shade(self, hits: Hits, directions: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3"]:
        """Linear light that comes from each hit: a sun with shadows, a glow from above, a slight gloss on things."""
        light = self.world.light
        towards = np.array(light.towards, dtype=np.float32)
        facing = _times(hits.normal, towards)
        sunlit = self._sunlit(hits, facing)
        bright = light.sun * facing * sunlit + light.glow * (0.8 - 0.2 * hits.normal[:, 1])
        seen = self._albedo(hits) * bright[:, None]
        glossy = np.flatnonzero(sunlit & (hits.owner >= 0))
        half = unit(towards - unit(directions[glossy]))
        mirrored = np.einsum("nc,nc->n", hits.normal[glossy], half)
        seen[glossy] += (GLOSS * light.sun * _sharp(np.maximum(mirrored, 0)))[:, None]
        return seen

    def _sunlit(self, hits: Hits, facing: Float32[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Whether the sun reaches each hit; the walls let it through."""
        sunlit = facing > 0
        facing_hits = np.flatnonzero(sunlit)
        start = hits.point.take(facing_hits, axis=0) + LIFT * hits.normal.take(facing_hits, axis=0)
        towards = np.empty_like(start)
        towards[:] = self.world.light.towards
        blocked: Any = self._embree.run(start, towards, query="OCCLUDED")
        sunlit[facing_hits] = blocked < 0
        return sunlit

    def _albedo(self, hits: Hits) -> Float32[np.ndarray, "n 3"]:
        """The colour of the surface at each hit."""
        room, material = self.world.room, hits.owner.copy()
        walls, floor = np.flatnonzero(material == WALL), np.flatnonzero(material == FLOOR)
        material[walls[hits.point[walls, 1] > self.world.camera.altitude - SKIRTING]] = _SKIRTING_BOARD
        if room.pattern != "plain":
            x, _, z = _times(hits.point[floor], (room.turn / room.tile).astype(np.float32)).T
            count = np.floor(x) + np.floor(z) if room.pattern == "tiles" else np.floor(x)
            material[floor[count.astype(np.int64) % 2 == 1]] = _OTHER_TILE
        return self._palette.take(material, axis=0, mode="wrap")


def _times(vectors: Float32[np.ndarray, "n 3"], by: Float32[np.ndarray, "3 ..."]) -> Float32[np.ndarray, "n ..."]:
    """`vectors @ by`, one product after the other: libraries of matrices round the sums otherwise on some processors."""
    x, y, z = vectors.T
    return np.multiply.outer(x, by[0]) + np.multiply.outer(y, by[1]) + np.multiply.outer(z, by[2])


def _sharp(cosine: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
    """The 24th power by products alone: numpy's own power rounds otherwise on processors with AVX-512 than on others."""
    third = cosine * cosine * cosine
    sixth = third * third
    twelfth = sixth * sixth
    return twelfth * twelfth


def palette(world: World) -> Float32[np.ndarray, "m 3"]:
    """Linear colours: one per thing, then, counted from the end, those of the room."""
    room = world.room
    skirting = np.array(room.walls) * 0.85
    things = [thing.rgb for thing in world.things]
    return _linear(np.array([*things, skirting, room.floor[1], room.walls, room.floor[0]]))


SUBPIXELS = np.array([[0.367, 0.098], [-0.269, 0.269], [-0.098, -0.367]])
"""A triangle about the centre, turned so that with the centre it tells apart four columns and four rows."""


_ANY = np.ones(3, dtype=bool)


def _edges(light: Float32[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Pixels that differ clearly from a neighbour."""
    down = (np.abs(light[1:] - light[:-1]) > CONTRAST) @ _ANY
    right = (np.abs(light[:, 1:] - light[:, :-1]) > CONTRAST) @ _ANY
    edges = np.zeros(light.shape[:2], dtype=bool)
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= right
    edges[:, :-1] |= right
    return edges


def _linear(srgb: Float[np.ndarray, "*n 3"]) -> Float32[np.ndarray, "*n 3"]:
    """Linear light of sRGB 0..1 (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LEVELS = np.linspace(0, 1, 4096)
SRGB = np.rint(
    255 * np.where(_LEVELS <= 0.0031308, 12.92 * _LEVELS, 1.055 * _LEVELS ** (1 / 2.4) - 0.055)
).astype(np.uint8)  # fmt: skip


def _srgb(light: Float32[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Linear light 0..1 as sRGB bytes, looked up in a table because powers are slow."""
    return SRGB[(np.clip(light, 0, 1) * 4095).astype(np.int16)]
