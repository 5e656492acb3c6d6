"""The cameras of a ROS bag, and where they are to each other; see `rosbag` for the rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode

Pose = Float[np.ndarray, "4 4"]

_STREAM = re.compile(r"(/device_\d+/sensor_\d+/\w+_\d+)/.*")


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """What a bag says about its cameras.

    Attributes:
        cameras: Camera and its (height, width), by the topic without its last part.
        frames: Optical frame, by the same.
        distortions: The largest distortion coefficient, by the same.
        poses: RealSense: takes points of the reference stream to this one, by the stream's topic.
        tree: Of /tf_static: parent frame, and the child's pose in it, by the child's frame.
        metres_per_unit: Of whole numbers.
    """

    cameras: Mapping[str, tuple[Intrinsics, tuple[int, int]]]
    frames: Mapping[str, str]
    distortions: Mapping[str, float]
    poses: Mapping[str, Pose]
    tree: Mapping[str, tuple[str, Pose]]
    metres_per_unit: float = 0.001

    def of(self, topic: str) -> tuple[Intrinsics, tuple[int, int]] | None:
        """Camera and size of an image topic, or None."""
        return self.cameras.get(_place(topic))

    def between(self, colour: str, depth: str) -> tuple[Pose | None, str]:
        """The depth camera in the colour camera's frame, None if they are one; and what should be reported."""
        if _place(colour) in self.poses and _place(depth) in self.poses:
            return self.poses[_place(colour)] @ np.linalg.inv(self.poses[_place(depth)]), ""
        frames = self.frames.get(_place(colour), ""), self.frames.get(_place(depth), "")
        if frames[0] == frames[1]:
            return None, ""
        roots = [self._to_root(frame) for frame in frames]
        if roots[0][0] != roots[1][0]:
            names = frames[0] or "the colour camera", frames[1] or "the depth camera, which has no camera_info"
            return None, f"the bag does not tell the pose between {names[0]} and {names[1]}: taken to be at one place"
        return np.linalg.inv(roots[0][1]) @ roots[1][1], ""

    def distortion(self, topic: str) -> str:
        """What should be reported about the colour lens."""
        largest = self.distortions.get(_place(topic), 0.0)
        return f"lens distortion (up to {largest:.2g}) is not removed" if largest > 0.05 and "rect" not in topic else ""

    def _to_root(self, frame: str) -> tuple[str, Pose]:
        pose = np.eye(4)
        for _ in range(50):
            if frame not in self.tree:
                break
            frame, step = self.tree[frame]
            pose = step @ pose
        return frame, pose


@dataclass
class _Found:
    cameras: dict[str, tuple[Intrinsics, tuple[int, int]]] = field(
        default_factory=dict[str, tuple[Intrinsics, tuple[int, int]]]
    )
    frames: dict[str, str] = field(default_factory=dict[str, str])
    distortions: dict[str, float] = field(default_factory=dict[str, float])
    poses: dict[str, Pose] = field(default_factory=dict[str, Pose])
    tree: dict[str, tuple[str, Pose]] = field(default_factory=dict[str, tuple[str, Pose]])
    metres_per_unit: float = 0.001


def cameras_of(bag: Any) -> Cameras:
    """Read the first camera_info of each topic, static poses, and RealSense's units."""
    found = _Found()
    wanted = [c for c in bag.connections if _matters(c)]
    done: set[str] = set()
    for connection, _, raw in bag.messages(connections=wanted) if wanted else ():
        if connection.topic in done and not connection.topic.endswith("tf_static"):
            continue
        done.add(connection.topic)
        _add(found, connection.topic, connection.msgtype, bag.deserialize(raw, connection.msgtype))
    return Cameras(
        cameras=found.cameras, frames=found.frames, distortions=found.distortions, poses=found.poses, tree=found.tree,
        metres_per_unit=found.metres_per_unit,
    )  # fmt: skip


def _matters(connection: Any) -> bool:
    topic = connection.topic
    return (
        connection.msgtype.endswith("/CameraInfo")
        or topic.endswith(("tf_static", "option/Depth_Units/value", "/camera_info"))
        or (_STREAM.fullmatch(topic) is not None and re.search(r"/tf/\w+$", topic) is not None)
    )


def _add(found: _Found, topic: str, kind: str, message: Any) -> None:
    if kind.endswith("/CameraInfo"):
        _add_camera(found, _place(topic), message)
    elif topic.endswith("tf_static"):
        for each in message.transforms:
            found.tree[each.child_frame_id.lstrip("/")] = (each.header.frame_id.lstrip("/"), _pose(each.transform))
    elif topic.endswith("option/Depth_Units/value") and "sensor_0" in topic:
        units = float(message.data)
        found.metres_per_unit = units if 1e-6 < units < 1 else found.metres_per_unit
    elif "/tf/" in topic:
        found.poses[_place(topic)] = _pose(message) if kind.endswith("/Transform") else _pose_of_text(str(message.data), topic)
    elif topic.endswith("camera_info"):
        _add_camera_of_text(found, _place(topic), str(message.data))


def _add_camera(found: _Found, place: str, message: Any) -> None:
    k = np.asarray(message.K if hasattr(message, "K") else message.k, dtype=float).reshape(3, 3)
    p = np.asarray(message.P if hasattr(message, "P") else message.p, dtype=float).reshape(3, 4)
    d = np.asarray(message.D if hasattr(message, "D") else message.d, dtype=float)
    chosen = p[:, :3] if "rect" in place and p[0, 0] > 0 else k
    if chosen[0, 0] > 0:
        found.cameras.setdefault(place, (decode.camera(chosen, place), (int(message.height), int(message.width))))
        found.frames.setdefault(place, message.header.frame_id.lstrip("/"))
        found.distortions.setdefault(place, float(np.abs(d).max(initial=0)))


def _add_camera_of_text(found: _Found, place: str, text: str) -> None:
    """The same of `width=640;height=480;fx=...;ppx=...;fy=...;ppy=...;model=...;coeffs=...`."""
    told = _fields(text)
    camera = decode.intrinsics(*(told.get(key) for key in ("fx", "fy", "ppx", "ppy")), where=place)
    found.cameras[place] = (camera, (int(told.get("height", 0)), int(told.get("width", 0))))
    coefficients = decode.numbers(told.get("coeffs", ""), place)
    found.distortions[place] = float(np.abs(coefficients).max(initial=0))


def _pose(transform: Any) -> Pose:
    t, q = transform.translation, transform.rotation
    return _matrix(decode.quaternion(q.x, q.y, q.z, q.w), (t.x, t.y, t.z))


def _pose_of_text(text: str, where: str) -> Pose:
    """`rotation=` nine numbers column by column, `;translation=` three."""
    told = _fields(text)
    rotation = decode.numbers(told.get("rotation", ""), where, count=9).reshape(3, 3).T
    return _matrix(rotation, decode.numbers(told.get("translation", ""), where, count=3).tolist())


def _fields(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(";") if "=" in part)


def _matrix(rotation: Float[np.ndarray, "3 3"], translation: Sequence[float]) -> Pose:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, translation
    return matrix


def _place(topic: str) -> str:
    """What an image topic and its camera_info have in common: RealSense's stream, or the topic without its last part."""
    if stream := _STREAM.fullmatch(topic):
        return stream[1]
    base = re.sub(r"/(?:compressed|compressedDepth)$", "", topic)
    return base.rpartition("/")[0] if "/" in base.strip("/") else base
