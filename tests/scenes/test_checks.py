"""Nonsense is seen, named and explained; real scenes pass without a word."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spatialreasoner.core.errors import InputError, SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes import rgbd
from spatialreasoner.scenes.checks import NAMES, Problem, examine, refuse
from spatialreasoner.scenes.sizes import misfit

SIZE = (480, 640)
CAMERA = Intrinsics(fx=520.0, fy=520.0, cx=319.5, cy=239.5)


def room() -> np.ndarray:
    """Millimetres of a slanted wall with noise, 1.5 m to 4 m."""
    rows, columns = np.indices(SIZE)
    noise = np.random.default_rng(0).normal(0, 4, SIZE)
    return np.round(1500 + 3 * columns + 1.2 * rows + noise).astype(np.uint16)


def problems(
    raw: np.ndarray | None = None, *, units: float = 1000.0, camera: Intrinsics = CAMERA, **more: Any
) -> list[Problem]:
    raw = room() if raw is None else raw
    depth = np.where((raw > 0) & (raw < 65535), raw / np.float32(units), np.nan)
    size = more.pop("size", SIZE)
    return examine(size=size, depth=depth, intrinsics=camera, raw=raw, units_per_metre=units, **more)


def names(found: list[Problem]) -> list[str]:
    return [problem.name for problem in found]


def test_a_plain_room_has_no_problem() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("camera", "size", "name", "fix"),
    [
        ((1500, 1500, 959.5, 719.5), (480, 640), "other resolution", "by 0.3333"),
        ((212.5, 212.6, 127.9, 95.9), (1440, 1920), "other resolution", "by 7.4"),
        ((0.81, 1.08, 0.5, 0.5), (480, 640), "normalised intrinsics", "by the width 640"),
        ((520, 520, 239.5, 319.5), (480, 640), "swapped axes", "swap fx with fy"),
        ((520, 520, -30, 200), (480, 640), "principal point", "subtract what was cut off"),
        ((3000, 3000, 2016, 1512), (480, 640), "other resolution", "by 0.158"),
        ((1000, 1000, 640, 360), (480, 640), "other resolution", "subtract what was cut off"),  # of 1280 x 720
        ((500, 500, 321.3, 238.9), (720, 1280), "other resolution", "subtract what was cut off"),  # of 640 x 480
        ((4.2, 4.2, 319.5, 239.5), (480, 640), "focal length", "not millimetres"),
        ((520, 1400, 319.5, 239.5), (480, 640), "pixel shape", "stretched"),
    ],
)
def test_cameras_of_another_image_are_refused_with_the_cause(camera, size, name: str, fix: str) -> None:
    fx, fy, cx, cy = camera
    found = problems(camera=Intrinsics(fx=fx, fy=fy, cx=cx, cy=cy), size=size)
    assert names(found)[:1] == [name]
    assert found[0].wrong
    assert fix in found[0].fix


@pytest.mark.parametrize(
    ("camera", "size"),
    [
        ((707.0493, 707.0493, 604.0814, 180.5066), (375, 1242)),  # KITTI
        ((631.5, 631.2, 638.4, 366.5), (720, 1280)),  # a RealSense
        ((886.81, 927.06, 512, 384), (768, 1024)),  # DIODE
        ((585, 585, 320, 240), (480, 640)),  # Kinect, 7-Scenes
        ((1075, 1075, 629.7, 522.3), (1024, 1280)),  # Matterport3D
        ((280, 280, 319.5, 239.5), (480, 640)),  # wide, 98 degrees
        ((2800, 2800, 2016, 1512), (3024, 4032)),  # a phone
        ((520, 520, 260, 200), (480, 640)),  # cropped a little
        ((520, 390, 319.5, 179.8), (360, 640)),  # stretched from 4:3 to 16:9
    ],
)
def test_real_cameras_pass(camera, size) -> None:
    fx, fy, cx, cy = camera
    assert [p for p in examine(size=size, depth=None, intrinsics=Intrinsics(fx=fx, fy=fy, cx=cx, cy=cy)) if p.wrong] == []


@pytest.mark.parametrize(("units", "fits"), [(1.0, "1000 units"), (1e6, "1000 units")])
def test_units_off_by_a_thousand_are_refused(units: float, fits: str) -> None:
    found = problems(units=units)
    assert names(found) == ["units"]
    assert fits in found[0].fix


def thing(label: str, rows: slice, columns: slice) -> tuple[str, np.ndarray]:
    mask = np.zeros(SIZE, dtype=bool)
    mask[rows, columns] = True
    return label, mask


FURNITURE = [thing("black chair", slice(200, 380), slice(100, 200)), thing("door", slice(20, 420), slice(300, 420))]


@pytest.mark.parametrize(("units", "wanted"), [(100.0, "1000 would fit"), (10000.0, "1000 would fit")])
def test_units_off_by_ten_are_seen_by_the_size_of_things(units: float, wanted: str) -> None:
    found = problems(units=units, regions=FURNITURE)
    assert [p.name for p in found if p.wrong] == ["known sizes"]
    assert wanted in found[-1].fix
    assert "chair" in found[-1].seen
    assert problems(regions=FURNITURE) == []


def test_a_small_part_of_one_thing_is_not_a_reason_to_refuse() -> None:
    depth = room() / 1000.0
    assert misfit(depth, CAMERA, [thing("car", slice(0, 30), slice(0, 20))]) == (None, "")
    assert misfit(depth, CAMERA, [thing("gizmo", slice(0, 400), slice(0, 400))]) == (None, "")


def rotated(raw: np.ndarray) -> np.ndarray:
    return ((raw << 3) | (raw >> 13)).astype(np.uint16)


def stretched(values: np.ndarray) -> np.ndarray:
    """As tools save an image to be looked at: from the least to the largest number."""
    share = (values - values.min()) / (values.max() - values.min())
    return np.round(65535 * share).astype(np.uint16)


def spiked(raw: np.ndarray, value: int) -> np.ndarray:
    raw = raw.copy()
    raw[:60] = value
    return raw


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (rotated, "rotated bits"),
        (lambda raw: raw.byteswap(), "byte order"),
        (lambda raw: (raw // 32 * 256).astype(np.uint16), "preview"),
        (lambda raw: (raw // 32 * 257).astype(np.uint16), "preview"),
        (lambda raw: (raw // 32).astype(np.uint16), "preview"),
        (lambda raw: stretched(np.log(raw)), "stretched"),
        (lambda raw: stretched(1 / raw), "stretched"),
        (lambda raw: stretched(raw), "stretched"),
        (lambda raw: spiked(raw, 32767), "sentinel"),
        (lambda raw: spiked(raw, 8191), "sentinel"),
    ],
)
def test_numbers_that_are_not_depth_are_refused(change: Callable[[np.ndarray], np.ndarray], name: str) -> None:
    assert [p.name for p in problems(change(room())) if p.wrong][:1] == [name]


def test_sun_s_bits_are_right_with_their_own_unit() -> None:
    assert problems(rotated(room()), units=8000) == []


def test_the_largest_number_is_not_a_measurement() -> None:
    assert problems(spiked(room(), 65535)) == []


def test_flat_made_scenes_may_have_few_numbers() -> None:
    assert problems(np.full(SIZE, 4000, dtype=np.uint16)) == []


def test_sparse_lidar_is_not_taken_for_swapped_bytes() -> None:
    sparse = np.where(np.random.default_rng(1).random(SIZE) < 0.04, room(), 0).astype(np.uint16)
    assert problems(sparse) == []


@pytest.mark.parametrize(("gravity", "told"), [((0, -1, 0), ["gravity"]), ((0, 9.81, 0), []), ((0, 0, 1), []), ((1, 0, 0), [])])
def test_an_up_vector_is_told(gravity, told: list[str]) -> None:
    found = problems(gravity=gravity)
    assert names(found) == told
    assert not any(problem.wrong for problem in found)


def test_exif_of_another_focal_length_is_told() -> None:
    found = problems(exif_focal=1600.0)
    assert names(found) == ["exif focal"]
    assert "1600" in found[0].seen


def test_floats_that_are_no_metres_are_told_by_themselves() -> None:
    found = examine(size=SIZE, depth=room().astype(np.float32), intrinsics=CAMERA, units_per_metre=None)
    assert names(found) == ["units"]
    assert found[0].fix.startswith("divide them by 1000")
    with pytest.raises(SceneError, match=r"frame 'a': .* divide them by 1000") as error:
        refuse(found, where="frame 'a'", accept=None)
    assert "scene.json" not in str(error.value)  # there is none to accept it in


def test_what_is_accepted_is_not_refused(caplog: pytest.LogCaptureFixture) -> None:
    found = problems(units=1.0)
    with pytest.raises(SceneError, match=r'"accept": \["units"\]'):
        refuse(found, where="here")
    with caplog.at_level(logging.WARNING):
        refuse(found, where="here", accept=["units"])
    assert caplog.text == ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An RGB-D folder of a room with a chair and a door."""
    place = tmp_path / "room"
    place.mkdir()
    Image.new("RGB", SIZE[::-1], "grey").save(place / "image.jpg")
    Image.fromarray(room()).save(place / "depth.png")
    entry = {
        "image": "image.jpg", "depth": "depth.png", "depth_units_per_metre": 1000,
        "intrinsics": {"fx": 520.0, "fy": 520.0, "cx": 319.5, "cy": 239.5},
        "regions": [{"label": "chair", "box": [100, 200, 200, 380]}, {"label": "door", "box": [300, 20, 420, 420]}],
    }  # fmt: skip
    (place / "scene.json").write_text(json.dumps(entry))
    return place


def changed(folder: Path, **changes: object) -> Path:
    entry = json.loads((folder / "scene.json").read_text()) | changes
    (folder / "scene.json").write_text(json.dumps(entry))
    return folder


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_exif_orientation_is_refused_with_the_reason(folder: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    size = SIZE[::-1] if orientation < 5 else SIZE
    Image.new("RGB", size, "grey").save(folder / "image.jpg", exif=exif)
    with pytest.raises(SceneError, match=f"orientation {orientation}: viewers turn"):
        rgbd.load(folder)
    assert rgbd.load(changed(folder, accept=["orientation"])).regions


def test_wrong_folders_are_refused_and_may_be_accepted(folder: Path) -> None:
    with pytest.raises(SceneError, match="another resolution"):
        rgbd.load(changed(folder, intrinsics={"fx": 1500, "fy": 1500, "cx": 959.5, "cy": 719.5}))
    assert rgbd.load(changed(folder, accept=["other resolution"])).regions
    with pytest.raises(InputError, match="names no check"):
        rgbd.load(changed(folder, accept=["everything"]))


def test_units_by_ten_are_refused_in_a_folder(folder: Path) -> None:
    with pytest.raises(SceneError, match="a chair is"):
        rgbd.load(changed(folder, depth_units_per_metre=100))


@pytest.mark.parametrize(
    ("shape", "reason"),
    [((640, 480), "turned by a quarter"), ((240, 320), "0.5 times the resolution"), ((424, 512), "two cameras")],
)
def test_depth_of_another_size_is_explained(folder: Path, shape: tuple[int, int], reason: str) -> None:
    Image.fromarray(np.full(shape, 2000, dtype=np.uint16)).save(folder / "depth.png")
    with pytest.raises(SceneError, match=reason):
        rgbd.load(folder)


def test_real_folders_pass_without_a_word(rgbd_folders: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for real in rgbd_folders:
            rgbd.load(real)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"depth_units_per_metre": 10}, "times what they are|beyond"),
        ({"depth_units_per_metre": 1}, "beyond"),
        ({"depth_units_per_metre": 100}, "times what they are"),
        ({"depth_units_per_metre": 10000}, "times what they are"),
        ({"depth_units_per_metre": 1000000}, "nearer than"),
        ({"intrinsics": {"fx": 1037.7, "fy": 1038.9, "cx": 651.2, "cy": 507.5}}, "another resolution"),
        ({"intrinsics": {"fx": 0.81, "fy": 1.08, "cx": 0.51, "cy": 0.53}}, "shares of the image"),
    ],
)
def test_real_rooms_with_wrong_numbers_are_refused(rgbd_folders: list[Path], tmp_path: Path, change, reason: str) -> None:
    for real in rgbd_folders:
        if real.name.startswith("basement"):
            copy = tmp_path / real.name
            shutil.copytree(real, copy)
            with pytest.raises(SceneError, match=reason):
                rgbd.load(changed(copy, **change))


def test_every_check_has_a_name_to_accept(folder: Path) -> None:
    assert rgbd.load(changed(folder, accept=list(NAMES))).regions
