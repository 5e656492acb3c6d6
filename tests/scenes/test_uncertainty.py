"""Error bars: none where everything is exact, honest where there is noise, wide where a pixel decides."""

from dataclasses import replace

import numpy as np
import pytest

from spatialreasoner.core.types import DepthMap, Intrinsics, Region, Scene
from spatialreasoner.scenes.foreground import in_box
from spatialreasoner.scenes.masks import encode
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.pixel_noise import NO_NOISE, Noise, pixel_noise, smoothed
from spatialreasoner.scenes.synthetic.write import make_scene
from spatialreasoner.scenes.uncertainty import Sensor, Uncertainty, interval, sensor_of
from spatialreasoner.scenes.values import Comparison, Measurement

CAMERA = Intrinsics(fx=100.0, fy=100.0, cx=49.5, cy=49.5)


def plates(*boxes, far=3.0, depths=(2.0, 2.2)):
    """A scene of plates that face the camera, each a box (x0, y0, x1, y1) at its depth before a wall."""
    depth = np.full((100, 100), far)
    regions = []
    for number, ((x0, y0, x1, y1), z) in enumerate(zip(boxes, depths, strict=False), start=1):
        depth[y0:y1, x0:x1] = z
        mask = np.zeros((100, 100), bool)
        mask[y0:y1, x0:x1] = True
        regions.append(Region(id=f"region{number}", label="plate", mask=encode(mask)))
    where = DepthMap(path="none.png", units_per_metre=1000.0)
    return Scene(id="plates", image="none.png", regions=tuple(regions), intrinsics=CAMERA, depth=where), depth


def test_a_plane_has_no_noise_and_noise_is_found_with_its_growth():
    rows, columns = np.mgrid[:200, :200]
    plane = 1.0 / (0.2 + 0.002 * rows + 0.001 * columns)  # 1.2 to 5 m, linear in 1 / depth as every plane is
    assert pixel_noise(plane).share(plane).max() == pytest.approx(0, abs=1e-9)
    share = 0.002 + 0.003 * plane
    noisy = plane * (1 + share * np.random.default_rng(0).standard_normal(plane.shape))
    found = pixel_noise(noisy)
    assert found.near == pytest.approx(0.002, abs=0.001)
    assert found.growth == pytest.approx(0.003, rel=0.25)


def test_sparse_depth_tells_no_noise():
    depth = np.full((40, 40), np.nan)
    depth[::4, ::4] = 5.0
    assert pixel_noise(depth) == NO_NOISE


def test_smoothing_takes_noise_away_and_leaves_planes_and_edges():
    rows, columns = np.mgrid[:40, :40]
    truth = np.where(columns < 20, 1.0 / (0.4 + 0.004 * rows), 4.0)
    noisy = truth * (1 + 0.005 * np.random.default_rng(1).standard_normal(truth.shape))
    found = smoothed(noisy, np.ones((40, 40), bool), Noise(near=0.005), (rows.ravel(), columns.ravel())).reshape(40, 40)
    assert np.std(found / truth - 1) < 0.5 * 0.005
    assert np.abs(found / truth - 1).max() < 0.03


def test_rendered_scenes_are_exact():
    made = make_scene(3, 0)
    measured = Measured(made.scene, made.depth)
    assert sensor_of(measured).exact
    a, b = (region.id for region in made.scene.regions[:2])
    found = measured.uncertainty.quantity("distance", a, b)
    assert (found.low, found.high, found.error) == (found.value, found.value, 0.0)
    assert found.told() == f"{found.value:.2f} m"


def test_a_rim_of_one_pixel_moves_a_width():
    """A plate of 40 pixels at 2 m, 2 cm each, before a wall: its outermost pixels are strays to some and not to others."""
    scene, depth = plates((30, 30, 70, 70))
    found = Measured(scene, depth).uncertainty.quantity("width", "region1")
    assert found.value == pytest.approx(0.76, abs=0.03)
    assert 0.01 < found.half < 0.1
    assert found.certain


def test_what_hangs_on_a_pixel_is_wide():
    """Two plates of one mask, joined by nothing: which is the larger is for a pixel to say."""
    scene, depth = plates((10, 10, 40, 40), (60, 60, 90, 90), depths=(2.0, 2.0))
    both = np.zeros((100, 100), bool)
    both[10:40, 10:40] = both[60:90, 60:90] = True
    scene = replace(scene, regions=(replace(scene.regions[0], mask=encode(both)),))
    found = Measured(scene, depth).uncertainty.quantity("camera_distance", "region1")
    other = Measured(plates((10, 10, 40, 40))[0], depth).uncertainty.quantity("camera_distance", "region1")
    assert found.half >= other.half


def test_relations_are_certain_only_where_the_interval_leaves_out_zero():
    near = Comparison(difference=0.02, low=-0.01, high=0.05)
    assert not near.certain
    assert Comparison(difference=0.2, low=0.1, high=0.3).certain
    assert Comparison(difference=-0.2, low=-0.3, high=-0.1).certain
    assert Comparison(difference=0.2).certain
    assert not Comparison(reason="no depth").certain


def test_values_are_told_with_their_error():
    assert Measurement(value=0.6, low=0.57, high=0.62).told() == "0.60 m ± 0.03"
    assert Measurement(value=3, low=2, high=4).told("hour") == "3 o'clock ± 1 h"
    assert Measurement(reason="no depth").told() == "no depth"
    assert not Measurement(value=1.0, low=0.7, high=1.1).certain
    assert Measurement(value=1.0, low=0.8, high=1.2).certain


def test_the_interval_is_about_the_value_less_its_bias():
    """Noise widens a box by 0.1 on average: the true value is more likely below the measured one than above."""
    error, low, high = interval(1.0, [0.9, *np.linspace(0.96, 1.04, 20)])
    assert error == pytest.approx(np.hypot(0.1, np.std(np.linspace(0.96, 1.04, 20), ddof=1)))
    assert high == 1.0 or high < 1.1
    assert low < 0.9


def test_the_same_scene_gives_the_same_intervals():
    scene, depth = plates((30, 30, 70, 70))
    first, second = (Measured(scene, depth).uncertainty.quantity("height", "region1") for _ in range(2))
    assert first == second


@pytest.mark.parametrize("seed", range(3))
def test_intervals_of_noisy_rooms_hold_what_exact_depth_gives(seed):
    """Noise as a structured light camera has it; benchmarks/intervals.py does this with 300 rooms."""
    made = make_scene(11, seed)
    noise = (0.0012 + 0.0019 * (made.depth - 0.4) ** 2) * np.random.default_rng(seed).standard_normal(made.depth.shape)
    exact, noisy = Measured(made.scene, made.depth), Measured(made.scene, (made.depth + noise).astype(np.float32))
    assert not sensor_of(noisy).exact
    held = []
    for region in made.scene.regions:
        for name in ("width", "height", "camera_distance"):
            true, found = exact.quantity(name, region.id).value, noisy.uncertainty.quantity(name, region.id)
            if true is not None and found.low is not None and found.high is not None:
                held.append(found.low - 5e-4 <= true <= found.high + 5e-4)
    assert len(held) > 5
    assert np.mean(held) >= 0.75


def test_a_given_sensor_counts():
    scene, depth = plates((30, 30, 70, 70))
    sharp = Uncertainty(Measured(scene, depth), Sensor(noise=NO_NOISE, rim=0, offset=False))
    assert sharp.quantity("width", "region1").half == 0


def test_some_pixels_of_a_large_image_tell_what_all_of_them_do(monkeypatch):
    """A plate and its noise, in an image ten times as large as what is measured of it."""
    rows, columns = np.mgrid[:400, :500]
    rng = np.random.default_rng(0)
    depth = (2.0 + 0.1 * columns / 500) * (1 + 0.002 * rng.standard_normal(rows.shape))
    mask = (np.abs(rows - 200) < 120) & (np.abs(columns - 250) < 150)
    scene = Scene(
        id="s", image="", regions=(Region(id="region1", label="plate", mask=encode(mask)),), gravity=None,
        depth=DepthMap(path="", units_per_metre=1000.0), intrinsics=Intrinsics(fx=450, fy=450, cx=250, cy=200),
    )  # fmt: skip

    def told():
        intervals = Measured(scene, depth).uncertainty
        return [intervals.quantity(name, "region1") for name in ("width", "height", "camera_distance")]

    whole = told()
    monkeypatch.setattr("spatialreasoner.scenes.measure.MAX_POINTS", 7_000)
    monkeypatch.setattr("spatialreasoner.scenes.pixel_noise.MAX_NOISE_PIXELS", 20_000)
    for one, other in zip(whole, told(), strict=True):
        assert other.value != one.value
        assert other.value == pytest.approx(one.value, rel=0.02)
        assert other.error == pytest.approx(one.error, rel=0.2)


def test_intervals_do_not_depend_on_what_was_asked_for_before():
    """From the third region on all that are left are measured again together; one that cannot be does not hinder."""
    boxes = ((10, 10, 30, 30), (35, 10, 60, 40), (10, 50, 40, 80), (60, 60, 90, 90), (0, 95, 2, 97))
    scene, depth = plates(*boxes, depths=(2.0, 2.2, 2.4, 1.8, 2.1))
    ids = [region.id for region in scene.regions]
    alone = {name: Uncertainty(Measured(scene, depth)).quantity("width", name) for name in ids}
    together = Uncertainty(Measured(scene, depth))
    assert {name: together.quantity("width", name) for name in reversed(ids)} == alone
    assert [alone[name].value is None for name in ids] == [False] * 4 + [True]


@pytest.mark.parametrize("pad", [3, 9, 17])
def test_what_was_cut_out_is_less_certain_than_what_was_drawn(pad):
    """The cut is made on a coarse grid, so its rim can be off by a cell of it, and the interval must hold that."""
    rng, truth = np.random.default_rng(pad), (200 / 500 * 1.5, 140 / 500 * 1.5)
    depth = np.full((400, 400), 3.0) + rng.normal(0, 0.003, (400, 400))
    image = np.full((400, 400, 3), (30, 150, 60), np.uint8)
    depth[120:260, 90:290] -= 1.5
    image[120:260, 90:290] = (220, 30, 30)
    mask = in_box((90 - pad, 120 - pad, 290 + pad, 260 + pad), depth, image)
    found = []
    for source in ("drawn", "box, cut out by depth and colour"):
        region = Region(id="region1", label="plate", mask=encode(mask), region_source=source)
        camera, where = Intrinsics(fx=500.0, fy=500.0, cx=199.5, cy=199.5), DepthMap(path="none.png", units_per_metre=1000.0)
        scene = Scene(id="plate", image="none.png", regions=(region,), intrinsics=camera, depth=where)
        bars = Uncertainty(Measured(scene, depth))
        found.append([bars.quantity(name, "region1") for name in ("width", "height")])
    for drawn, cut, true in zip(*found, truth, strict=True):
        assert cut.low <= true <= cut.high
        assert 1.3 * drawn.half < cut.half < 0.15 * true
