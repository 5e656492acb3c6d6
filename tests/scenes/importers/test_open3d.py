"""What Open3D 0.20 writes and reads (tests/data/captures/make_open3d.py), read alike here."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from spatialreasoner.scenes.importers import Frame, read_frames

DATA = Path(__file__).parents[2] / "data" / "captures" / "open3d"

LAYOUTS = {
    "sunrgbd": {"colour.png": "image/a.png", "sun.png": "depth/a.png"},
    "tum": {"colour.png": "rgb/1.0.png", "tum.png": "depth/1.0.png"},
    "realsense": {
        "colour.png": "color/000000.png",
        "sun.png": "depth/000000.png",
        "camera_intrinsic.json": "camera_intrinsic.json",
    },
}
"""Where a kind has Open3D's files."""

TEXTS = {
    "sunrgbd": {"intrinsics.txt": "110 0 64.5 0 111 47 0 0 1", "extrinsics/a.txt": "1 0 0 0 1 0 0 0 1"},
    "tum": {"rgb.txt": "1.0 rgb/1.0.png", "depth.txt": "1.0 depth/1.0.png"},
    "realsense": {},
}


def frame(kind: str, folder: Path) -> Frame:
    for source, target in LAYOUTS[kind].items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DATA / source, folder / target)
    for name, text in TEXTS[kind].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return next(read_frames(folder, kind))


@pytest.mark.parametrize("kind", ["sunrgbd", "tum"])
def test_depth_is_what_open3d_says(kind: str, tmp_path: Path) -> None:
    truth = np.load(DATA / "depth.npz")[{"sunrgbd": "sun", "tum": "tum"}[kind]]
    kept = truth > 0  # Open3D drops what is beyond 7 m (SUN RGB-D) or 4 m (TUM)
    assert kept.mean() > 0.9
    np.testing.assert_allclose(frame(kind, tmp_path).depth[kept], truth[kept], rtol=1e-6)


def test_what_was_not_measured_is_not_measured(tmp_path: Path) -> None:
    depth = frame("tum", tmp_path).depth
    assert np.isnan(depth[:12, :16]).all()
    np.testing.assert_allclose(depth[90:, 100:], 8.6, rtol=1e-6)


def test_a_camera_that_open3d_wrote(tmp_path: Path) -> None:
    camera = frame("realsense", tmp_path).intrinsics
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (110.0, 111.0, 64.5, 47.0)
