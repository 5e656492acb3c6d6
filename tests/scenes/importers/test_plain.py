"""A depth file beside an image: by which names the two are paired, and what depth and camera may be kept in."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captures import MAKERS, depth_map, encoded, grey, image, metres, write
from spatialreasoner.core.errors import RecordError
from spatialreasoner.scenes.importers import read_frames
from spatialreasoner.scenes.importers.store import open_store


@pytest.mark.parametrize(
    ("image_name", "depth_name"),
    [
        ("rgb_0001.png", "depth_0001.png"), ("color_7.png", "depth_7.png"), ("image_7.png", "depth_7.png"),
        ("0001-color.png", "0001-depth.png"), ("a.color.png", "a.depth.png"), ("Color/1.png", "Depth/1.png"),
        ("rgb_00045.png", "sync_depth_00045.png"), ("RGB/1.PNG", "depth/1.png"), ("a.png", "a_depth.tif"),
    ],
)  # fmt: skip
def test_image_and_depth_are_paired_by_the_word_that_differs(image_name: str, depth_name: str, tmp_path: Path) -> None:
    values = depth_map(48, 64)
    packed = grey(values) if depth_name.endswith("png") else encoded(Image.fromarray(values), "TIFF")
    files: dict[str, bytes | str] = {image_name: encoded(image(48, 64)), depth_name: packed, "K.txt": "60 61 31 23"}
    folder = write(tmp_path / "pairs", files)
    (frame,) = read_frames(folder)
    np.testing.assert_array_equal(frame.depth, metres(values))
    assert frame.name == image_name.rpartition(".")[0]
    (alone,) = read_frames(folder / image_name) if "/" not in image_name else (frame,)  # either file finds the other
    assert alone.intrinsics.fx == 60


def test_tiff_of_floats_is_in_metres_and_a_camera_may_be_an_array(tmp_path: Path) -> None:
    depth, k = io.BytesIO(), io.BytesIO()
    Image.fromarray(metres(depth_map(48, 64))).save(depth, "TIFF")
    np.save(k, np.array([[60, 0, 31], [0, 61, 23], [0, 0, 1]]))
    files: dict[str, bytes | str] = {"a.png": encoded(image(48, 64)), "a_depth.tiff": depth.getvalue(), "K.npy": k.getvalue()}
    (frame,) = read_frames(write(tmp_path / "pairs", files))
    np.testing.assert_array_equal(frame.depth, metres(depth_map(48, 64)))
    assert (frame.intrinsics.fy, frame.intrinsics.cx) == (61, 31)


def test_record3d_s_export_of_images_has_its_camera_in_metadata(tmp_path: Path) -> None:
    """K column by column, in pixels of w x h, as in the app's own recordings; depth on the LiDAR's grid."""
    import OpenEXR

    about = json.dumps({"w": 128, "h": 96, "K": [120, 0, 0, 0, 120, 0, 63.5, 47.5, 1], "fps": 60})
    place = write(tmp_path / "EXR_RGBD", {"rgb/0.jpg": encoded(image(96, 128), "JPEG"), "metadata.json": about, "depth/.x": ""})
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"R": metres(depth_map(48, 64))}).write(str(place / "depth" / "0.exr"))
    (frame,) = read_frames(place)
    assert frame.size == (96, 128)
    assert frame.intrinsics.cx == 63.5
    np.testing.assert_allclose(frame.depth[::2, ::2], metres(depth_map(48, 64)))


def test_further_captures_in_a_folder_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("room0", "room1", "room2"):
        shutil.copytree(MAKERS["7scenes"](tmp_path), tmp_path / "all" / name)
    list(read_frames(tmp_path / "all"))
    assert "room0 is read; room1, room2 are not" in caplog.text
    caplog.clear()
    list(read_frames(tmp_path / "all" / "room1"))
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["xyz.tgz", "a.tar", "scan.7z"])
def test_an_archive_other_than_zip_is_to_be_unpacked(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b" + bytes(60))
    with pytest.raises(RecordError, match="unpack this archive first"):
        open_store(tmp_path / name)
