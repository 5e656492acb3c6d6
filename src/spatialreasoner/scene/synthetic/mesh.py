"""A world as two meshes of triangles: its things, and the room around them.

Two, because Embree casts twice as fast through things that the room's large triangles do not overlap, and because the sun
shines through walls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int16, Int32

from spatialreasoner.scene.synthetic.world import Room, Thing

FLOOR, WALL = -1, -2
"""Owner of what is no thing; the ceiling counts as wall."""


class Mesh(NamedTuple):
    """Triangles in the levelled camera frame, metres.

    Attributes:
        vertices: All corners.
        faces: Rows of `vertices`.
        normals: Unit normal at each corner of each face, away from the thing and into the room.
        curved: Whether the normals of a face's corners differ.
        owner: The thing that a face belongs to, `FLOOR` or `WALL`.
    """

    vertices: Float32[np.ndarray, "n 3"]
    faces: Int32[np.ndarray, "f 3"]
    normals: Float32[np.ndarray, "f 3 3"]
    curved: Bool[np.ndarray, " f"]
    owner: Int16[np.ndarray, " f"]

    def embree(self) -> Any:
        """Embree's form of the mesh. Robust: no ray slips through between two triangles."""
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        scene = EmbreeScene(robust=True)
        TriangleMesh(scene, self.vertices, self.faces)
        return scene


def things_mesh(things: Sequence[Thing]) -> Mesh:
    """All things as one mesh."""
    meshes = [_thing(thing, index) for index, thing in enumerate(things)]
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)], dtype=np.int32)
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        faces=np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        curved=np.concatenate([mesh.curved for mesh in meshes]),
        owner=np.concatenate([mesh.owner for mesh in meshes]),
    )


def _thing(thing: Thing, index: int) -> Mesh:
    shape = thing.shape
    return Mesh(
        vertices=thing.vertices.astype(np.float32),
        faces=shape.faces,
        normals=unit((shape.normals / np.array(thing.size)) @ thing.turn.T).astype(np.float32),
        curved=shape.curved,
        owner=np.full(len(shape.faces), index, dtype=np.int16),
    )


# Corners are numbered by the bits of x, y and z: 0 for low, 1 for high. Two triangles a side: floor, ceiling, then walls.
_SIDES = ((2, 3, 7, 6), (0, 1, 5, 4), (0, 1, 3, 2), (4, 5, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
_FACES = np.array([triangle for a, b, c, d in _SIDES for triangle in ((a, b, c), (a, c, d))], dtype=np.int32)
_INWARD = np.array([[0, -1, 0], [0, 1, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 1], [0, 0, -1]])


def room_mesh(room: Room) -> Mesh:
    """The inner sides of a room."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    low, high = np.array(room.low), np.array(room.high)
    normals = np.repeat(_INWARD @ room.turn.T, 2, axis=0)
    return Mesh(
        vertices=((low + corners * (high - low)) @ room.turn.T).astype(np.float32),
        faces=_FACES,
        normals=np.repeat(normals[:, None], 3, axis=1).astype(np.float32),
        curved=np.zeros(len(_FACES), dtype=bool),
        owner=np.array([FLOOR] * 2 + [WALL] * 10, dtype=np.int16),
    )


def unit(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """The vectors at length 1."""
    return vectors / np.sqrt(np.einsum("...c,...c->...", vectors, vectors))[..., None]
