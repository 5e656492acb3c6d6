"""Seeing a procedural room: exact depth and owner of each pixel by ray casting, colours by a sun, shadows and a sky glow.

Embree casts the rays. A camera ray's direction has z = 1 in the camera's own axes, so the distance that Embree returns, in
units of the direction's length, is the depth along the optical axis.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int16, Shaped, UInt8

from spatialreasoner.scene.synthetic.world import Room, Thing, World

FLOOR, WALL = -1, -2
"""Owner of a pixel that shows no thing; the ceiling counts as wall."""

_NUDGE = 1e-4
"""How far a ray leaves a surface before it may hit again, metres."""

_CONTRAST = 0.04
"""Pixels that differ more than this from a neighbour (linear light) are cast again with more rays."""


_GLOSS = 0.12
"""Brightness of the sun's reflection on things."""


class Rendering(NamedTuple):
    """What the camera sees.

    Attributes:
        image: The picture, sRGB.
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


def render(world: World) -> Rendering:
    """See a world, which must hold at least one thing."""
    return Caster(world).render()


class Caster:
    """Casts the rays of one world, which must hold at least one thing."""

    def __init__(self, world: World) -> None:
        """Build the meshes of the things and of the room."""
        self.world = world
        self._mesh = _things_mesh(world.things)
        self._things = _embree(self._mesh.vertices, self._mesh.faces)
        self._room = _embree(_room_corners(world.room), _ROOM_FACES)
        self._room_normals = (_ROOM_NORMALS @ world.room.turn.T).astype(np.float32)
        self._palette = _linear(np.array([thing.rgb for thing in world.things]))

    def render(self) -> Rendering:
        """The picture, smooth at its edges, and the exact depth and owner through every pixel's centre."""
        camera = self.world.camera
        directions = self._pixels()
        hits = self._cast(directions)
        shape = camera.height, camera.width
        light = self._shade(hits, directions).reshape(*shape, 3)
        rows, columns = np.nonzero(_edges(light))
        finer = self._directions((columns[:, None] + _SUBPIXELS[:, 0]).ravel(), (rows[:, None] + _SUBPIXELS[:, 1]).ravel())
        light[rows, columns] = self._shade(self._cast(finer), finer).reshape(len(rows), -1, 3).mean(axis=1)
        return Rendering(_srgb(light), hits.depth.reshape(shape), hits.owner.reshape(shape))

    def whole_areas(self) -> Int[np.ndarray, " things"]:
        """How many pixels of the picture each thing would cover were it alone.

        Rays go on through what they hit until they have left everything behind.
        """
        directions = self._pixels()
        seen = np.zeros((len(self.world.things), len(directions)), dtype=bool)
        alive, start = np.arange(len(directions)), np.zeros(len(directions), dtype=np.float32)
        while len(alive):
            ahead = directions[alive]
            found: Any = self._things.run(ahead * start[:, None], ahead, output=1)
            hit = found["primID"] >= 0
            alive, start = alive[hit], (start + found["tfar"])[hit] + _NUDGE
            seen[self._mesh.owner[found["primID"][hit]], alive] = True
        return seen.sum(axis=1)

    def _pixels(self) -> Float32[np.ndarray, "n 3"]:
        """Rays through the centres of all pixels, row by row."""
        camera = self.world.camera
        u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        return self._directions(u.ravel(), v.ravel())

    def _directions(self, u: Shaped[np.ndarray, " n"], v: Shaped[np.ndarray, " n"]) -> Float32[np.ndarray, "n 3"]:
        """Rays through image points, levelled frame, of length 1 along the optical axis."""
        k = self.world.camera.intrinsics
        x, y = (u - k.cx) / k.fx, (v - k.cy) / k.fy
        rays = np.stack([x, y, np.ones_like(x)], axis=1) @ self.world.camera.to_level.T
        return np.ascontiguousarray(rays, dtype=np.float32)

    def _cast(self, directions: Float32[np.ndarray, "n 3"]) -> Hits:
        """Where rays from the camera end: on a thing, or else on the room."""
        found: Any = self._things.run(np.zeros_like(directions), directions, output=1)
        depth, face = found["tfar"], found["primID"]
        hit, missed = np.flatnonzero(face >= 0), np.flatnonzero(face < 0)
        behind: Any = self._room.run(np.zeros((len(missed), 3), dtype=np.float32), directions[missed], output=1)
        depth[missed] = behind["tfar"]
        owner, normal = np.empty(len(face), dtype=np.int16), np.empty_like(directions)
        owner[hit], owner[missed] = self._mesh.owner[face[hit]], _ROOM_OWNER[behind["primID"]]
        normal[hit] = self._normals(face[hit], found["u"][hit], found["v"][hit])
        normal[missed] = self._room_normals[behind["primID"]]
        return Hits(directions * depth[:, None], depth, owner, normal)

    def _normals(
        self, face: Int[np.ndarray, " n"], u: Float32[np.ndarray, " n"], v: Float32[np.ndarray, " n"]
    ) -> Float32[np.ndarray, "n 3"]:
        """Normals on faces of things, between those of the corners: Embree's u and v weigh the second and third corner."""
        weights = np.stack([1 - u - v, u, v], axis=1)
        return _unit(np.einsum("nk,nkc->nc", weights, self._mesh.normals[face]))

    def _shade(self, hits: Hits, directions: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3"]:
        """Linear light that comes from each hit: a sun with shadows, a glow from above, a slight gloss on things."""
        light = self.world.light
        towards = np.array(light.towards, dtype=np.float32)
        facing = hits.normal @ towards
        sunlit = self._sunlit(hits, facing)
        bright = light.sun * facing * sunlit + light.glow * (0.8 - 0.2 * hits.normal[:, 1])
        seen = self._albedo(hits) * bright[:, None]
        glossy = np.flatnonzero(sunlit & (hits.owner >= 0))
        half = _unit(towards - _unit(directions[glossy]))
        mirrored = np.einsum("nc,nc->n", hits.normal[glossy], half)
        seen[glossy] += (_GLOSS * light.sun * np.maximum(mirrored, 0) ** 24)[:, None]
        return seen

    def _sunlit(self, hits: Hits, facing: Float32[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Whether the sun reaches each hit; the walls let it through."""
        sunlit = facing > 0
        start = (hits.point + _NUDGE * 10 * hits.normal)[sunlit]
        towards = np.broadcast_to(np.array(self.world.light.towards, dtype=np.float32), start.shape)
        blocked: Any = self._things.run(np.ascontiguousarray(start), np.ascontiguousarray(towards), query="OCCLUDED")
        sunlit[sunlit] = blocked < 0
        return sunlit

    def _albedo(self, hits: Hits) -> Float32[np.ndarray, "n 3"]:
        room = self.world.room
        albedo = self._palette[hits.owner]
        walls, floor = hits.owner == WALL, hits.owner == FLOOR
        skirting = hits.point[walls, 1] > self.world.camera.altitude - 0.08
        albedo[walls] = np.where(skirting[:, None], 0.7, 1) * _linear(np.array(room.walls))
        x, _, z = (hits.point[floor] @ room.turn).T
        albedo[floor] = _linear(np.array(room.floor))[_tone(room.pattern, x / room.tile, z / room.tile)]
        return albedo


class _Mesh(NamedTuple):
    """All things as triangles; `owner` is the thing of each face."""

    vertices: Float32[np.ndarray, "n 3"]
    faces: Int[np.ndarray, "f 3"]
    normals: Float32[np.ndarray, "f 3 3"]
    owner: Int16[np.ndarray, " f"]


def _things_mesh(things: tuple[Thing, ...]) -> _Mesh:
    faces = [thing.shape.faces for thing in things]
    starts = np.cumsum([0, *(len(thing.vertices) for thing in things)])
    return _Mesh(
        vertices=np.concatenate([thing.vertices for thing in things]).astype(np.float32),
        faces=np.concatenate([f + start for f, start in zip(faces, starts, strict=False)]).astype(np.int32),
        normals=np.concatenate([_unit(thing.shape.normals / thing.size) @ thing.turn.T for thing in things]).astype(np.float32),
        owner=np.repeat(np.arange(len(things), dtype=np.int16), [len(f) for f in faces]),
    )


def _embree(vertices: Float32[np.ndarray, "n 3"], faces: Int[np.ndarray, "f 3"]) -> Any:
    """An Embree scene of one mesh. Robust: no ray slips through between two triangles."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    scene = EmbreeScene(robust=True)
    TriangleMesh(scene, vertices, faces)
    return scene


# Corners are numbered by the bits of x, y and z: 0 for low, 1 for high. Two triangles a side: floor, ceiling, then walls.
_ROOM_SIDES = ((2, 3, 7, 6), (0, 1, 5, 4), (0, 1, 3, 2), (4, 5, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
_ROOM_FACES = np.array([triangle for a, b, c, d in _ROOM_SIDES for triangle in ((a, b, c), (a, c, d))], dtype=np.int32)
_ROOM_OWNER = np.array([FLOOR] * 2 + [WALL] * 10, dtype=np.int16)
_ROOM_NORMALS = np.repeat([[0, -1, 0], [0, 1, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 1], [0, 0, -1]], 2, axis=0)


def _room_corners(room: Room) -> Float32[np.ndarray, "8 3"]:
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    low, high = np.array(room.low), np.array(room.high)
    return ((low + corners * (high - low)) @ room.turn.T).astype(np.float32)


def _tone(pattern: str, x: Float32[np.ndarray, " n"], z: Float32[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Which of the floor's two tones a place has, in units of the tile."""
    if pattern == "plain":
        return np.zeros(len(x), dtype=int)
    across = np.floor(x).astype(int)
    if pattern == "tiles":
        return (across + np.floor(z).astype(int)) % 2
    return across % 2


_SUBPIXELS = np.array([[-0.375, -0.125], [0.125, -0.375], [0.375, 0.125], [-0.125, 0.375]])
"""A rotated grid: four rays that tell apart four columns and four rows."""


_ANY = np.ones(3, dtype=bool)


def _edges(light: Float32[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Pixels that differ clearly from a neighbour."""
    down = (np.abs(light[1:] - light[:-1]) > _CONTRAST) @ _ANY
    right = (np.abs(light[:, 1:] - light[:, :-1]) > _CONTRAST) @ _ANY
    edges = np.zeros(light.shape[:2], dtype=bool)
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= right
    edges[:, :-1] |= right
    return edges


def _unit(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    return vectors / np.sqrt(np.einsum("...c,...c->...", vectors, vectors))[..., None]


def _linear(srgb: Float[np.ndarray, "*n 3"]) -> Float32[np.ndarray, "*n 3"]:
    """Linear light of sRGB 0..1 (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LEVELS = np.linspace(0, 1, 4096)
_SRGB = np.rint(
    255 * np.where(_LEVELS <= 0.0031308, 12.92 * _LEVELS, 1.055 * _LEVELS ** (1 / 2.4) - 0.055)
).astype(np.uint8)  # fmt: skip


def _srgb(light: Float32[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Linear light 0..1 as sRGB bytes, looked up in a table because powers are slow."""
    return _SRGB[(np.clip(light, 0, 1) * 4095).astype(np.int16)]
