"""Images of ROS messages as arrays: plain and compressed, colour and depth.

Rule, after sensor_msgs, REP 118 and image_transport_plugins:

- `sensor_msgs/Image`: rows of `step` bytes. Depth is 16UC1 (millimetres) or 32FC1 (metres); 0 and NaN are not measured.
  RealSense's own recordings call it mono16 (units of the recording).
- `sensor_msgs/CompressedImage`: a JPEG or PNG; for depth (`compressedDepth`) 12 bytes, then a PNG: whole numbers as they
  are, or, of 32FC1, inverse depth: z = a / (value - b) with a, b the two floats of the 12 bytes.
- librealsense appends four bytes to each Image of its ROS 1 bags, for which readers that check the length refuse them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image

from spatialreasoner.core.errors import SceneError
from spatialreasoner.scenes.files import decode_image
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.masks import MAX_PIXELS

DEPTH_ENCODINGS = ("16UC1", "32FC1", "mono16", "TYPE_16UC1", "TYPE_32FC1")

_COLOUR: dict[str, tuple[int, tuple[int, ...]]] = {
    "rgb8": (3, (0, 1, 2)), "bgr8": (3, (2, 1, 0)), "8UC3": (3, (2, 1, 0)), "rgba8": (4, (0, 1, 2)), "bgra8": (4, (2, 1, 0)),
    "8UC4": (4, (2, 1, 0)), "mono8": (1, (0, 0, 0)), "8UC1": (1, (0, 0, 0)),
}  # fmt: skip
"""Bytes of a pixel, and where red, green and blue are among them."""


@dataclass(frozen=True, kw_only=True)
class RawImage:
    """The fields of a sensor_msgs/Image."""

    frame: str
    height: int
    width: int
    encoding: str
    bigendian: bool
    step: int
    data: UInt8[np.ndarray, " n"]


def from_message(message: Any) -> RawImage:
    """The fields of a message that the library has read."""
    return RawImage(
        frame=message.header.frame_id, height=int(message.height), width=int(message.width), encoding=str(message.encoding),
        bigendian=bool(message.is_bigendian), step=int(message.step), data=np.asarray(message.data, dtype=np.uint8),
    )  # fmt: skip


def from_ros1(data: bytes, where: str) -> RawImage:
    """The same from the bytes of ROS 1, whatever follows the image.

    Raises:
        SceneError: If the bytes end too early.
    """
    try:
        frame, at = _text(data, 12)
        height, width = struct.unpack_from("<II", data, at)
        encoding, at = _text(data, at + 8)
        bigendian, step, length = struct.unpack_from("<BII", data, at)
        pixels = np.frombuffer(data, np.uint8, length, at + 9)
    except (struct.error, ValueError) as error:
        raise SceneError(f"{where}: expected a complete sensor_msgs/Image; {error}") from None
    return RawImage(
        frame=frame, height=height, width=width, encoding=encoding, bigendian=bool(bigendian), step=step, data=pixels
    )


def _text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", data, at)
    return bytes(data[at + 4 : at + 4 + length]).decode("utf-8", "replace"), at + 4 + length


def colour(image: RawImage, where: str) -> Image.Image:
    """A plain colour image.

    Raises:
        SceneError: If its encoding is not known, or its data are cut off.
    """
    if image.encoding not in _COLOUR:
        raise SceneError(
            f"{where}: expected colour as {', '.join(_COLOUR)}; got {image.encoding!r}; record the debayered, converted image"
        )
    size, order = _COLOUR[image.encoding]
    pixels = _rows(image, np.dtype(np.uint8), size, where)
    return Image.fromarray(np.ascontiguousarray(pixels[..., list(order)]))


def depth(image: RawImage, where: str, *, metres_per_unit: float = 0.001) -> Float32[np.ndarray, "h w"]:
    """A plain depth image in metres.

    Args:
        image: The message.
        where: What to call it in an error.
        metres_per_unit: Of whole numbers.

    Raises:
        SceneError: If its encoding is not known, or its data are cut off.
    """
    order = ">" if image.bigendian else "<"
    if image.encoding.endswith("32FC1"):
        return decode.valid(_rows(image, np.dtype(f"{order}f4"), 1, where)[..., 0])
    if image.encoding not in DEPTH_ENCODINGS:
        raise SceneError(f"{where}: expected depth as 16UC1 or 32FC1; got {image.encoding!r}")
    return decode.metres(_rows(image, np.dtype(f"{order}u2"), 1, where)[..., 0], 1 / metres_per_unit)


def _rows(image: RawImage, kind: np.dtype[Any], channels: int, where: str) -> Shaped[np.ndarray, "h w c"]:
    row = image.width * channels * kind.itemsize
    if min(image.height, image.width) < 1 or image.height * image.width > MAX_PIXELS or image.step < row:
        raise SceneError(f"{where}: expected rows of {row} bytes for {image.width} pixels; got a step of {image.step}")
    if len(image.data) < image.step * image.height:
        raise SceneError(f"{where}: expected {image.step * image.height} bytes; got {len(image.data)}")
    rows = image.data[: image.step * image.height].reshape(image.height, image.step)[:, :row]
    return np.ascontiguousarray(rows).view(kind).reshape(image.height, image.width, channels)


def packed_colour(data: bytes, where: str) -> Image.Image:
    """A compressed colour image."""
    return decode_image(data, where).convert("RGB")


def packed_depth(data: bytes, kind: str, where: str, *, metres_per_unit: float = 0.001) -> Float32[np.ndarray, "h w"]:
    """Depth of image_transport's `compressedDepth`.

    Raises:
        SceneError: If it is another compression, or broken.
    """
    if "rvl" in kind.lower():
        raise SceneError(f"{where}: expected compressedDepth as PNG; got {kind!r}; record with the format 'png'")
    start = 12 if data[12:20] == b"\x89PNG\r\n\x1a\n" else 0
    values = decode.depth16(data[start:], where)
    if "32FC1" not in kind:
        return decode.metres(values, 1 / metres_per_unit)
    if start == 0 or len(data) < 12:
        raise SceneError(f"{where}: expected the two numbers of the quantization before the PNG; there are none")
    a, b = struct.unpack_from("<ff", data, 4)
    with np.errstate(divide="ignore", invalid="ignore"):
        return decode.valid(np.where(values > 0, a / (values.astype(np.float32) - b), np.nan))
