"""Images, depth maps and scenes on disk."""

import io
import re
import struct
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from ctypes import CDLL
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float, Shaped, UInt8, UInt16
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from spatialreasoner.core import records
from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.core.types import DepthMap, Scene
from spatialreasoner.scenes.masks import MAX_PIXELS, require_size
from spatialreasoner.scenes.native.png import LARGEST, PngPixels, packed_png, png_library

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Formats that are read (MPO, of two-lensed cameras, as JPEG). Pillow knows more, some of which start other programs."""

MAX_REGIONS = 1000
"""Most regions of a scene."""

LONGEST_LABEL = 1000
"""Longest label of a region, characters: it becomes part of questions and of what models are sent."""

SATURATED = 65535
"""The largest number of 16 bits: cameras, simulators and data sets write it for no measurement, too far, or the sky."""

UNITS_PER_METRE = 1000.0
"""What depth is written in: millimetres."""

MAX_ASPECT = 200
"""How many times longer than the other a side of an image may be: processors of models pad to squares, or cut into tiles."""

MAX_SCANS = 100
"""Most scans of a JPEG, those of previews in it included; encoders write about ten."""

MAX_EXIF = 4 * 2**20
"""Most bytes of EXIF in a JPEG: Pillow joins its segments, each of 64 kB, in a time that grows with their number's square."""

MAX_FILE = 700_000_000
"""Largest file of an image that is read, bytes: no image of `MAX_PIXELS` pixels needs more."""

_BAND = 256
"""Rows of an image that are worked on at a time."""

_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,200}")

_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def read_image(path: str | Path) -> Image.Image:
    """An image as RGB, turned upright by its EXIF tag; of an animation, the first frame.

    Raises:
        MissingFileError: If the file does not exist.
        SceneError: If it is not a complete image, has more than `MAX_PIXELS` pixels, or one side over `MAX_ASPECT`
            times as long as the other.
    """
    image = open_image(path)
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_grey(pixels_of(image)))
    ImageOps.exif_transpose(image, in_place=True)
    return image if image.mode == "RGB" else image.convert("RGB")  # a copy of one of the largest would be of 250 MB


def pixels_of(image: Image.Image) -> Shaped[np.ndarray, "h w *channels"]:
    """The pixels of an image, copied band by band: Pillow hands out all of them as a list of bytes and joins that."""
    parts = (image.crop((0, band.start, image.width, band.stop)) for band in bands_of(image.height))
    first = np.asarray(next(parts))
    pixels = np.empty((image.height, *first.shape[1:]), dtype=first.dtype)
    pixels[: len(first)] = first
    for band, part in zip(bands_of(image.height)[1:], parts, strict=True):
        pixels[band] = np.asarray(part)
    return pixels


def bands_of(height: int) -> list[slice]:
    """Rows of an image in bands, for work that would take several times the memory of a large image."""
    return [slice(top, min(height, top + _BAND)) for top in range(0, height, _BAND)]


def _grey(values: Shaped[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Numbers of any range as greys, the largest as white; below zero and NaN are black."""
    bands = bands_of(len(values))
    most = max(1.0, *(_positive(values[band]).max() for band in bands))
    greys = np.empty(values.shape, dtype=np.uint8)
    for band in bands:  # in double precision, for images of tens of millions of pixels not all at once
        greys[band] = _positive(values[band]) / most * 255
    return greys


def _positive(values: Shaped[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    largest = float(np.finfo(np.float32).max)
    return np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=largest, neginf=0.0).clip(min=0.0)


def read_depth(depth: DepthMap) -> Float[np.ndarray, "h w"]:
    """Depth along the optical axis in metres, float32; NaN where it was not measured (0, and `SATURATED`).

    Raises:
        MissingFileError: If the file does not exist.
        SceneError: If it is not a complete single-channel 16-bit PNG.
    """
    numbers = read_depth_numbers(depth)
    values = numbers.astype(np.float32)
    values /= np.float32(depth.units_per_metre)
    values[(numbers == 0) | (numbers >= SATURATED)] = np.nan
    return values


def read_depth_numbers(depth: DepthMap) -> UInt16[np.ndarray, "h w"]:
    """The whole numbers of a depth file.

    Raises:
        MissingFileError: If the file does not exist.
        SceneError: If it is not a complete single-channel 16-bit PNG.
    """
    image = open_image(depth.path)
    if image.format != "PNG" or image.mode not in {"I;16", "I;16B", "I"}:
        raise SceneError(
            f"{depth.path}: expected a 16-bit grey PNG; got {image.format} of mode {image.mode!r}; an image of 8 bits or "
            "in colour is a preview, in which the distances are lost"
        )
    return pixels_of(image).astype(np.uint16, copy=False)


def lies_on_its_side(orientation: int) -> bool:
    """Whether an EXIF orientation swaps height and width of the stored pixels."""
    return orientation > 4


def stored_orientation(path: str | Path) -> int:
    """The EXIF orientation by which a viewer turns an image: 1 as it is, 2 to 8 turned or mirrored.

    Raises:
        MissingFileError: If the file does not exist.
        SceneError: If it is not a complete image.
    """
    path = records.require_file(path)
    try:
        with path.open("rb") as file:
            check_exif(file, str(path))
            image = Image.open(file, formats=FORMATS)  # its header alone is read
            value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None
    return value if value in range(2, 9) else 1


def write_depth(path: str | Path, depth: Float[np.ndarray, "h w"], *, units_per_metre: float = UNITS_PER_METRE) -> None:
    """Write metres as a 16-bit PNG; NaN and what does not fit become 0, no measurement."""
    Path(path).write_bytes(depth_png(depth, units_per_metre=units_per_metre))


def depth_png(depth: Float[np.ndarray, "h w"], *, units_per_metre: float = UNITS_PER_METRE) -> bytes:
    """Metres as the bytes of a 16-bit PNG; NaN, infinities and what does not fit become 0, no measurement."""
    numbers = np.empty(depth.shape, dtype=np.uint16)
    for band in bands_of(len(depth)):
        numbers[band] = _whole_units(depth[band], units_per_metre)
    return png(numbers)


def _whole_units(depth: Float[np.ndarray, "h w"], units_per_metre: float) -> Float[np.ndarray, "h w"]:
    if not np.isfinite(depth).all():
        depth = np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0)
    units = np.round(depth * units_per_metre)
    if units.size and (units.min() < 0 or units.max() >= SATURATED):
        units[(units < 0) | (units >= SATURATED)] = 0
    return units


def png(pixels: PngPixels) -> bytes:
    """The bytes of a PNG, packed lightly: time counts for more than a few kilobytes."""
    library = _trusted_png_library() if pixels.nbytes <= LARGEST else None
    return (packed_png(library, pixels) if library is not None and pixels.size else None) or pillow_png(pixels)


def pillow_png(pixels: PngPixels) -> bytes:
    """The same by Pillow."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


@cache
def _trusted_png_library() -> CDLL | None:
    """The library that packs small images, where there is one and Pillow packs to the same bytes: its zlib may be another."""
    library = png_library()
    return library if library is not None and packs_alike(library) else None


def packs_alike(library: CDLL) -> bool:
    """Whether images of noise, slopes and even areas become the same bytes as by Pillow."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    noise[8:16] = np.arange(32, dtype=np.uint8)[:, None]
    noise[16:, :20] = 7
    trials = noise, noise.astype(np.uint16).sum(axis=2, dtype=np.uint16) * np.uint16(40)
    return all(packed_png(library, each) == pillow_png(each) for each in trials)


def save_png(image: Image.Image, path: Path) -> None:
    """Write an image as a PNG that appears under its name only when all of it is written.

    Raises:
        WorkError: If the folder cannot be made or written to.
    """
    with records.atomic_path(path) as temporary:
        image.save(temporary, "PNG")


def open_image(path: str | Path) -> Image.Image:
    """An image file as Pillow reads it, whole: neither turned nor converted.

    Raises:
        MissingFileError: If the file does not exist.
        SceneError: If it is not a complete image, has more than `MAX_PIXELS` pixels, or one side over `MAX_ASPECT`
            times as long as the other.
    """
    path = records.require_file(path)
    if (size := path.stat().st_size) > MAX_FILE:
        raise SceneError(f"{path}: expected an image file of at most {MAX_FILE} bytes; it has {size}")
    return decode_image(path.read_bytes(), str(path))


def decode_image(data: bytes, where: str) -> Image.Image:
    """The same from a file's bytes.

    Args:
        data: The file's bytes.
        where: What to call it in an error.

    Raises:
        SceneError: If it is not a complete image, has more than `MAX_PIXELS` pixels, or one side over `MAX_ASPECT`
            times as long as the other.
    """
    try:
        with io.BytesIO(data) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is not a reason to refuse an image
            check_exif(file, where)
            image = Image.open(file, formats=FORMATS)
            _check_size(image.size, where)
            _check_scans(image, data, where)
            image.load()
    except _UNREADABLE as error:
        if isinstance(error, SceneError):
            raise
        raise _unreadable(where, error) from None
    return image


def _unreadable(where: object, error: Exception) -> SceneError:
    # the words of the first kind name an object in memory
    why = f"it is none of {', '.join(FORMATS)}" if isinstance(error, UnidentifiedImageError) else error
    return SceneError(f"{where}: expected a complete image that Pillow can read; {why}")


def _check_size(size: tuple[int, int], where: str) -> None:
    got = f"got {size[0]} x {size[1]}"
    if size[0] * size[1] > MAX_PIXELS:
        raise SceneError(f"{where}: expected at most {MAX_PIXELS} pixels; {got}; scale it down")
    if max(size) > MAX_ASPECT * min(size):
        raise SceneError(f"{where}: expected no side over {MAX_ASPECT} times as long as the other; {got}; crop the image")


def _check_scans(image: Image.Image, data: bytes, where: str) -> None:
    """Each scan of a progressive JPEG is as much work as the whole image, however few bytes it has."""
    if image.format in {"JPEG", "MPO"} and data.count(b"\xff\xda") > MAX_SCANS:
        raise SceneError(f"{where}: expected a JPEG of at most {MAX_SCANS} scans; save the image again")


def check_exif(file: IO[bytes], where: str) -> None:
    """Refuse a JPEG with more EXIF than any camera writes, before Pillow opens it; the file is then at its beginning.

    Raises:
        SceneError: If it has more than `MAX_EXIF` bytes.
    """
    place, total = 2, 0
    if file.read(2) == b"\xff\xd8":
        while len(head := file.read(10)) == 10 and head[0] == 0xFF and head[1] != 0xDA:
            length = int.from_bytes(head[2:4], "big")
            total += length if head[1] == 0xE1 and head[4:8] == b"Exif" else 0
            place += 2 + max(2, length)
            file.seek(place)
    file.seek(0)
    if total > MAX_EXIF:
        raise SceneError(f"{where}: expected at most {MAX_EXIF} bytes of EXIF; it has {total}; save the image again")


def load_scenes(folder: str | Path) -> Iterator[Scene]:
    """The scenes of a scenes folder, one at a time, their paths resolved.

    Raises:
        MissingFileError: If the folder has no `scenes.jsonl`.
        RecordError: If a row is not a scene, repeats an id or has one that cannot be part of a file's name, or names a file
            outside of the folder.
    """
    folder = records.require_folder(folder)
    seen: set[str] = set()
    for scene in records.read_jsonl(folder / "scenes.jsonl", Scene):
        where = f"{folder / 'scenes.jsonl'}: scene {scene.id!r}"
        if scene.id in seen:
            raise RecordError(f"{where}: expected every id once; it comes twice")
        seen.add(scene.id)
        _check_ids(scene, where)
        yield resolve(scene, folder, where=where)


def _check_ids(scene: Scene, where: str) -> None:
    """Later stages call files after scenes and their regions."""
    names = [region.id for region in scene.regions]
    if len(names) > MAX_REGIONS:
        raise RecordError(f"{where}: expected at most {MAX_REGIONS} regions; got {len(names)}: every pair of them is measured")
    if len(set(names)) < len(names):
        raise RecordError(f"{where}: expected every region's id once; {Counter(names).most_common(1)[0][0]!r} comes twice")
    for region in scene.regions:
        check_label(region.label, f"{where}, {region.id[:200]!r}")
    for name in (scene.id, *names):
        if _NAME.fullmatch(name) is None or name in {".", ".."}:
            raise RecordError(f"{where}: expected ids that can be part of a file's name, without slashes; got {name[:200]!r}")


def check_label(label: str, where: str) -> None:
    """Refuse a label that is no name.

    Raises:
        RecordError: If it has more than `LONGEST_LABEL` characters.
    """
    if len(label) > LONGEST_LABEL:
        raise RecordError(f"{where}: expected a label of at most {LONGEST_LABEL} characters; got {len(label)}")


def scene_index(folder: str | Path) -> dict[str, Scene]:
    """The scenes of a scenes folder by id; raises as `load_scenes`."""
    return {scene.id: scene for scene in load_scenes(folder)}


def check_scene(scene: Scene) -> None:
    """Refuse a scene whose image cannot be used, before work is spent on it.

    Raises:
        MissingFileError: If the image is not there.
        SceneError: If it is not a complete image, or a mask is not of its size.
    """
    image = read_image(scene.image)
    for region in scene.regions:
        require_size(region.mask.size, (image.height, image.width), where=f"scene {scene.id!r}, {region.id!r}")


def resolve(scene: Scene, folder: Path, *, where: str) -> Scene:
    """The scene with its paths resolved against the folder.

    Raises:
        RecordError: If a path leads out of the folder.
    """
    image = str(records.inside(folder, scene.image, where=where))
    depth = scene.depth and replace(scene.depth, path=str(records.inside(folder, scene.depth.path, where=where)))
    return replace(scene, image=image, depth=depth)


def write_scenes(folder: Path, scenes: Iterable[Scene]) -> int:
    """Write `scenes.jsonl`, whole or not at all; the scenes' paths must be relative to the folder. Returns how many."""
    return records.write_jsonl(folder / "scenes.jsonl", scenes)
