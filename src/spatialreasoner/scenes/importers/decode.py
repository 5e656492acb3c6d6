"""Bytes to arrays: images, 16-bit depth, float images, matrices in text. Bounded, and never by unpickling."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped, UInt16
from PIL import Image, ImageOps

from spatialreasoner.core.errors import MissingExtraError, RecordError, SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.files import SATURATED, decode_image, pixels_of
from spatialreasoner.scenes.importers.frames import Vector
from spatialreasoner.scenes.masks import MAX_PIXELS, require_size

_MAX_ARRAY_BYTES = 8 * MAX_PIXELS + 65_536
"""Bytes of the largest array that is read, its header included."""

NO_MEASUREMENT = (0, SATURATED)
"""What 16-bit depth holds where nothing was measured."""


def needs(package: str, kind: str) -> MissingExtraError:
    """The error for a reader whose library is not installed."""
    return MissingExtraError(f"reading {kind} needs {package}: pip install 'spatialreasoner[import]'")


def rgb(data: bytes, where: str) -> tuple[Image.Image, bytes | None]:
    """An image as its pixels are stored, EXIF orientation unheeded, and its bytes where they may be copied as they are.

    Raises:
        SceneError: If it is not a complete image of at most `MAX_PIXELS` pixels.
    """
    image = decode_image(data, where)
    plain = image.mode == "RGB" and image.format in {"JPEG", "PNG"} and orientation(image) == 1
    return image if image.mode == "RGB" else image.convert("RGB"), data if plain else None


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of an image, 1 where it has none."""
    value = image.getexif().get(0x0112, 1)
    return value if value in range(1, 9) else 1


def shown(image: Image.Image) -> Image.Image:
    """The image as a viewer shows it."""
    return ImageOps.exif_transpose(image).convert("RGB")


def depth16(data: bytes, where: str) -> UInt16[np.ndarray, "h w"]:
    """The whole numbers of a 16-bit grey PNG, or of a binary PGM, untouched.

    Pillow rescales a PGM whose largest value is not 65535, so PGM is read here.

    Raises:
        SceneError: If it is anything else.
    """
    if data[:2] == b"P5":
        return _pgm(data, where)
    image = decode_image(data, where)
    if image.format not in {"PNG", "TIFF"} or image.mode not in {"I;16", "I;16B", "I"}:
        raise SceneError(
            f"{where}: expected depth as a 16-bit grey PNG; got {image.format} of mode {image.mode!r}; an 8-bit image is a "
            "preview, and has lost the measured numbers"
        )
    return pixels_of(image).astype(np.uint16, copy=False)


def _pgm(data: bytes, where: str) -> UInt16[np.ndarray, "h w"]:
    head = re.match(rb"P5\s+(?:#[^\n]*\n\s*)*(\d{1,6})\s+(?:#[^\n]*\n\s*)*(\d{1,6})\s+(?:#[^\n]*\n\s*)*(\d{1,5})\s", data)
    if head is None:
        raise SceneError(f"{where}: expected a binary PGM; its header is broken")
    width, height, largest = (int(head[k]) for k in (1, 2, 3))
    kind = np.dtype(">u2") if largest > 255 else np.dtype("u1")
    if width * height > MAX_PIXELS or len(data) < head.end() + width * height * kind.itemsize or min(width, height) < 1:
        raise SceneError(f"{where}: expected {width} x {height} pixels after the header; the file is cut off or too large")
    return np.frombuffer(data, kind, width * height, head.end()).reshape(height, width).astype(np.uint16)


def metres(
    values: Shaped[np.ndarray, "h w"], units_per_metre: float, *, invalid: tuple[int, ...] = NO_MEASUREMENT
) -> Float32[np.ndarray, "h w"]:
    """Depth in metres, NaN where the numbers mean that nothing was measured."""
    depth = values.astype(np.float32)
    depth /= np.float32(units_per_metre)
    for number in invalid:
        depth[values == number] = np.nan
    return depth


def valid(depth: Shaped[np.ndarray, "h w"], *, farthest: float = 1e4) -> Float32[np.ndarray, "h w"]:
    """Float depth with NaN for everything that is not a distance: zero, negative, infinite, or beyond `farthest` metres."""
    values = depth.astype(np.float32)
    with np.errstate(invalid="ignore"):
        values[~((values > 0) & (values < farthest))] = np.nan
    return values


def confident(
    depth: Float32[np.ndarray, "h w"], levels: Shaped[np.ndarray, "h w"] | None, least: int, where: str
) -> Float32[np.ndarray, "h w"]:
    """Depth without what has a lower confidence level.

    Raises:
        SceneError: If confidence and depth have different sizes.
    """
    if levels is None or least <= 0:
        return depth
    require_size(levels.shape, depth.shape, where=where, what="confidence of the depth's size")
    return np.where(levels >= least, depth, np.float32(np.nan))


def grey8(data: bytes, where: str) -> Shaped[np.ndarray, "h w"]:
    """The numbers of a single-channel image of 8 or 16 bits, such as a confidence or label map."""
    image = decode_image(data, where)
    if image.mode not in {"L", "P", "1", "I", "I;16", "I;16B"}:
        raise SceneError(f"{where}: expected an image of one channel; got mode {image.mode!r}")
    return pixels_of(image)


def npy(data: bytes, where: str) -> Shaped[np.ndarray, ...]:
    """The array of a .npy file, or of a .npz that holds one; its size is known from the header before memory is taken for it.

    Raises:
        SceneError: If it is broken, holds Python objects, or is larger than an image can be.
    """
    try:
        return _array(_unpacked(data, where) if data[:2] == b"PK" else data, where)
    except SceneError:
        raise
    except (ValueError, OSError, EOFError, IndexError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise SceneError(f"{where}: expected a NumPy array of numbers; {error}") from None


def _unpacked(data: bytes, where: str) -> bytes:
    """The first array of a .npz."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entry = archive.infolist()[0]
        if entry.file_size > _MAX_ARRAY_BYTES:
            raise SceneError(
                f"{where}: expected an array of at most {MAX_PIXELS} numbers; it unpacks to {entry.file_size} bytes"
            )
        return archive.read(entry)


def _array(data: bytes, where: str) -> Shaped[np.ndarray, ...]:
    """The array of a .npy file's bytes, which it shares."""
    file = io.BytesIO(data)
    old = np.lib.format.read_magic(file) == (1, 0)
    read_header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
    shape, by_columns, kind = read_header(file)
    count = math.prod(shape)
    if count > MAX_PIXELS or kind.kind not in "fiub" or kind.itemsize > 8:
        raise SceneError(f"{where}: expected numbers of at most 64 bits, at most {MAX_PIXELS}; got {kind} {shape}")
    return np.frombuffer(data, kind, count, file.tell()).reshape(shape, order="F" if by_columns else "C")


def pfm(data: bytes, where: str) -> Float32[np.ndarray, "h w"]:
    """The numbers of a single-channel PFM: rows from the bottom up, little-endian where the scale is negative.

    Raises:
        SceneError: If it is broken, or has three channels.
    """
    head = re.match(rb"P(f|F)\s+(\d{1,6})\s+(\d{1,6})\s+(-?[\d.eE+-]{1,20})\s", data)
    if head is None or head[1] == b"F":
        raise SceneError(f"{where}: expected a PFM of one channel (Pf); got {data[:12]!r}")
    width, height, scale = int(head[2]), int(head[3]), float(head[4])
    if width * height > MAX_PIXELS or len(data) < head.end() + 4 * width * height or min(width, height) < 1:
        raise SceneError(f"{where}: expected {width} x {height} numbers after the header; the file is cut off or too large")
    values = np.frombuffer(data, "<f4" if scale < 0 else ">f4", width * height, head.end())
    return values.reshape(height, width)[::-1].astype(np.float32)


def numbers(text: str, where: str, *, count: int | None = None) -> Float[np.ndarray, " n"]:
    """The numbers of a text, separated by blanks, commas or semicolons.

    Raises:
        RecordError: If a part is not a number, or there are more or fewer than `count`.
    """
    try:
        found = np.array([float(part) for part in re.split(r"[\s,;]+", text.strip()) if part], dtype=float)
    except ValueError as error:
        raise RecordError(f"{where}: expected numbers; {error}") from None
    if count is not None and len(found) != count:
        raise RecordError(f"{where}: expected {count} numbers; got {len(found)}")
    return found


def matrix(text: str, where: str) -> Float[np.ndarray, "n n"]:
    """A square 3 x 3 or 4 x 4 matrix, row by row; a 3 x 4 matrix gets the row that it lacks.

    Raises:
        RecordError: If it is anything else.
    """
    found = numbers(text, where)
    if len(found) == 12:
        return np.vstack([found.reshape(3, 4), [0, 0, 0, 1]])
    if len(found) not in {9, 16}:
        raise RecordError(f"{where}: expected a matrix of 3 x 3, 3 x 4 or 4 x 4 numbers; got {len(found)} numbers")
    side = math.isqrt(len(found))
    return found.reshape(side, side)


def camera(k: Shaped[np.ndarray, "n n"], where: str) -> Intrinsics:
    """The camera of a matrix [[fx, s, cx], [0, fy, cy], [0, 0, 1]].

    Raises:
        RecordError: If its numbers are not those of a camera, also where it is written column by column.
    """
    if k[2, 0] and k[2, 1] and not k[0, 2] and not k[1, 2]:
        raise RecordError(f"{where}: expected a camera matrix row by row; got one column by column")
    return intrinsics(k[0, 0], k[1, 1], k[0, 2], k[1, 2], where=where)


def intrinsics(fx: object, fy: object, cx: object, cy: object, *, where: str) -> Intrinsics:
    """A camera of four numbers.

    Raises:
        RecordError: If they are not numbers, or not those of a camera.
    """
    try:
        values = [float(value) for value in (fx, fy, cx, cy)]  # pyright: ignore[reportArgumentType]
        return Intrinsics(fx=values[0], fy=values[1], cx=values[2], cy=values[3])
    except (TypeError, ValueError) as error:
        raise RecordError(f"{where}: expected the focal lengths and centre of a camera, pixels; {error}") from None


def depth_scale(value: object, where: str) -> float:
    """A factor between the numbers of depth and a length, as some formats tell it.

    Raises:
        RecordError: If it cannot be one.
    """
    if not isinstance(value, int | float) or not 1e-6 <= value <= 1e6:
        raise RecordError(f"{where}: expected depth_scale to be a positive number; got {value!r}")
    return float(value)


def json_object(text: str | bytes, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RecordError: If it is anything else.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where}: expected JSON; {error}") from None
    if not isinstance(found, dict):
        raise RecordError(f"{where}: expected a JSON object; got {str(found)[:40]!r}")
    return found


def gravity(rotation: Shaped[np.ndarray, "3 3"], down: Vector, *, opengl: bool = False) -> Vector | None:
    """The direction in which things fall in the camera frame, from the camera's rotation in a world whose down is known.

    Args:
        rotation: Camera to world.
        down: The world's down.
        opengl: Whether that camera frame is x right, y up, z backward, as ARKit's and Blender's, not y down, z forward.

    Returns:
        None if the rotation is not one (a lost track is written as -inf or zeros).
    """
    rotation = np.asarray(rotation, dtype=float)
    if not np.isfinite(rotation).all() or not np.allclose(rotation @ rotation.T, np.eye(3), atol=0.02):
        return None
    x, y, z = rotation.T @ np.asarray(down, dtype=float)
    return (float(x), float(-y), float(-z)) if opengl else (float(x), float(y), float(z))


def quaternion(x: float, y: float, z: float, w: float) -> Float[np.ndarray, "3 3"]:
    """The rotation of a quaternion; zeros where it has no length."""
    from scipy.spatial.transform import Rotation

    values = np.array([x, y, z, w], dtype=float)
    if not np.isfinite(values).all() or np.linalg.norm(values) < 1e-6:
        return np.zeros((3, 3))
    return np.asarray(Rotation.from_quat(values).as_matrix())
