"""ROS bags (ROS 1 .bag; ROS 2 folders, .db3 and .mcap), RealSense's own recordings among them.

Rule, after sensor_msgs, REP 118 and librealsense's recorder:

- Depth: the topic whose images are 16UC1 or 32FC1 (or `compressedDepth`); one that is aligned to colour goes first. Colour:
  of the same optical frame, if there is one, else a topic of colour images. Frames are paired by the nearest time within 50
  ms.
- Camera: the `camera_info` beside each image topic, in pixels of its width x height; K, or P of a rectified topic. Lens
  distortion is not removed, and is reported.
- Cameras of different frames: the pose between them is in `/tf_static`; where it is not, they are taken to be at one place,
  and that is reported.
- RealSense (`/device_0/sensor_S/Depth_0/image/data`): units of `option/Depth_Units/value`; `tf/N` of a stream is the pose
  that takes points of the reference stream to it: p_stream = R p_reference + t. Recordings of librealsense before 2.57 are
  ROS 1 with its own message types; later ones are .db3 with compressed images, and cameras and poses as text, R column by
  column.
- Gravity: unknown (an accelerometer's topic is not read).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialreasoner.core.errors import InputError, SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode, rosimages
from spatialreasoner.scenes.importers.align import scaled
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer
from spatialreasoner.scenes.importers.roscameras import Cameras, cameras_of
from spatialreasoner.scenes.importers.store import Store

_APART = 50_000_000
"""Nanoseconds between colour and depth of one frame, at most."""


@dataclass(frozen=True, kw_only=True)
class Topics:
    """The two topics that are read, and when their messages come, nanoseconds."""

    colour: str
    depth: str
    pairs: tuple[tuple[int, int], ...]


def _find(store: Store) -> Store | None:
    if not store.path.is_dir() and len(store.names) == 1:
        return store if store.names[0].lower().endswith((".bag", ".db3", ".mcap")) else None
    return store.rooted(r"metadata\.yaml", r".*\.(?:db3|mcap)") or store.rooted(r"[^/]+\.(?:bag|db3|mcap)")


def _open(store: Store, options: FrameOptions) -> Capture:
    with _reader(store) as bag:
        cameras = cameras_of(bag)
        topics = _topics(bag, cameras, store.where())

    def read(places: Sequence[int]) -> Iterator[Frame]:
        with _reader(store) as bag:
            yield from _frames(bag, topics, cameras, places, options, store.where())

    first = topics.pairs[0][1] if topics.pairs else 0
    names = tuple(f"{(when - first) / 1e9:09.3f}" for _, when in topics.pairs)
    return Capture(title=store.title, names=names, read=read, source=f"ROS bag {store.title}: {topics.colour}, {topics.depth}")


@contextmanager
def _reader(store: Store) -> Generator[Any]:
    """The bag opened: ROS 1 or 2 by its files.

    Raises:
        MissingExtraError: If rosbags is not installed.
        SceneError: If it is broken.
    """
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise decode.needs("rosbags", "ROS bags") from None
    with ExitStack() as stack:
        paths = _paths(store, stack)
        try:
            bag = AnyReader(paths, default_typestore=get_typestore(Stores.ROS2_HUMBLE))
            stack.enter_context(bag)
        except (AnyReaderError, OSError, ValueError, AssertionError, KeyError) as error:
            raise SceneError(f"{store.where()}: expected a complete ROS bag; {error}; reindex or record it again") from None
        try:
            yield bag
        except AnyReaderError as error:
            raise SceneError(f"{store.where()}: expected complete messages; {error}; record it again") from None


def _paths(store: Store, stack: ExitStack) -> list[Path]:
    if store.has("metadata.yaml") and store.path.is_dir():
        return [store.path / store.prefix.rstrip("/") if store.prefix else store.path]
    names = [name for name in store.local_names if name.lower().endswith((".bag", ".db3", ".mcap")) and "/" not in name]
    return [stack.enter_context(store.local(name)) for name in names[:1]]


def _topics(bag: Any, cameras: Cameras, where: str) -> Topics:
    """Which topics hold depth and colour, and which of their messages go together."""
    kinds = {c.topic: c for c in bag.connections if c.msgtype.endswith(("/Image", "/CompressedImage"))}
    looks = {topic: _look(bag, connection) for topic, connection in kinds.items()}
    depths = [topic for topic, (encoding, _) in looks.items() if _is_depth(topic, encoding)]
    colours = [topic for topic, (encoding, _) in looks.items() if _is_colour(topic, encoding) and topic not in depths]
    if not depths or not colours:
        raise InputError(
            f"{where}: expected a topic of depth (16UC1, 32FC1 or compressedDepth) and one of colour; got "
            + (", ".join(f"{topic} ({encoding})" for topic, (encoding, _) in looks.items()) or "no images")
        )
    depth = min(depths, key=lambda topic: (not _is_aligned(topic), cameras.of(topic) is None, topic))
    frame = looks[depth][1]
    colour = min(colours, key=lambda topic: (looks[topic][1] != frame, cameras.of(topic) is None, "color" not in topic, topic))
    return Topics(colour=colour, depth=depth, pairs=_pairs(bag, kinds[colour], kinds[depth]))


def _look(bag: Any, connection: Any) -> tuple[str, str]:
    """Encoding and frame of the first message of a topic."""
    for _, _, raw in bag.messages(connections=[connection]):
        if connection.msgtype.endswith("/CompressedImage"):
            message = bag.deserialize(raw, connection.msgtype)
            return str(message.format), str(message.header.frame_id)
        image = _image(bag, connection, raw)
        return image.encoding, image.frame
    return "", ""


def _image(bag: Any, connection: Any, raw: bytes) -> rosimages.RawImage:
    if bag.is2:
        return rosimages.from_message(bag.deserialize(raw, connection.msgtype))
    return rosimages.from_ros1(bytes(raw), connection.topic)


def _is_depth(topic: str, encoding: str) -> bool:
    packed = "compressedDepth" in encoding or topic.endswith("compressedDepth")
    return packed or (encoding in rosimages.DEPTH_ENCODINGS and "infra" not in topic.lower())


def _is_colour(topic: str, encoding: str) -> bool:
    grey = encoding in {"mono8", "8UC1"} or "infra" in topic.lower()
    return bool(encoding) and not grey and "depth" not in topic.lower()


def _is_aligned(topic: str) -> bool:
    return "aligned_depth" in topic or "depth_registered" in topic or "depth_to_color" in topic


def _pairs(bag: Any, colour: Any, depth: Any) -> tuple[tuple[int, int], ...]:
    """Times of colour and depth that go together, each depth with its nearest colour."""
    colours, depths = (
        np.array([when for _, when, _ in bag.messages(connections=[c])], dtype=np.int64) for c in (colour, depth)
    )
    if not len(colours):
        return ()
    pairs: dict[int, int] = {}
    for when in depths:
        nearest = int(colours[np.abs(colours - when).argmin()])
        if abs(nearest - int(when)) <= _APART:
            pairs[int(when)] = nearest
    return tuple((colour_time, depth_time) for depth_time, colour_time in pairs.items())


def _frames(
    bag: Any, topics: Topics, cameras: Cameras, places: Sequence[int], options: FrameOptions, where: str
) -> Iterator[Frame]:
    """The frames of ascending places, read through once; colour and depth wait for each other."""
    wanted = {topics.pairs[place]: place for place in places}
    colours = {pair[0] for pair in wanted}
    depths = {pair[1] for pair in wanted}
    both = [c for c in bag.connections if c.topic in {topics.colour, topics.depth}]
    seen: dict[tuple[str, int], tuple[Any, bytes]] = {}
    order = iter(sorted(wanted.items(), key=lambda item: item[1]))
    upcoming = next(order, None)
    for connection, when, raw in bag.messages(connections=both):
        if when in (colours if connection.topic == topics.colour else depths):
            seen[connection.topic, when] = (connection, bytes(raw))
        while upcoming and (topics.colour, upcoming[0][0]) in seen and (topics.depth, upcoming[0][1]) in seen:
            colour_time, depth_time = upcoming[0]
            name = f"{(depth_time - topics.pairs[0][1]) / 1e9:09.3f}"
            yield _frame(
                bag, name, seen[topics.colour, colour_time], seen.pop((topics.depth, depth_time)), cameras, options, where
            )
            upcoming = next(order, None)


def _frame(
    bag: Any,
    name: str,
    colour: tuple[Any, bytes],
    depth: tuple[Any, bytes],
    cameras: Cameras,
    options: FrameOptions,
    where: str,
) -> Frame:
    (colour_connection, colour_raw), (depth_connection, depth_raw) = colour, depth
    units = cameras.metres_per_unit
    if colour_connection.msgtype.endswith("/CompressedImage"):
        image = rosimages.packed_colour(
            bytes(bag.deserialize(colour_raw, colour_connection.msgtype).data), colour_connection.topic
        )
    else:
        image = rosimages.colour(_image(bag, colour_connection, colour_raw), colour_connection.topic)
    if depth_connection.msgtype.endswith("/CompressedImage"):
        message = bag.deserialize(depth_raw, depth_connection.msgtype)
        values = rosimages.packed_depth(bytes(message.data), message.format, depth_connection.topic, metres_per_unit=units)
    else:
        values = rosimages.depth(_image(bag, depth_connection, depth_raw), depth_connection.topic, metres_per_unit=units)
    own = cameras.of(colour_connection.topic)
    seen_by = cameras.of(depth_connection.topic)
    if own is None and options.intrinsics is None:
        raise SceneError(
            f"{where}: expected camera_info beside {colour_connection.topic}, or `intrinsics` (fx, fy, cx, cy); there is none"
        )
    pose, note = cameras.between(colour_connection.topic, depth_connection.topic)
    return Frame(
        name=name,
        image=image,
        depth=values,
        intrinsics=options.intrinsics or _scaled(own, (image.height, image.width)),
        depth_camera=seen_by and _scaled(seen_by, (values.shape[0], values.shape[1])),
        depth_pose=pose,
        units_per_metre=round(1 / units, 6),
        note="; ".join(part for part in (note, cameras.distortion(colour_connection.topic)) if part),
    )


def _scaled(camera: tuple[Intrinsics, tuple[int, int]] | None, size: tuple[int, int]) -> Intrinsics:
    assert camera is not None
    return scaled(camera[0], camera[1], size) if min(camera[1]) > 0 else camera[0]


IMPORTER = Importer(
    kind="rosbag",
    title="a ROS bag with depth and colour, or a RealSense recording",
    layout="NAME.bag, NAME.db3, NAME.mcap, or a ROS 2 folder with metadata.yaml",
    find=_find,
    open=_open,
)
