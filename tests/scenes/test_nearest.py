"""The library of nearest.c finds what numpy finds, and error bars are the same with it and without."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from native_fixtures import built_anew
from spatialreasoner.core.native import NEARBY
from spatialreasoner.core.types import DepthMap, Intrinsics, Region, Scene
from spatialreasoner.scenes import uncertainty
from spatialreasoner.scenes.masks import encode
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.native import nearest
from spatialreasoner.scenes.native.nearest import nearest_distances, nearest_library, nearest_squares


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with built_anew(NEARBY, tmp_path_factory.mktemp("native"), nearest, nearest_library) as found:
        yield found


@pytest.mark.parametrize("wanted", [1, 4, 7])
def test_nearest_distances_are_those_of_all_neighbours(library, wanted: int) -> None:
    rng = np.random.default_rng(wanted)
    points, near, kept = rng.normal(size=(200, 3)), rng.integers(0, 200, (200, 7)), rng.random(200) < 0.6
    found = nearest_distances(library, points, near, kept, wanted)
    apart = points[near] - points[:, None]
    squares = apart[..., 0] * apart[..., 0] + apart[..., 1] * apart[..., 1] + apart[..., 2] * apart[..., 2]
    expected = np.sort(np.where(kept[near], np.sqrt(squares), np.nan), axis=1)[kept, :wanted]
    assert np.array_equal(found, expected, equal_nan=True)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 250), (250, 7), (126, 129)])
def test_nearest_squares_are_those_of_all_pairs(library, m: int, n: int) -> None:
    rng = np.random.default_rng(m)
    one, other = rng.normal(size=(m, 3)), rng.normal(size=(2 * n, 3))[::2]
    squares = cdist(one, other, "sqeuclidean")
    assert np.array_equal(nearest_squares(library, one, other), np.concatenate([squares.min(axis=0), squares.min(axis=1)]))


def _bars(monkeypatch, library, *, prepared: bool = False):
    monkeypatch.setattr(uncertainty, "nearest_library", lambda: library)
    rng = np.random.default_rng(0)
    depth = (3 + 0.004 * rng.standard_normal((90, 120))).astype(np.float32)
    regions = []
    for number, box in enumerate([(10, 10, 50, 60), (60, 20, 110, 80)], start=1):
        mask = np.zeros(depth.shape, dtype=bool)
        mask[box[1] : box[3], box[0] : box[2]] = True
        depth[mask & (rng.random(depth.shape) < 0.9)] -= number
        regions.append(Region(id=f"region{number}", label="thing", mask=encode(mask)))
    camera, where = Intrinsics(fx=110.0, fy=110.0, cx=59.5, cy=44.5), DepthMap(path="none.png", units_per_metre=1000.0)
    scene = Scene(id="two", image="none.png", regions=tuple(regions), intrinsics=camera, depth=where, gravity=(0.0, 1.0, 0.2))
    bars = Measured(scene, depth).uncertainty
    if prepared:
        bars.prepare()
    sizes = [bars.quantity(name, region.id) for region in regions for name in ("width", "height", "depth", "camera_distance")]
    return [*sizes, *(bars.quantity(name, "region1", "region2") for name in ("distance", "vertical_distance", "direction"))]


def test_error_bars_are_the_same_with_the_library_and_without(library, monkeypatch) -> None:
    found = _bars(monkeypatch, library)
    assert found == _bars(monkeypatch, None)
    assert all(each.error for each in found)


def test_what_is_prepared_is_what_would_be_measured_one_by_one(library, monkeypatch) -> None:
    assert _bars(monkeypatch, library, prepared=True) == _bars(monkeypatch, library)
