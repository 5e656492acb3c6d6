"""Rooms at random: the camera, the walls, the light, and what stands in them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.random import Generator

from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.synthetic import furnishing
from spatialreasoner.scenes.synthetic.native.furnisher import Furnish, furnish_library
from spatialreasoner.scenes.synthetic.world import RGB, Camera, Light, Room, World

_TRIALS = 4
"""Rooms that a library must furnish as Python does."""

_FLOORS = (  # pairs of tones, sRGB
    ((214, 196, 170), (204, 184, 156)),
    ((196, 172, 142), (184, 158, 126)),
    ((222, 218, 210), (208, 203, 194)),
    ((176, 178, 178), (164, 166, 167)),
    ((228, 214, 190), (198, 180, 152)),
    ((190, 198, 190), (178, 187, 178)),
)
_WALLS = ((232, 228, 220), (222, 226, 230), (230, 222, 206), (214, 222, 214), (226, 216, 214), (206, 208, 212))


def sample(seed: int, index: int, *, attempt: int = 0, width: int = 128, height: int = 128) -> World:
    """One room.

    Args:
        seed: The seed of the whole set.
        index: Number of the scene in the set; the room depends on nothing else.
        attempt: Number of the try at this scene, should an earlier one show too little.
        width: Width of the image, pixels.
        height: Height of the image, pixels.
    """
    return _sample(trusted_furnish(), (seed, index, attempt), width, height)


def _sample(furnish: Furnish, seeds: tuple[int, int, int], width: int, height: int) -> World:
    rng = np.random.default_rng(seeds)
    camera = _camera(rng, width, height)
    room = _room(rng, camera)
    things = furnish(rng, camera, room)
    return World(camera=camera, room=room, light=_light(rng), things=things)


@cache
def trusted_furnish() -> Furnish:
    """The library's way to furnish rooms, where there is one and it furnishes some as Python does; else Python's."""
    native = furnish_library()
    return native if native is not None and furnishes_alike(native) else furnishing.furnish


def furnishes_alike(furnish: Furnish) -> bool:
    """Whether some rooms are the same as of Python; numpy may come to draw whole numbers in another way."""
    trials = [(0, index, 0) for index in range(_TRIALS)]
    return all(_sample(furnish, each, 128, 128) == _sample(furnishing.furnish, each, 128, 128) for each in trials)


def _camera(rng: Generator, width: int, height: int) -> Camera:
    focal = 0.5 * max(width, height) / np.tan(np.radians(rng.uniform(45, 68)) / 2)
    return Camera(
        width=width,
        height=height,
        intrinsics=Intrinsics(fx=focal, fy=focal, cx=(width - 1) / 2, cy=(height - 1) / 2),
        altitude=rng.uniform(1.0, 2.1),
        pitch=np.radians(rng.uniform(10, 32)),
        roll=np.radians(rng.normal(0, 1.5)),
    )


def _room(rng: Generator, camera: Camera) -> Room:
    left, right, front, back = rng.uniform((1.8, 1.8, 4.5, 0.4), (4.5, 4.5, 7.5, 1.5))
    tones = _FLOORS[rng.integers(len(_FLOORS))]
    return Room(
        yaw=np.radians(rng.uniform(-28, 28)),
        low=(-left, camera.altitude - rng.uniform(2.4, 3.2), -back),
        high=(right, camera.altitude, front),
        floor=(_unit(tones[0]), _unit(tones[1])),
        walls=_unit(_WALLS[rng.integers(len(_WALLS))]),
        pattern=("plain", "tiles", "planks")[rng.integers(3)],
        tile=rng.uniform(0.25, 0.7),
    )


def _light(rng: Generator) -> Light:
    """A sun behind the camera or beside it, hardly ever ahead: most of what is seen is lit."""
    elevation, side = np.radians(rng.uniform(38, 70)), np.radians(rng.uniform(-105, 105))
    level = np.cos(elevation)
    towards = (float(level * np.sin(side)), float(-np.sin(elevation)), float(-level * np.cos(side)))
    return Light(towards=towards, sun=rng.uniform(0.5, 0.65), glow=rng.uniform(0.42, 0.52))


def _unit(rgb: Sequence[int]) -> RGB:
    red, green, blue = (value / 255 for value in rgb)
    return red, green, blue
