"""ROS bags by rosbags' own writers, and recordings of librealsense, read as librealsense plays and aligns them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from captures import depth_map, encoded, grey, image, metres
from spatialreasoner.core.errors import InputError, SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import FrameOptions, open_capture, read_frames

DATA = Path(__file__).parents[2] / "data" / "captures"
UNIT = 0.00025


@pytest.mark.parametrize("name", ["realsense.bag", "realsense.db3"])
def test_realsense_recordings_are_read_as_librealsense_plays_them(name: str) -> None:
    truth = np.load(DATA / "realsense.npz")
    kind = name.rsplit(".", 1)[1]
    frames = list(read_frames(DATA / name))
    assert len(frames) == 3
    for k in (1, 2):
        frame, aligned = frames[k], truth[f"{kind}_a{k}"] * UNIT
        np.testing.assert_array_equal(np.asarray(frame.image), truth[f"{kind}_c{k}"])
        assert (frame.intrinsics.fx, frame.intrinsics.cy) == (62.0, 24.0)
        known = (aligned > 0) & np.isfinite(frame.depth)
        assert (known == (aligned > 0)).mean() > 0.99
        # librealsense moves pixels, but leaves the distance from the depth camera: ours, seen from there, must be the same
        back = seen_from_depth(frame.depth, frame.intrinsics)
        off = np.abs(back - aligned)[known]
        assert np.median(off) < 0.003
        assert off.max() < 0.07  # the wall's slope across one pixel of depth: where two overlap, older versions keep the last


def seen_from_depth(depth: np.ndarray, camera: Intrinsics) -> np.ndarray:
    rows, columns = np.indices(depth.shape)
    points = np.stack([(columns - camera.cx) / camera.fx * depth, (rows - camera.cy) / camera.fy * depth, depth])
    angle = np.radians(3)
    rotation = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return np.tensordot(rotation.T, points - np.array([0.015, 0.001, -0.002])[:, None, None], 1)[2]


def test_raw_depth_of_a_recording_is_exact() -> None:
    truth = np.load(DATA / "realsense.npz")
    for name in ("bag", "db3"):
        _, capture = open_capture(DATA / f"realsense.{name}", "realsense")
        for k, frame in zip((1, 2), capture.read([1, 2]), strict=True):
            raw = truth[f"{name}_d{k}"] * UNIT
            np.testing.assert_allclose(np.nan_to_num(frame.depth), raw, atol=1e-6)


class Ros:
    """Messages of one distribution."""

    def __init__(self, distribution: Stores) -> None:
        self.store = get_typestore(distribution)
        self.one = distribution is Stores.ROS1_NOETIC
        if self.one:
            self.store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage"))

    def type(self, name: str) -> Any:
        return self.store.types[name]

    def header(self, frame: str) -> Any:
        time = self.type("builtin_interfaces/msg/Time")(sec=0, nanosec=0)
        header = self.type("std_msgs/msg/Header")
        return header(seq=0, stamp=time, frame_id=frame) if self.one else header(stamp=time, frame_id=frame)

    def image(self, pixels: np.ndarray, encoding: str, frame: str, *, padding: int = 0) -> Any:
        rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
        padded = np.pad(rows, ((0, 0), (0, padding)))
        return self.type("sensor_msgs/msg/Image")(
            header=self.header(frame), height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, is_bigendian=0,
            step=padded.shape[1], data=padded.ravel(),
        )  # fmt: skip

    def packed(self, data: bytes, kind: str, frame: str) -> Any:
        made = self.type("sensor_msgs/msg/CompressedImage")
        return made(header=self.header(frame), format=kind, data=np.frombuffer(data, np.uint8))

    def camera(self, size: tuple[int, int], k: tuple[float, ...], frame: str) -> Any:
        fx, fy, cx, cy = k
        matrices = {
            "D": np.zeros(5), "K": np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1.0]), "R": np.eye(3).ravel(),
            "P": np.array([fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1.0, 0]),
        }  # fmt: skip
        if not self.one:
            matrices = {name.lower(): value for name, value in matrices.items()}
        region = self.type("sensor_msgs/msg/RegionOfInterest")(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        return self.type("sensor_msgs/msg/CameraInfo")(
            header=self.header(frame), height=size[0], width=size[1], distortion_model="plumb_bob", binning_x=0, binning_y=0,
            roi=region, **matrices,
        )  # fmt: skip

    def static(self, parent: str, child: str, translation: tuple[float, float, float]) -> Any:
        t = self.type("geometry_msgs/msg/Vector3")(*translation)
        q = self.type("geometry_msgs/msg/Quaternion")(0.0, 0.0, 0.0, 1.0)
        moved = self.type("geometry_msgs/msg/Transform")(translation=t, rotation=q)
        stamped = self.type("geometry_msgs/msg/TransformStamped")
        one = stamped(header=self.header(parent), child_frame_id=child, transform=moved)
        return self.type("tf2_msgs/msg/TFMessage")(transforms=[one])

    def write(self, path: Path, messages: list[tuple[str, int, Any]]) -> Path:
        writer = Writer1(path) if self.one else Writer2(path, version=9)
        with writer as bag:
            connections: dict[str, Any] = {}
            for topic, when, message in messages:
                if topic not in connections:
                    connections[topic] = bag.add_connection(topic, message.__msgtype__, typestore=self.store)
                to_bytes = self.store.serialize_ros1 if self.one else self.store.serialize_cdr
                bag.write(connections[topic], when, to_bytes(message, message.__msgtype__))
        return path


@pytest.fixture(params=["ros1", "ros2"])
def ros(request: pytest.FixtureRequest) -> Ros:
    return Ros(Stores.ROS1_NOETIC if request.param == "ros1" else Stores.ROS2_HUMBLE)


def bag(ros: Ros, folder: Path) -> Path:
    return folder / ("take.bag" if ros.one else "take")


COLOUR, DEPTH = "/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw"


def test_aligned_depth_of_one_frame(ros: Ros, tmp_path: Path) -> None:
    pixels, units = np.asarray(image(48, 64)), depth_map(48, 64)
    camera = ros.camera((48, 64), (60.0, 61.0, 31.0, 23.0), "color")
    messages: list[tuple[str, int, Any]] = [("/camera/color/camera_info", 1, camera)]
    for k in range(3):
        start = 1_000_000_000 + k * 100_000_000
        messages.append((COLOUR, start, ros.image(pixels[..., ::-1] + np.uint8(k), "bgr8", "color", padding=8)))
        messages.append((DEPTH, start + 20_000_000, ros.image(units + np.uint16(k), "16UC1", "color")))
    messages.append((DEPTH, 9_000_000_000, ros.image(units, "16UC1", "color")))  # no colour within 50 ms
    path = ros.write(bag(ros, tmp_path), messages)
    frames = list(read_frames(path))
    assert [frame.name for frame in frames] == ["00000.000", "00000.100", "00000.200"]
    np.testing.assert_array_equal(np.asarray(frames[1].image), pixels + np.uint8(1))
    np.testing.assert_allclose(frames[2].depth, metres(units + np.uint16(2)), rtol=1e-6)
    assert frames[0].intrinsics == Intrinsics(fx=60.0, fy=61.0, cx=31.0, cy=23.0)
    assert [frame.name for frame in read_frames(path, every=2)] == ["00000.000", "00000.200"]


def test_depth_of_another_camera_is_moved_by_the_static_pose(ros: Ros, tmp_path: Path) -> None:
    flat = np.full((48, 64), 2.0, dtype=np.float32)
    flat[8:13, 18:23] = np.nan
    messages = [
        ("/tf_static", 1, ros.static("base", "color", (0.0, 0.0, 0.0))),
        ("/tf_static", 2, ros.static("base", "depth", (0.1, 0.0, -0.5))),
        ("/camera/color/camera_info", 3, ros.camera((48, 64), (60.0, 60.0, 31.5, 23.5), "color")),
        ("/camera/depth/camera_info", 4, ros.camera((48, 64), (60.0, 60.0, 31.5, 23.5), "depth")),
        (COLOUR, 10, ros.image(np.asarray(image(48, 64)), "rgb8", "color")),
        ("/camera/depth/image_rect_raw", 11, ros.image(flat, "32FC1", "depth")),
    ]
    (frame,) = read_frames(ros.write(bag(ros, tmp_path), messages))
    known = np.isfinite(frame.depth)
    np.testing.assert_allclose(frame.depth[known], 1.5, atol=1e-6)  # half a metre nearer to the colour camera
    assert known.mean() > 0.98
    assert not known[5:7, 20:22].any()  # the hole, moved
    assert frame.note == ""


def test_without_a_pose_it_is_told(ros: Ros, tmp_path: Path) -> None:
    messages = [
        ("/camera/color/camera_info", 3, ros.camera((48, 64), (60.0, 60.0, 31.5, 23.5), "color")),
        ("/camera/depth/camera_info", 4, ros.camera((48, 64), (60.0, 60.0, 31.5, 23.5), "depth")),
        (COLOUR, 10, ros.image(np.asarray(image(48, 64)), "rgb8", "color")),
        ("/camera/depth/image_rect_raw", 11, ros.image(depth_map(48, 64), "16UC1", "depth")),
    ]
    (frame,) = read_frames(ros.write(bag(ros, tmp_path), messages))
    assert "taken to be at one place" in frame.note


def test_compressed_images_and_depth(ros: Ros, tmp_path: Path) -> None:
    units = depth_map(48, 64)
    a, b = 100.0, -30.0  # z = a / (value - b), as compressed_depth_image_transport quantizes 32FC1
    truth = metres(units)
    quantized = np.where(units > 0, np.round(a / np.nan_to_num(truth, nan=1.0) + b), 0).astype(np.uint16)
    for name, data, kind, tolerance in (
        ("plain", bytes(12) + grey(units), "16UC1; compressedDepth png", 1e-6),
        ("inverse", struct.pack("<iff", 0, a, b) + grey(quantized), "32FC1; compressedDepth png", 0.05),
    ):
        messages = [
            ("/camera/color/camera_info", 3, ros.camera((48, 64), (60.0, 60.0, 31.5, 23.5), "color")),
            (f"{COLOUR}/compressed", 10, ros.packed(encoded(image(48, 64)), "rgb8; png compressed bgr8", "color")),
            (f"{DEPTH}/compressedDepth", 11, ros.packed(data, kind, "color")),
        ]
        (tmp_path / name).mkdir()
        (frame,) = read_frames(ros.write(bag(ros, tmp_path / name), messages))
        np.testing.assert_allclose(frame.depth, truth, atol=tolerance)
        np.testing.assert_array_equal(np.asarray(frame.image), np.asarray(image(48, 64)))


def test_a_bag_without_depth_says_what_it_has(ros: Ros, tmp_path: Path) -> None:
    path = ros.write(bag(ros, tmp_path), [(COLOUR, 10, ros.image(np.asarray(image(48, 64)), "rgb8", "color"))])
    with pytest.raises(InputError, match=r"image_raw \(rgb8\)"):
        open_capture(path)


def test_a_bag_without_a_camera_needs_one(ros: Ros, tmp_path: Path) -> None:
    messages = [
        (COLOUR, 10, ros.image(np.asarray(image(48, 64)), "rgb8", "color")),
        (DEPTH, 11, ros.image(depth_map(48, 64), "16UC1", "color")),
    ]
    path = ros.write(bag(ros, tmp_path), messages)
    with pytest.raises(SceneError, match="`intrinsics`"):
        list(read_frames(path))
    camera = Intrinsics(fx=60.0, fy=60.0, cx=31.5, cy=23.5)
    assert next(read_frames(path, options=FrameOptions(intrinsics=camera))).intrinsics == camera


@pytest.mark.parametrize("data", [b"#ROSBAG V2.0\n" + bytes(100), b"", b"SQLite format 3\0" + bytes(50)])
@pytest.mark.parametrize("name", ["a.bag", "a.db3", "a.mcap"])
def test_broken_bags_are_refused(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError):
        list(read_frames(tmp_path / name))
