import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.geometry import NEIGHBOURS, Cloud, _are_together, clean, level, levelling, overhead, unproject

CAMERA = Intrinsics(fx=100.0, fy=120.0, cx=2.0, cy=1.0)


def test_unproject_by_hand() -> None:
    depth = np.full((3, 5), 2.0)
    points = unproject(depth, CAMERA)
    assert points.shape == (3, 5, 3)
    assert points[1, 2] == pytest.approx([0, 0, 2])
    assert points[2, 4] == pytest.approx([2 * 2 / 100, 1 * 2 / 120, 2])


def test_a_pixel_without_depth_has_no_point() -> None:
    depth = np.array([[1.0, np.nan]])
    assert np.isnan(unproject(depth, CAMERA)[0, 1]).all()


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.5, 50))
def test_unproject_undoes_projection(x: float, y: float, z: float) -> None:
    u, v = x / z * 100 + 2, y / z * 120 + 1
    shifted = Intrinsics(fx=100.0, fy=120.0, cx=2.0 - u, cy=1.0 - v)
    assert unproject(np.array([[z]]), shifted)[0, 0] == pytest.approx([x, y, z], abs=1e-9)


@given(st.floats(-0.4, 0.4), st.floats(-0.9, 0.9))
def test_levelling_makes_gravity_down_and_keeps_the_heading(roll: float, pitch: float) -> None:
    gravity = (math.sin(roll) * math.cos(pitch), math.cos(roll) * math.cos(pitch), math.sin(pitch))
    rotation = levelling(gravity)
    assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert rotation @ np.asarray(gravity) == pytest.approx([0, 1, 0], abs=1e-12)
    ahead = rotation @ np.array([0.0, 0.0, 1.0])
    assert ahead[0] == pytest.approx(0, abs=1e-12)
    assert ahead[2] > 0


def test_a_level_camera_changes_nothing() -> None:
    points = np.arange(12.0).reshape(4, 3)
    assert level(points, (0, 9.81, 0)) == pytest.approx(points)
    assert level(points, None) is points


@pytest.mark.parametrize("gravity", [(0, 0, 0), (float("nan"), 1, 0)])
def test_useless_gravity_is_refused(gravity: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="gravity"):
        levelling(gravity)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("tilt", [-0.05, 0.0, 0.05])
@pytest.mark.parametrize("roll", [-0.05, 0.0, 0.05])
def test_looking_straight_down_or_up_keeps_left_and_right_and_does_not_turn_with_a_tremor(sign, tilt, roll):
    """Looking down the image's up is ahead, looking up its down; x stays to the right."""
    gravity = (math.sin(roll), math.sin(tilt), sign * math.cos(tilt))
    rotation = levelling(gravity)
    assert overhead(gravity)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert rotation @ np.array([1.0, 0.0, 0.0]) == pytest.approx([1, 0, 0], abs=0.06)
    assert rotation @ np.array([0.0, -sign, 0.0]) == pytest.approx([0, 0, 1], abs=0.06)


def test_a_flat_thing_seen_from_the_front_is_measured():
    """A plate of 0.9 x 0.9 m in exact depth has no volume, and is none the less there."""
    plate = np.stack(np.meshgrid(np.linspace(0, 0.9, 90), np.linspace(0, 0.9, 90), [2.0]), axis=-1).reshape(-1, 3)
    cleaned = clean(plate)
    assert cleaned is not None
    assert Cloud(cleaned).extent == pytest.approx([0.9, 0.9, 0.0], abs=0.05)


def box(low: tuple[float, float, float], high: tuple[float, float, float], *, n: int = 12) -> np.ndarray:
    axes = [np.linspace(a, b, n) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)


def test_extents_of_a_box() -> None:
    cloud = Cloud(box((0, -1, 2), (0.5, 0, 2.25)))
    assert cloud.extent == pytest.approx([0.5, 1.0, 0.25])
    assert cloud.volume == pytest.approx(0.125)
    assert cloud.centre == pytest.approx([0.25, -0.5, 2.125])


def test_distances_by_hand() -> None:
    a, b = Cloud(np.array([[0.0, 0, 2], [1.0, 0, 2]])), Cloud(np.array([[1.0, 2, 2], [3.0, 2, 4]]))
    assert a.horizontal_distance(b) == pytest.approx(abs(0.5 - 2))
    assert a.vertical_distance(b) == pytest.approx(2)
    there = [math.sqrt(1 + 4), 2]
    back = [2, math.sqrt(4 + 4 + 4)]
    assert a.direct_distance(b) == pytest.approx(np.mean(there + back))


@given(st.lists(st.tuples(*[st.floats(-5, 5)] * 3), min_size=2, max_size=10))
def test_distances_are_symmetric(points: list[tuple[float, float, float]]) -> None:
    a, b = Cloud(np.array(points[:1])), Cloud(np.array(points[1:]))
    for distance in (Cloud.direct_distance, Cloud.horizontal_distance, Cloud.vertical_distance):
        assert distance(a, b) == pytest.approx(distance(b, a))


@pytest.mark.parametrize(
    ("left", "forward", "hour"),
    [(0, 1, 12), (0.1, 1, 12), (-0.1, 1, 1), (1, 1, 11), (-1, 0, 3), (0, -1, 6), (1, 0, 9)],
)
def test_the_clock_of_the_benchmark(left: float, forward: float, hour: int) -> None:
    """Hours by docs/papers.md 4.5, cut and not rounded: offsets to the left and forward, and the hour."""
    here, there = Cloud(np.zeros((1, 3))), Cloud(np.array([[-left, 0.0, forward]]))
    assert here.clock_direction(there) == hour


@given(st.floats(0.5, 359.5).filter(lambda degrees: abs(degrees % 30) > 1e-6))
def test_a_mirror_turns_hour_h_into_13_minus_h(degrees: float) -> None:
    x, z = -math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    here = Cloud(np.zeros((1, 3)))
    hour = here.clock_direction(Cloud(np.array([[x, 0, z]])))
    mirrored = here.clock_direction(Cloud(np.array([[-x, 0, z]])))
    assert mirrored == 13 - hour


def test_a_bearing_just_below_zero_is_one_oclock_or_twelve() -> None:
    here, there = Cloud(np.zeros((1, 3))), Cloud(np.array([[1e-20, 0, 1]]))
    assert here.clock_direction(there) in {12, 1}


def test_clean_drops_strays_and_keeps_the_largest_cluster() -> None:
    body, stray = box((0, 0, 2), (0.3, 0.3, 2.3)), box((2, 0, 2), (2.1, 0.1, 2.1), n=4)
    cleaned = clean(np.concatenate([body, stray]))
    assert cleaned is not None
    assert Cloud(cleaned).high[0] < 0.31


def test_clean_is_deterministic() -> None:
    points = np.random.default_rng(0).normal(size=(500, 3)) * 0.1
    first, second = clean(points), clean(points.copy())
    assert first is not None
    assert (first == second).all()


@pytest.mark.parametrize("points", [np.empty((0, 3)), np.zeros((15, 3)), np.zeros((50, 3)), np.full((50, 3), np.nan)])
def test_too_little_is_not_an_object(points: np.ndarray) -> None:
    assert clean(points) is None


def test_scattered_points_are_not_an_object() -> None:
    assert clean(np.random.default_rng(0).uniform(-50, 50, size=(200, 3))) is None


def test_what_is_taken_to_be_one_cluster_at_a_glance_is_one() -> None:
    rng, seen = np.random.default_rng(0), []
    for number in range(150):
        points = rng.uniform(0, 1, (rng.integers(10, 500), 3)) * rng.uniform(0.02, 0.6, 3)
        points += (np.arange(len(points)) % 2)[:, None] * rng.choice([0.0, 0.19, 0.5])
        reach = (0.18, 0.2, 0.22)[number % 3]
        near = cdist(points, points) <= reach
        core = near.sum(axis=0) >= NEIGHBOURS
        one = bool(core.all()) and connected_components(near)[0] == 1
        seen.append((_are_together(points, reach), one))
    assert (True, False) not in seen
    assert seen.count((True, True)) > 10
    assert (False, False) in seen
