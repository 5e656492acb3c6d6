"""Who casts the rays of a procedural room: the library of `native/rooms.c`, or numpy where there is none.

Both give the same bytes. Their sums depend on how the matrix library that numpy has was compiled, so the library is only taken
where it renders one room exactly as numpy does.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from spatialreasoner.scenes.synthetic.layout import sample
from spatialreasoner.scenes.synthetic.native.caster import NativeCaster, RayLibrary, ray_library
from spatialreasoner.scenes.synthetic.render import Caster, Rendering
from spatialreasoner.scenes.synthetic.world import World

_TRIAL = 4
"""A room with a tiled floor and round things."""


def render_world(world: World) -> Rendering:
    """See a world, which must hold at least one thing."""
    return caster_of(world).render()


def caster_of(world: World) -> Caster | NativeCaster:
    """What casts the rays of a world, which must hold at least one thing."""
    library = trusted_library()
    return Caster(world) if library is None else NativeCaster(world, library)


@cache
def trusted_library() -> RayLibrary | None:
    """The library, where there is one and it sees as numpy does."""
    library = ray_library()
    return library if library is not None and agrees(library) else None


def agrees(library: RayLibrary) -> bool:
    """Whether a library sees a room exactly as numpy does."""
    world = sample(0, _TRIAL, width=64, height=64)
    native, plain = NativeCaster(world, library), Caster(world)
    same = zip((*native.render(), native.whole_areas()), (*plain.render(), plain.whole_areas()), strict=True)
    return all(np.array_equal(a, b) for a, b in same)
