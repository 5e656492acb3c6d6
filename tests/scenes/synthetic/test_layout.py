"""The laws of a furnished room, checked with other means than the sampler's own."""

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, Delaunay

from spatialreasoner.scenes.synthetic.layout import sample

WORLDS = [sample(3, index) for index in range(40)]


def tops(thing):
    """The corners of the thing's upper face as seen from above."""
    vertices = thing.vertices
    return vertices[vertices[:, 1] < vertices[:, 1].min() + 1e-9][:, [0, 2]]


def hulls(thing):
    return [ConvexHull(thing.place(part.vertices)) for part in thing.shape.parts]


def depth_of_overlap(a, b):
    """Radius of the largest ball in the intersection of two hulls; negative where they are apart."""
    if (a.max_bound < b.min_bound).any() or (b.max_bound < a.min_bound).any():
        return -1.0
    planes = np.concatenate([a.equations, b.equations])
    constraints = np.hstack([planes[:, :3], np.ones((len(planes), 1))])
    solution = linprog([0, 0, 0, -1], A_ub=constraints, b_ub=-planes[:, 3], bounds=[(None, None)] * 4)
    return -solution.fun


def test_everything_touches_what_it_stands_on():
    stacked = 0
    for world in WORLDS:
        for thing in world.things:
            below = world.camera.altitude
            if thing.supported_by is not None:
                below = world.things[thing.supported_by].vertices[:, 1].min()
                stacked += 1
            assert abs(thing.vertices[:, 1].max() - below) < 1e-9
    assert stacked > len(WORLDS)


def test_nothing_can_tip_over():
    for world in WORLDS:
        for thing in world.things:
            below = thing.supported_by
            while below is not None:
                supporter = world.things[below]
                assert Delaunay(tops(supporter)).find_simplex(thing.mass_centre[[0, 2]]) >= 0, thing.label
                below = supporter.supported_by


def test_the_overlap_of_two_boxes_is_seen():
    """Unit boxes shifted by 0.9 share a slab 0.1 thick, which holds a ball of radius 0.05."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
    right = np.array([1.0, 0.0, 0.0])
    assert abs(depth_of_overlap(ConvexHull(corners), ConvexHull(corners + 0.9 * right)) - 0.05) < 1e-9
    assert depth_of_overlap(ConvexHull(corners), ConvexHull(corners + right)) < 1e-9


def test_nothing_interpenetrates():
    for world in WORLDS[:15]:
        bodies = [hulls(thing) for thing in world.things]
        for i, first in enumerate(bodies):
            for second in bodies[:i]:
                assert max(depth_of_overlap(a, b) for a in first for b in second) < 1e-7


def test_everything_is_inside_the_room_and_ahead_of_the_camera():
    for world in WORLDS:
        low, high = np.array(world.room.low), np.array(world.room.high)
        assert (low < 0).all()
        assert (high > 0).all()
        for thing in world.things:
            corners = thing.vertices @ world.room.turn
            assert (corners > low - 1e-9).all()
            assert (corners < high + 1e-9).all()
            assert world.camera.project(thing.vertices)[:, 2].min() > 0.5


def test_labels_are_unique_and_sizes_are_of_a_room():
    for world in WORLDS:
        labels = [thing.label for thing in world.things]
        assert len(set(labels)) == len(labels)
        for thing in world.things:
            low, high = thing.box()
            assert (high - low > 0.05).all()
            assert (high - low < 2.5).all()
            assert 0.5 < np.linalg.norm(thing.centre) < 9


def test_worlds_vary():
    things = [thing for world in WORLDS for thing in world.things]
    assert len({thing.kind for thing in things}) == 12
    assert len({thing.colour for thing in things}) == 12
    assert np.std([np.degrees(world.camera.pitch) for world in WORLDS]) > 3
    assert np.std([world.camera.altitude for world in WORLDS]) > 0.2
    assert np.std([world.camera.intrinsics.fx for world in WORLDS]) > 5
    assert any(world.camera.roll != 0 for world in WORLDS)


def test_a_world_depends_on_seed_index_and_attempt_alone():
    assert sample(3, 7) == sample(3, 7)
    for other in (sample(4, 7), sample(3, 8), sample(3, 7, attempt=1)):
        assert other != sample(3, 7)


@pytest.mark.parametrize(("width", "height"), [(128, 128), (512, 384), (96, 160)])
def test_things_show_at_any_size(width, height):
    world = sample(0, 0, width=width, height=height)
    for thing in world.things:
        u, v, _ = world.camera.project(np.array([thing.centre]))[0]
        assert 0 <= u < width
        assert 0 <= v < height
