"""The library of `rooms.c` for Python: what a camera sees of a world, to the byte what `render.Caster` sees."""

from __future__ import annotations

import ctypes
from functools import cache, cached_property
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int16, UInt8

from spatialreasoner.core.native import ROOMS, address, open_library
from spatialreasoner.scenes.synthetic import render
from spatialreasoner.scenes.synthetic.mesh import mesh
from spatialreasoner.scenes.synthetic.render import Rendering
from spatialreasoner.scenes.synthetic.world import World

_Array = np.ndarray[Any, Any]

_EMBREE = (
    "rtcNewScene",
    "rtcSetSceneFlags",
    "rtcNewGeometry",
    "rtcSetSharedGeometryBuffer",
    "rtcCommitGeometry",
    "rtcAttachGeometry",
    "rtcReleaseGeometry",
    "rtcCommitScene",
    "rtcReleaseScene",
    "rtcIntersect1",
    "rtcOccluded1",
)
"""As in `rooms.c`, whose structs these are."""

_ROOM = np.dtype(
    [
        *((name, np.int32) for name in ("width", "height", "things", "parts", "corners", "faces", "patterned")),
        *((name, np.float64) for name in ("fx", "fy", "cx", "cy")),
        ("finer", np.float64, 6),
        *(
            (name, np.uintp)
            for name in ("corner", "face", "normal", "curved", "owner", "part", "first", "of", "palette", "srgb")
        ),
        *((name, np.float32, (3, 3)) for name in ("axes", "turn", "tiles")),
        ("side_normal", np.float32, (6, 3)),
        *((name, np.float32, 3) for name in ("low", "high", "towards")),
        *((name, np.float32) for name in ("sun", "glow", "gloss", "lift", "nudge", "skirting", "contrast")),
    ],
    align=True,
)
_PATTERNS = {"plain": 0, "planks": 1, "tiles": 2}


class RayLibrary(NamedTuple):
    """What casts rays: this package's library, the functions of Embree that it calls, and Embree's device."""

    native: ctypes.CDLL
    embree: Any
    device: ctypes.c_void_p


@cache
def ray_library() -> RayLibrary | None:
    """The library of `rooms.c`; None if there is none for this processor, or Embree's cannot be called."""
    native = open_library(ROOMS)
    if native is None:
        return None
    try:
        # Of that module's file, for it finds what the module itself is linked with
        embree = ctypes.CDLL(str(import_module("embreex.rtcore_scene").__file__))
        functions = [ctypes.cast(getattr(embree, name), ctypes.c_void_p).value for name in _EMBREE]
        embree.rtcNewDevice.restype = ctypes.c_void_p
    except (OSError, AttributeError):
        return None
    device = ctypes.c_void_p(embree.rtcNewDevice(None))
    return RayLibrary(native, (ctypes.c_void_p * len(_EMBREE))(*functions), device)


class NativeCaster:
    """Casts the rays of one world, which must hold at least one thing; see `render.Caster`.

    Args:
        world: What to see.
        library: Of `ray_library`.
    """

    def __init__(self, world: World, library: RayLibrary) -> None:
        self._world, self._library = world, library

    def render(self) -> Rendering:
        """The image, smooth at its edges, and the exact depth and owner through every pixel's centre."""
        return self._seen[0]

    def whole_areas(self) -> Int[np.ndarray, " things"]:
        """How many pixels of the image each thing would cover were it alone."""
        return self._seen[1]

    @cached_property
    def _seen(self) -> tuple[Rendering, Int[np.ndarray, " things"]]:
        camera = self._world.camera
        shape = camera.height, camera.width
        light, edge = np.empty((*shape, 3), np.float32), np.empty(shape, np.uint8)
        image: UInt8[np.ndarray, "h w 3"] = np.empty((*shape, 3), np.uint8)
        depth: Float32[np.ndarray, "h w"] = np.empty(shape, np.float32)
        owner: Int16[np.ndarray, "h w"] = np.empty(shape, np.int16)
        areas = np.empty(len(self._world.things), np.int64)
        record, _kept = _room(self._world)
        native, embree, device = self._library
        if not native.rooms_render(address(record), embree, device, *map(address, (light, edge, image, depth, owner, areas))):
            raise MemoryError(f"Embree cannot take a room of {len(areas)} things")
        return Rendering(image, depth, owner), areas


def _room(world: World) -> tuple[_Array, list[_Array]]:
    """A world as `rooms.c` takes it, and the arrays that it points to."""
    made, camera, room, light = mesh(world.things), world.camera, world.room, world.light
    k, turn = camera.intrinsics, room.turn.astype(np.float32)
    corners = np.zeros(3 * len(made.vertices) + 1, np.float32)
    corners[:-1] = made.vertices.ravel()
    sizes = [len(part.vertices) for thing in world.things for part in thing.shape.parts]
    first = np.cumsum([0, *sizes], dtype=np.int32)
    parts = [len(part.faces) for thing in world.things for part in thing.shape.parts]
    faces = np.repeat(np.arange(len(parts), dtype=np.int32), parts)
    owners = np.repeat(np.arange(len(world.things), dtype=np.int32), [len(thing.shape.parts) for thing in world.things])
    kept = [
        corners,
        made.faces,
        made.normals,
        made.curved,
        made.owner,
        faces,
        first,
        owners,
        render.palette(world),
        render.SRGB,
    ]
    counts = len(world.things), len(sizes), len(made.vertices), len(made.faces), _PATTERNS[room.pattern]
    strengths = light.sun, light.glow, render.GLOSS * light.sun, render.LIFT, render.NUDGE
    limits = camera.altitude - render.SKIRTING, render.CONTRAST
    directions = camera.to_level.T, turn, room.turn / room.tile, render.SIDE_NORMALS @ turn.T
    places = (*directions, room.low, room.high, light.towards)
    kept = [np.ascontiguousarray(each) for each in kept]
    addresses = [each.ctypes.data for each in kept]
    size = camera.width, camera.height
    record = np.array(
        (*size, *counts, k.fx, k.fy, k.cx, k.cy, render.SUBPIXELS.ravel(), *addresses, *places, *strengths, *limits), _ROOM
    )
    return record, kept
