"""The library of rooms.c sees what numpy sees, byte for byte, and is left alone where it does not."""

from dataclasses import replace

import numpy as np
import pytest

from native_fixtures import built_anew
from spatialreasoner.core.native import ROOMS
from spatialreasoner.scenes.synthetic import casting
from spatialreasoner.scenes.synthetic.layout import sample
from spatialreasoner.scenes.synthetic.native import caster
from spatialreasoner.scenes.synthetic.native.caster import NativeCaster, ray_library
from spatialreasoner.scenes.synthetic.render import Caster
from spatialreasoner.scenes.synthetic.shapes import SHAPE_KINDS
from spatialreasoner.scenes.synthetic.world import Thing


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Built of the source as it is."""
    with built_anew(ROOMS, tmp_path_factory.mktemp("native"), caster, ray_library) as found:
        yield found


def assert_alike(world, library):
    ours, theirs = NativeCaster(world, library), Caster(world)
    for mine, numpys in zip(ours.render(), theirs.render(), strict=True):
        assert mine.dtype == numpys.dtype
        np.testing.assert_array_equal(mine, numpys)
    np.testing.assert_array_equal(ours.whole_areas(), theirs.whole_areas())


@pytest.mark.parametrize(("width", "height"), [(64, 64), (128, 96), (97, 65)])
def test_random_rooms_are_seen_alike(library, width, height):
    for index in range(12):
        assert_alike(sample(3, index, width=width, height=height), library)


@pytest.mark.parametrize(("seed", "index"), [(0, 521), (0, 628), (1, 383)])
def test_gloss_is_the_same_where_the_processor_has_powers_of_its_own(library, seed, index):
    """In these rooms numpy's power, on a processor with AVX-512, made one pixel another than libm's."""
    assert_alike(sample(seed, index, width=128, height=128), library)


@pytest.mark.parametrize("kind", SHAPE_KINDS)
def test_things_at_the_lens_and_behind_others_are_seen_alike(library, kind):
    """Things that the sampler would never put there: around the camera, cut by the border, hiding each other whole."""
    places = [(0.0, 0.3, 0.4), (0.1, 0.2, 1.6), (0.0, 0.4, 3.0), (-2.0, 0.5, 2.0)]
    things = tuple(
        Thing(kind=kind, colour="red", rgb=(0.8, 0.1, 0.1), centre=each, size=(0.6, 0.8, 0.5), yaw=0.7 + z, supported_by=None)
        for z, each in enumerate(places)
    )
    for pattern in ("plain", "planks", "tiles"):
        world = sample(3, 1, width=64, height=64)
        assert_alike(replace(world, things=things, room=replace(world.room, pattern=pattern)), library)


def test_a_library_that_sees_another_room_is_not_taken(library, monkeypatch):
    assert casting.agrees(library)
    monkeypatch.setattr(caster.render, "LIFT", 0.3)  # as the library is told, but not as numpy does
    monkeypatch.setattr(casting, "Caster", Numpys)
    assert not casting.agrees(library)


class Numpys(Caster):
    """With the lift that it always had."""

    def render(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(caster.render, "LIFT", 1e-3)
            return super().render()


def test_without_a_library_numpy_sees(monkeypatch):
    monkeypatch.setattr(caster, "open_library", lambda source: None)
    ray_library.cache_clear()
    casting.trusted_library.cache_clear()
    try:
        assert isinstance(casting.caster_of(sample(0, 0, width=64, height=64)), Caster)
    finally:
        ray_library.cache_clear()
        casting.trusted_library.cache_clear()
