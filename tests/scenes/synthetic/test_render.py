"""Depth, visibility and light of rooms made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.geometry import level, unproject
from spatialreasoner.scenes.synthetic.layout import sample
from spatialreasoner.scenes.synthetic.render import FLOOR, WALL, Caster
from spatialreasoner.scenes.synthetic.world import Camera, Light, Room, Thing, World


def render_world(seen):
    """By numpy; `test_casting` tells that the library in C gives the same."""
    return Caster(seen).render()


def thing(kind="box", centre=(0.0, 0.5, 3.0), size=(1.0, 1.0, 1.0), yaw=0.0):
    return Thing(kind=kind, colour="red", rgb=(0.8, 0.1, 0.1), centre=centre, size=size, yaw=yaw, supported_by=None)


def world(*things, pitch=0.0, roll=0.0, towards=(0.0, -1.0, 0.0)):
    """A camera 1 m above the floor of a room 6 m wide, its far wall 6 m ahead; 101 pixels of focal length 100."""
    return World(
        camera=Camera(
            width=101,
            height=101,
            intrinsics=Intrinsics(fx=100, fy=100, cx=50, cy=50),
            altitude=1.0,
            pitch=pitch,
            roll=roll,
        ),
        room=Room(
            yaw=0.0,
            low=(-3.0, -2.0, -1.0),
            high=(3.0, 1.0, 6.0),
            floor=((0.7, 0.7, 0.7), (0.6, 0.6, 0.6)),
            walls=(0.9, 0.9, 0.9),
            pattern="plain",
            tile=0.5,
        ),
        light=Light(towards=towards, sun=0.6, glow=0.4),
        things=things,
    )


def test_depth_of_a_known_box_is_exact():
    """A box 3 m ahead, its face at 2.5 m, where a metre is 40 pixels: x from -19.8 to 19.8, y from -0.2 to 39.8 pixels."""
    _, depth, owner = render_world(world(thing(centre=(0.0, 0.495, 3.0), size=(0.99, 1.0, 1.0))))
    assert depth[55, 50] == pytest.approx(2.5, abs=1e-6)
    face = owner == 0
    np.testing.assert_allclose(depth[face], 2.5, atol=1e-6)
    rows, columns = np.nonzero(face)
    assert (columns.min(), columns.max()) == (31, 69)
    assert (rows.min(), rows.max()) == (50, 89)


def test_depth_of_a_ball_is_that_of_a_sphere_within_its_facets():
    """Ahead of the camera the nearest point of a ball of radius 0.5 at 3 m is at 2.5 m; every other pixel by the quadratic."""
    _, depth, owner = render_world(world(thing("ball", centre=(0.0, 0.0, 3.0))))
    v, u = np.nonzero(owner == 0)
    rays = np.stack([(u - 50) / 100, (v - 50) / 100, np.ones(len(u))], axis=1)
    a, b, c = (rays**2).sum(axis=1), -6.0, 9 - 0.25
    inside = b * b - 4 * a * c > 1.0  # leave out the rim, where the sphere is grazed
    exact = (-b - np.sqrt(b * b - 4 * a[inside] * c)) / (2 * a[inside])
    np.testing.assert_allclose(depth[v[inside], u[inside]], exact, atol=0.005 * 0.5 * 3)
    assert depth[50, 50] == pytest.approx(2.5, abs=1e-6)


def test_depth_of_floor_and_walls_is_exact():
    _, depth, owner = render_world(world(thing(centre=(2.0, 0.5, 3.0))))
    assert owner[90, 50] == FLOOR
    assert depth[90, 50] == pytest.approx(1.0 / 0.4, abs=1e-5)
    assert owner[50, 50] == WALL
    assert depth[50, 50] == pytest.approx(6.0, abs=1e-5)


@pytest.mark.parametrize(("pitch", "roll"), [(0.3, 0.0), (0.0, 0.1), (0.4, -0.08), (-0.1, 0.2)])
def test_gravity_is_exact_when_the_camera_tilts(pitch, roll):
    """The floor, lifted with the camera and levelled with its gravity, is flat and 1 m below."""
    tilted = world(thing(centre=(2.0, 0.5, 5.0)), pitch=pitch, roll=roll)
    _, depth, owner = render_world(tilted)
    points = level(unproject(depth, tilted.camera.intrinsics)[owner == FLOOR], tilted.camera.gravity)
    assert len(points) > 500
    np.testing.assert_allclose(points[:, 1], 1.0, atol=1e-5)
    assert (points[:, 2] > 0).all()


def test_projecting_is_the_inverse_of_casting():
    room = sample(1, 1)
    _, depth, _ = render_world(room)
    points = level(unproject(depth, room.camera.intrinsics).reshape(-1, 3), room.camera.gravity)
    v, u = np.divmod(np.arange(depth.size), depth.shape[1])
    np.testing.assert_allclose(room.camera.project(points)[:, 0], u, atol=1e-3)
    np.testing.assert_allclose(room.camera.project(points)[:, 1], v, atol=1e-3)


def test_whole_areas_are_those_of_each_thing_alone():
    for index in range(6):
        room = sample(2, index)
        alone = [(render_world(replace(room, things=(one,))).owner == 0).sum() for one in room.things]
        np.testing.assert_allclose(Caster(room).whole_areas(), alone, atol=2)


def test_a_box_behind_another_keeps_its_whole_area():
    """The far face, 3 m ahead, takes rows 50 to 83 and columns 34 to 66; the near box hides it from row 75 on."""
    near = thing(centre=(0.0, 0.75, 1.75), size=(1.0, 0.5, 0.5))
    caster = Caster(world(thing(centre=(0.0, 0.5, 3.5)), near))
    assert (caster.render().owner == 0).sum() == 25 * 33
    assert caster.whole_areas()[0] == 34 * 33


def test_a_box_throws_a_shadow_away_from_the_sun():
    """A box of 1 m, the sun at 45 degrees from the left: its shadow falls one metre to the right, and not to the left."""
    sun = 2**-0.5
    image, _, owner = render_world(world(thing(centre=(0.0, 0.5, 3.0)), towards=(-sun, -sun, 0.0)))
    brightness = image.mean(axis=2)
    left, right = brightness[82, 50 - 28], brightness[82, 50 + 28]  # 0.9 m to the side on the floor, 3.1 m ahead
    assert owner[82, 50 - 28] == owner[82, 50 + 28] == FLOOR
    assert right < 0.8 * left


def test_images_are_neither_dark_nor_burnt_out():
    for index in range(20):
        image = render_world(sample(5, index)).image
        assert 90 < image.mean() < 225
        assert (image == 255).all(axis=2).mean() < 0.05


def test_a_things_colour_shows():
    red = render_world(world(thing())).image[70, 50].astype(int)
    assert red[0] > 3 * red[1]
    assert red[0] > 3 * red[2]
