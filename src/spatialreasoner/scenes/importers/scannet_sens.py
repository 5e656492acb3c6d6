"""ScanNet .sens: one binary file per scan, read frame by frame.

Rule, after ScanNet's SensReader (`SensorData.py`, `sensorData.h`), version 4, little-endian:

- Header: version, name, then 4 x 4 float32 of colour camera, colour pose, depth camera, depth pose, row by row;
  compressions; sizes; `depth_shift` (units per metre, 1000); number of frames.
- A frame: 4 x 4 camera to world (-inf where lost), two timestamps, two sizes, the colour's JPEG or PNG, the depth's bytes.
- Depth: uint16, zlib-compressed or raw, 0 not measured. (`occi` compression is not public; no released scan has it.)
- Axes, and bringing depth to colour: as in `scannet`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer
from spatialreasoner.scenes.importers.store import Store
from spatialreasoner.scenes.masks import MAX_PIXELS

_FRAME = struct.Struct("<16f4Q")
_MAX_FRAMES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class _Head:
    """The header: cameras and poses [4, 4]; sizes (height, width); where the first frame is."""

    colour: Float[np.ndarray, "4 4"]
    depth: Float[np.ndarray, "4 4"]
    between: Float[np.ndarray, "4 4"]
    zlib: bool
    image_size: tuple[int, int]
    depth_size: tuple[int, int]
    units: float
    frames: int
    start: int


def _find(store: Store) -> Store | None:
    return store.rooted(r"[^/]+\.sens")


def _open(store: Store, options: FrameOptions) -> Capture:
    name = next(iter(store.find(r"(?:.*/)?([^/]+\.sens)").values()))
    with store.local(name) as path, path.open("rb") as file:
        head = _head(file, store.where(name))

    def read(places: Sequence[int]) -> Iterator[Frame]:
        with store.local(name) as path, path.open("rb") as file:
            yield from _frames(file, head, places, store.where(name), options)

    title = name.rsplit("/", 1)[-1].removesuffix(".sens")
    names = tuple(f"{k:06}" for k in range(head.frames))
    return Capture(title=title, names=names, read=read, source=f"ScanNet {title} (Dai et al. 2017)")


def _head(file: BinaryIO, where: str) -> _Head:
    try:
        version, length = struct.unpack("<IQ", file.read(12))
        if version != 4 or length > 10_000:
            raise RecordError(f"{where}: expected a .sens file of version 4; got version {version}")
        file.read(length)
        colour, colour_pose, depth, depth_pose = np.frombuffer(file.read(256), "<f4").reshape(4, 4, 4).astype(float)
        _, packing, width, height, depth_width, depth_height = struct.unpack("<ii4I", file.read(24))
        units, frames = struct.unpack("<fQ", file.read(12))
    except (struct.error, ValueError) as error:
        raise RecordError(f"{where}: expected a .sens file; its header is cut off: {error}") from None
    if packing not in {0, 1} or max(width * height, depth_width * depth_height) > MAX_PIXELS or frames > _MAX_FRAMES:
        raise RecordError(
            f"{where}: expected depth raw (0) or zlib-compressed (1), at most {MAX_PIXELS} pixels and {_MAX_FRAMES} frames; "
            f"got compression {packing}, {width} x {height} and {depth_width} x {depth_height} pixels, {frames} frames"
        )
    usable = np.isfinite(colour_pose).all() and np.isfinite(depth_pose).all() and abs(np.linalg.det(colour_pose)) > 1e-6
    return _Head(
        colour=colour,
        depth=depth,
        between=np.linalg.inv(colour_pose) @ depth_pose if usable else np.eye(4),
        zlib=packing == 1,
        image_size=(height, width),
        depth_size=(depth_height, depth_width),
        units=float(units),
        frames=int(frames),
        start=file.tell(),
    )


def _frames(file: BinaryIO, head: _Head, places: Sequence[int], where: str, options: FrameOptions) -> Iterator[Frame]:
    """The frames of ascending places; those between are skipped over by their sizes."""
    wanted = set(places)
    file.seek(head.start)
    for place in range(max(places, default=-1) + 1):
        here = file.read(_FRAME.size)
        if len(here) < _FRAME.size:
            raise SceneError(f"{where}: expected {head.frames} frames; the file is cut off in frame {place}")
        *pose, _, _, colour_bytes, depth_bytes = _FRAME.unpack(here)
        if place not in wanted:
            file.seek(colour_bytes + depth_bytes, 1)
            continue
        if max(colour_bytes, depth_bytes) > 4 * MAX_PIXELS:
            raise SceneError(f"{where}: expected images of at most {4 * MAX_PIXELS} bytes; frame {place} has more")
        colour, depth = file.read(colour_bytes), file.read(depth_bytes)
        yield _frame(head, place, np.array(pose).reshape(4, 4), colour, depth, f"{where}: frame {place}", options)


def _frame(
    head: _Head, place: int, pose: Float[np.ndarray, "4 4"], colour: bytes, depth: bytes, where: str, options: FrameOptions
) -> Frame:
    image, encoded = decode.rgb(colour, where)
    return Frame(
        name=f"{place:06}",
        image=image,
        encoded=encoded,
        depth=decode.metres(_depth(head, depth, where), head.units),
        intrinsics=options.intrinsics or decode.camera(head.colour, where),
        depth_camera=decode.camera(head.depth, where),
        depth_pose=head.between,
        gravity=decode.gravity(pose[:3, :3], (0, 0, -1)),
        units_per_metre=head.units,
    )


def _depth(head: _Head, data: bytes, where: str) -> np.ndarray:
    size = 2 * head.depth_size[0] * head.depth_size[1]
    try:
        unpacked = zlib.decompressobj().decompress(data, size + 1) if head.zlib else data
    except zlib.error as error:
        raise SceneError(f"{where}: expected zlib-compressed depth; {error}") from None
    if len(unpacked) != size:
        raise SceneError(f"{where}: expected {size} bytes of depth; got {len(unpacked)}")
    return np.frombuffer(unpacked, "<u2").reshape(head.depth_size)


IMPORTER = Importer(
    kind="scannet-sens",
    title="a ScanNet .sens file",
    layout="NAME.sens",
    find=_find,
    open=_open,
)
