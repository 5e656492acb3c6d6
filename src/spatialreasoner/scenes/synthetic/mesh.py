"""The things of a world as one mesh of triangles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int16, Int32

from spatialreasoner.scenes.synthetic.world import Thing


class Mesh(NamedTuple):
    """Triangles in the levelled camera frame, metres.

    Attributes:
        vertices: All corners.
        faces: Rows of `vertices`.
        normals: Unit normal at each corner of each face, away from the thing.
        curved: Whether the normals of a face's corners differ.
        owner: The thing that a face belongs to.
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


def mesh(things: Sequence[Thing]) -> Mesh:
    """The mesh of all things."""
    meshes = [_thing(thing, index) for index, thing in enumerate(things)]
    starts = np.cumsum([0, *(len(each.vertices) for each in meshes)], dtype=np.int32)
    return Mesh(
        vertices=np.concatenate([each.vertices for each in meshes]),
        faces=np.concatenate([each.faces + start for each, start in zip(meshes, starts, strict=False)]),
        normals=np.concatenate([each.normals for each in meshes]),
        curved=np.concatenate([each.curved for each in meshes]),
        owner=np.concatenate([each.owner for each in meshes]),
    )


def _thing(thing: Thing, index: int) -> Mesh:
    shape = thing.shape
    different, which = shape.directions
    normals = unit((different / np.array(thing.size)) @ thing.turn.T).astype(np.float32)
    return Mesh(
        vertices=thing.vertices.astype(np.float32),
        faces=shape.faces,
        normals=normals.take(which, axis=0),
        curved=shape.curved,
        owner=np.full(len(shape.faces), index, dtype=np.int16),
    )


def unit(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """The vectors at length 1."""
    return vectors / np.sqrt(np.einsum("...c,...c->...", vectors, vectors))[..., None]
