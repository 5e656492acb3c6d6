from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from builders import THREE_BALLS, Ball
from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import CONVERSE, RELATIONS, DepthMap, Intrinsics, Region, Relation, Scene
from spatialreasoner.scenes.masks import encode
from spatialreasoner.scenes.measure import Measured

RED, BLUE, GREEN = "region1", "region2", "region3"


@pytest.mark.parametrize(
    ("relation", "a", "b"),
    [
        ("left", RED, BLUE),
        ("right", GREEN, RED),
        ("above", BLUE, GREEN),
        ("below", RED, BLUE),
        ("tall", BLUE, RED),
        ("short", GREEN, RED),
        ("wide", BLUE, GREEN),
        ("thin", RED, BLUE),
        ("big", BLUE, RED),
        ("small", GREEN, BLUE),
        ("behind", BLUE, RED),
        ("front", RED, GREEN),
    ],
)
def test_relations_of_three_balls(scene: Scene, relation: Relation, a: str, b: str) -> None:
    measured = Measured(scene)
    assert measured.compare(relation, a, b).holds is True
    assert measured.compare(relation, b, a).holds is False
    assert measured.compare(CONVERSE[relation], a, b).holds is False


def test_sizes_and_distances_of_balls(scene: Scene) -> None:
    """Outlier removal trims the rim of a ball, where the surface turns away and points are sparse: 13 % of its width."""
    measured = Measured(scene)
    assert measured.quantity("width", RED).value == pytest.approx(0.6 * 0.87, rel=0.05)
    assert measured.quantity("height", BLUE).value == pytest.approx(1.0 * 0.87, rel=0.05)
    assert measured.quantity("horizontal_distance", RED, BLUE).value == pytest.approx(1.1, rel=0.06)
    assert measured.quantity("vertical_distance", RED, BLUE).value == pytest.approx(0.3, rel=0.1)
    assert measured.quantity("direction", RED, BLUE).value == 2


def test_scaling_depth_scales_metres(scene: Scene) -> None:
    assert scene.depth is not None
    near, far = Measured(scene), Measured(replace(scene, depth=replace(scene.depth, units_per_metre=2500.0)))
    for quantity in ("width", "height"):
        ratio = (far.quantity(quantity, RED).value or 0) / (near.quantity(quantity, RED).value or 1)
        assert ratio == pytest.approx(2, rel=0.05)


def test_a_mirrored_scene_swaps_left_and_right(make_scene: Callable[..., Scene]) -> None:
    mirrored = [replace(ball, centre=(-ball.centre[0], *ball.centre[1:])) for ball in THREE_BALLS]
    seen, image = Measured(make_scene()), Measured(make_scene(mirrored))
    for relation in RELATIONS:
        other = CONVERSE[relation] if relation in {"left", "right"} else relation
        assert seen.compare(relation, RED, BLUE).holds == image.compare(other, RED, BLUE).holds
    hour, mirrored_hour = (m.quantity("direction", RED, BLUE).value for m in (seen, image))
    assert hour is not None
    assert mirrored_hour == 13 - hour


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(-0.3, 0.3), st.floats(-0.6, 0.6))
def test_turning_camera_and_gravity_together_changes_no_height(scene: Scene, roll: float, pitch: float) -> None:
    """A measurement in the levelled frame depends on gravity, not on how the camera was held."""
    from spatialreasoner.scenes.geometry import level, levelling

    gravity = (np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch))
    cloud = Measured(scene).cloud(RED)
    assert cloud is not None
    turned = cloud.points @ levelling(gravity)
    assert level(turned, gravity) == pytest.approx(cloud.points, abs=1e-9)


def test_what_the_border_cuts_has_no_size(make_scene: Callable[..., Scene]) -> None:
    measured = Measured(make_scene([Ball("cut", (-1.0, 0, 2.0), 0.4), Ball("whole", (0.4, 0, 2.0), 0.3)]))
    width = measured.quantity("width", RED)
    assert width.value is None
    assert "border" in (width.reason or "")
    assert measured.quantity("height", RED).value == pytest.approx(0.8 * 0.88, rel=0.05)
    assert measured.compare("wide", RED, BLUE).holds is None
    assert measured.compare("left", RED, BLUE).holds is True


def test_a_tie_is_not_a_relation(make_scene: Callable[..., Scene]) -> None:
    measured = Measured(make_scene([Ball("a", (-0.5, 0, 2.0), 0.3), Ball("b", (0.5, 0, 2.05), 0.31)]))
    assert measured.compare("wide", RED, BLUE).holds is None
    assert measured.compare("behind", RED, BLUE).holds is None


@pytest.mark.parametrize(("change", "reason"), [({"depth": None}, "no depth"), ({"intrinsics": None}, "no intrinsics")])
def test_without_depth_or_camera_nothing_is_measured(scene: Scene, change: dict[str, None], reason: str) -> None:
    measured = Measured(replace(scene, **change))
    assert reason in (measured.quantity("width", RED).reason or "")
    assert measured.compare("left", RED, BLUE).holds is None


def test_relative_depth_orders_but_has_no_metres(scene: Scene) -> None:
    assert scene.depth is not None
    measured = Measured(replace(scene, depth=replace(scene.depth, metric=False)))
    assert measured.compare("behind", BLUE, RED).holds is True
    assert measured.quantity("distance", RED, BLUE).value is None


def test_depth_of_another_size_is_refused(scene: Scene, tmp_path: object) -> None:
    assert scene.depth is not None
    path = f"{tmp_path}/other.png"
    Image.fromarray(np.ones((10, 10), dtype=np.uint16)).save(path)
    with pytest.raises(SceneError, match="size"):
        Measured(replace(scene, depth=DepthMap(path=path, units_per_metre=1000.0))).cloud(RED)


def test_from_above_is_told_what_can_be_told_and_what_not():
    """Two boxes on a table under a camera that looks straight down, as every table-top robot's does."""
    depth = np.full((100, 100), 1.0)
    masks_of = []
    for x0, top in ((20, 0.9), (60, 0.8)):
        depth[40:60, x0 : x0 + 20] = top
        mask = np.zeros((100, 100), bool)
        mask[40:60, x0 : x0 + 20] = True
        masks_of.append(mask)
    regions = tuple(Region(id=f"region{n}", label="box", mask=encode(mask)) for n, mask in enumerate(masks_of, start=1))
    camera = Intrinsics(fx=100.0, fy=100.0, cx=49.5, cy=49.5)
    where = DepthMap(path="none.png", units_per_metre=1000.0)
    scene = Scene(id="table", image="a.png", regions=regions, intrinsics=camera, depth=where, gravity=(0.0, 0.0, 1.0))
    measured = Measured(scene, depth)
    assert measured.quantity("width", "region1").value == pytest.approx(0.17, abs=0.03)
    assert measured.quantity("vertical_distance", "region1", "region2").value == pytest.approx(0.1, abs=0.01)
    assert measured.quantity("direction", "region1", "region2").value in {3, 4}
    assert measured.compare("left", "region1", "region2").holds is True
    assert measured.quantity("height", "region1").reason == (
        "the camera looks straight down or up: it sees the tops of things, not how far down they reach"
    )
    for relation in ("tall", "big", "above", "behind"):
        assert "straight down" in (measured.compare(relation, "region1", "region2").reason or "")
