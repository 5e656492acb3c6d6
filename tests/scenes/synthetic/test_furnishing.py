"""The library of furnish.c furnishes rooms as Python does, with the same draws, and is left alone where it does not."""

import numpy as np
import pytest

from native_fixtures import built_anew
from spatialreasoner.core.native import FURNISHING
from spatialreasoner.scenes.synthetic import furnishing, layout
from spatialreasoner.scenes.synthetic.native import furnisher
from spatialreasoner.scenes.synthetic.native.furnisher import furnish_library


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with built_anew(FURNISHING, tmp_path_factory.mktemp("native"), furnisher, furnish_library) as found:
        yield found


@pytest.fixture
def chosen():
    """What `sample` takes is chosen anew within the test, and after it."""
    layout.trusted_furnish.cache_clear()
    yield
    layout.trusted_furnish.cache_clear()


@pytest.mark.parametrize(("width", "height"), [(128, 128), (64, 200), (320, 96)])
def test_rooms_are_furnished_alike_to_the_last_bit(library, monkeypatch, chosen, width, height):
    monkeypatch.setattr(layout, "furnish_library", lambda: library)
    ours = [layout.sample(7, index, attempt=index % 2, width=width, height=height) for index in range(80)]
    assert layout.trusted_furnish() is library
    monkeypatch.setattr(layout, "furnish_library", lambda: None)
    layout.trusted_furnish.cache_clear()
    pythons = [layout.sample(7, index, attempt=index % 2, width=width, height=height) for index in range(80)]
    assert layout.trusted_furnish() is furnishing.furnish
    assert ours == pythons  # the light is drawn last, so all draws before it were as many
    assert {thing.supported_by is None for world in ours for thing in world.things} == {True, False}


def test_a_library_that_draws_otherwise_is_not_taken(library, monkeypatch, chosen):
    def one_draw_more(rng, camera, room):
        rng.random()
        return library(rng, camera, room)

    assert layout.furnishes_alike(library)
    monkeypatch.setattr(layout, "furnish_library", lambda: one_draw_more)
    assert layout.trusted_furnish() is furnishing.furnish


def test_every_kind_has_its_place_in_the_library(library):
    assert sorted(furnisher.FURNISHED_KINDS) == sorted(furnishing.KIND_SIZES)
    assert all(np.isfinite(limit).all() for kind in furnisher.FURNISHED_KINDS for limit in furnishing.KIND_SIZES[kind])
