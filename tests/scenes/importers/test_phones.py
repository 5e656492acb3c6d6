"""Photos of phones with depth: HEIC encoded by libheif, MPO by Pillow, GDepth and Dynamic Depth by their specifications."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captures import android, apple_depth, disparity, dynamic_depth, image, iphone, iphone_jpeg, mpo
from spatialreasoner.core.errors import SceneError
from spatialreasoner.scenes.importers import Frame, find_kind, read_frames
from spatialreasoner.scenes.importers.align import moved
from spatialreasoner.scenes.importers.store import open_store

APPLE = apple_depth(disparity()).astype(np.float32).repeat(4, axis=0).repeat(4, axis=1)
"""Depth of the photo in the sensor's orientation, 192 x 256."""


def only(path: Path) -> Frame:
    (frame,) = read_frames(path)
    return frame


@pytest.mark.parametrize("make", [iphone, iphone_jpeg])
def test_an_iphone_photo_has_depth_and_its_calibrated_camera(make, tmp_path: Path) -> None:
    frame = only(make(tmp_path))
    np.testing.assert_allclose(frame.depth, APPLE, rtol=1e-4 if make is iphone else 0.03)  # JPEG loses a level
    camera = frame.intrinsics  # of 1024 x 768, for 256 x 192
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((200.0, 201.0, 129.5, 94.5))
    assert frame.metric


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("turned", [False, True])
def test_heic_photo_depth_and_camera_turn_together(orientation: int, turned: bool, tmp_path: Path) -> None:
    """Whether or not the depth image has the photo's rotation itself."""
    frame = only(iphone(tmp_path, orientation=orientation, turned=turned))
    np.testing.assert_allclose(frame.depth, moved(APPLE, orientation), rtol=1e-4)
    expected = moved(np.asarray(image(192, 256)), orientation).astype(int)
    assert np.abs(np.asarray(frame.image).astype(int) - expected).mean() < 3
    bright = np.zeros((192, 256))
    bright[94:96, 129:131] = 1  # the principal point, moved as the pixels are
    rows, columns = np.nonzero(moved(bright, orientation))
    assert (frame.intrinsics.cx, frame.intrinsics.cy) == pytest.approx((columns.mean(), rows.mean()))
    assert frame.intrinsics.fx == pytest.approx(201.0 if orientation > 4 else 200.0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_photo_depth_and_camera_turn_together(orientation: int, tmp_path: Path) -> None:
    frame = only(iphone_jpeg(tmp_path, orientation=orientation))
    np.testing.assert_allclose(frame.depth, moved(APPLE, orientation), rtol=0.03)
    assert frame.size == ((256, 192) if orientation > 4 else (192, 256))


def test_relative_accuracy_has_no_scale(tmp_path: Path) -> None:
    frame = only(iphone(tmp_path, accuracy="relative"))
    assert not frame.metric
    assert "no scale" in frame.note


def test_a_heic_without_depth_is_refused(tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.from_pillow(image(96, 128)).save(tmp_path / "plain.heic")
    with pytest.raises(SceneError, match="portrait mode"):
        only(tmp_path / "plain.heic")


@pytest.mark.parametrize("cut", [0, 4, 100, 900, 3000])
def test_a_broken_heic_is_refused(cut: int, tmp_path: Path) -> None:
    path = iphone(tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SceneError):
        only(path)


def near_to_far(share: np.ndarray) -> np.ndarray:
    return 4 * 0.5 / (4 - share * 3.5)


def test_gdepth_in_extended_xmp(tmp_path: Path) -> None:
    frame = only(android(tmp_path))
    truth = near_to_far(disparity() / 255).repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_allclose(frame.depth, truth, rtol=1e-5)
    assert frame.metric
    assert frame.intrinsics.fx == pytest.approx(26 * np.hypot(256, 192) / np.hypot(36, 24))


def test_gdepth_along_the_ray_is_brought_to_the_axis(tmp_path: Path) -> None:
    axis, ray = only(android(tmp_path)), only(android(tmp_path, measure="OpticRay"))
    corner = np.hypot(1, np.hypot(127.5, 95.5) / ray.intrinsics.fx)
    assert axis.depth[0, -1] / ray.depth[0, -1] == pytest.approx(corner, rel=0.02)
    assert axis.depth[96, 128] == pytest.approx(ray.depth[96, 128], rel=1e-3)


@pytest.mark.parametrize(("units", "metric"), [("", False), ('GDepth:Units="m"', True), ('GDepth:Units="furlong"', False)])
def test_gdepth_without_units_has_no_scale(units: str, metric: bool, tmp_path: Path) -> None:
    assert only(android(tmp_path, units=units)).metric is metric


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_android_photos_turn_with_their_depth(orientation: int, tmp_path: Path) -> None:
    upright, stored = only(android(tmp_path, orientation=orientation)), only(android(tmp_path))
    np.testing.assert_allclose(upright.depth, moved(stored.depth, orientation))


def test_dynamic_depth_follows_the_photo(tmp_path: Path) -> None:
    path = dynamic_depth(tmp_path)
    assert find_kind(open_store(path))[0].kind == "android"
    truth = (0.5 + disparity() / 255 * 4).repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_allclose(only(path).depth, truth, rtol=1e-5)


def test_a_cut_extended_packet_is_refused(tmp_path: Path) -> None:
    path = android(tmp_path)
    data = path.read_bytes()
    at = data.index(b"http://ns.adobe.com/xmp/extension/")
    length = int.from_bytes(data[at - 2 : at], "big")
    path.write_bytes(data[: at - 4] + data[at - 2 + length :])
    with pytest.raises(SceneError, match="cut or edited"):
        only(path)


def test_a_folder_of_photos_is_read_whole(tmp_path: Path) -> None:
    iphone(tmp_path)
    iphone_jpeg(tmp_path)
    assert sorted(frame.name for frame in read_frames(tmp_path)) == ["IMG_0001", "IMG_0002"]


def test_a_plain_photo_is_of_no_kind(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    with pytest.raises(Exception, match="known kind"):
        find_kind(open_store(tmp_path / "a.jpg"))


def test_xmp_with_declarations_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(mpo(b'<!DOCTYPE a [<!ENTITY b "ns.apple.com/pixeldatainfo">]><a/>'))
    with pytest.raises(SceneError, match="declarations"):
        only(tmp_path / "a.jpg")
