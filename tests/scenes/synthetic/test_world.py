import numpy as np
import pytest

from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.synthetic.world import Body, Camera, Thing


def body(x=0.0, z=0.0, top=-1.0, bottom=0.0):
    """A column on a square of one metre whose low corner is at (x, z)."""
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    return Body(outline=square + np.array([x, z]), top=top, bottom=bottom)


@pytest.mark.parametrize(
    ("other", "meets"),
    [
        (body(x=0.9), True),
        (body(x=1.01), True),  # nearer than the clearance
        (body(x=1.03), False),
        (body(x=1.03, z=1.03), False),
        (body(top=-2.0, bottom=-1.0), False),  # stands on it
        (body(top=-2.0, bottom=-0.9), True),
        (body(x=0.2, z=0.2, top=-0.5, bottom=-0.4), True),  # inside
    ],
)
def test_bodies_keep_their_distance_sideways_and_may_touch_above(other, meets):
    assert body().meets(other, 0.02) is meets
    assert other.meets(body(), 0.02) is meets


def test_outside_is_the_distance_from_each_side():
    np.testing.assert_allclose(sorted(body().outside(np.array([[0.25, 0.5]]))[0]), [-0.75, -0.5, -0.5, -0.25])
    assert body().outside(np.array([[1.5, 0.5]])).max() == pytest.approx(0.5)


def test_yaw_turns_right_towards_forward():
    thing = Thing(kind="box", colour="red", rgb=(1, 0, 0), centre=(0, 0, 5), size=(2, 1, 1), yaw=np.pi / 2, supported_by=None)
    np.testing.assert_allclose(thing.place(np.array([[0.5, 0, 0]])), [[0, 0, 6]], atol=1e-12)
    low, high = thing.box()
    np.testing.assert_allclose(high - low, [1, 1, 2])


def test_gravity_and_projection_of_a_tilted_camera():
    """Pitched 30 degrees down, what is 30 degrees below the horizon is in the middle; gravity is (0, cos 30, sin 30)."""
    camera = Camera(
        width=100,
        height=80,
        intrinsics=Intrinsics(fx=90, fy=90, cx=49.5, cy=39.5),
        altitude=1.0,
        pitch=np.radians(30),
        roll=0.0,
    )
    np.testing.assert_allclose(camera.gravity, [0, 0.75**0.5, 0.5])
    u, v, z = camera.project(np.array([[0.0, 1.0, 3**0.5]]))[0]
    np.testing.assert_allclose([u, v, z], [49.5, 39.5, 2.0])
