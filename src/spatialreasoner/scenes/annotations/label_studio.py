"""Label Studio: its JSON export, full or "JSON-MIN": brushes, bitmasks, polygons, rectangles (turned ones, too), ellipses.

Coordinates are percent of the image's width and height; a rectangle turns clockwise about its upper left corner, an ellipse
about its middle (https://labelstud.io/guide/export). Brushes are packed in a bit stream of the library rle-pack, of RGBA
pixels, in which opacity is the mask (label_studio_sdk.converter.brush).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import UInt8

from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.scenes.annotations.bitmaps import png_mask
from spatialreasoner.scenes.annotations.coco import UNNAMED
from spatialreasoner.scenes.annotations.document import Document
from spatialreasoner.scenes.annotations.shapes import Annotated, AnnotatedShape, Bitmap, Drawn, Polygon, box, ellipse
from spatialreasoner.scenes.masks import MAX_PIXELS

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic"})

_NO_AREA = frozenset({"keypointlabels", "keypoint", "vectorlabels", "vector", "videorectangle"})


def detect(document: Document) -> bool:
    """Whether a document is a list of tasks."""
    rows = document.json
    return isinstance(rows, list) and bool(rows) and all(isinstance(row, dict) and _is_task(row) for row in rows)


def _is_task(row: Mapping[str, Any]) -> bool:
    full = isinstance(row.get("data"), dict) and ("annotations" in row or "completions" in row or "predictions" in row)
    return full or ("annotation_id" in row and "segmentation" not in row)


def read(document: Document) -> list[Annotated]:
    """Every task's image.

    Of several annotations of one task the one marked as ground truth counts, else the one changed last; cancelled ones and
    predictions never do.

    Raises:
        RecordError: If a task names no image, or a result lacks what it needs.
    """
    return [_task(row, f"{document.path}: task {row.get('id', number)}") for number, row in enumerate(document.json, start=1)]


def _task(row: Mapping[str, Any], where: str) -> Annotated:
    data = row["data"] if isinstance(row.get("data"), dict) else row
    image = next((value for value in data.values() if isinstance(value, str) and _names_image(value)), None)
    if image is None:
        raise RecordError(f"{where}: expected the name of an image ({', '.join(sorted(_SUFFIXES))}) in its data; there is none")
    results = _results(row)
    try:
        return _annotated(image, results)
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise RecordError(f"{where}: a result lacks {error} or has another form than Label Studio's") from None
    except ValueError as error:
        raise SceneError(f"{where}: {error}") from None


def _names_image(value: str) -> bool:
    path = value.split("?d=")[-1].split("?")[0]
    return PurePosixPath(path).suffix.lower() in _SUFFIXES


def _results(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The results that count, each as of the full export: type, value, and the size of the image."""
    kept = [each for each in row.get("annotations", row.get("completions", [])) if not each.get("was_cancelled")]
    if kept:
        chosen = max(kept, key=lambda each: (bool(each.get("ground_truth")), str(each.get("updated_at", ""))))
        return [result for result in chosen["result"] if isinstance(result.get("value"), dict)]
    if "annotation_id" not in row:
        return []
    flat = [entry for value in row.values() if isinstance(value, list) for entry in value if isinstance(entry, dict)]
    return [{**entry, "value": entry} for entry in flat if "original_width" in entry]


def _annotated(image: str, results: Iterable[dict[str, Any]]) -> Annotated:
    size: tuple[int, int] | None = None
    shapes: dict[str, tuple[AnnotatedShape, bool]] = {}
    labels: dict[str, str] = {}
    skipped: list[str] = []
    for number, result in enumerate(results):
        name, value = str(result.get("id", number)), result["value"]
        label = _label(value)
        if label is not None:
            labels[name] = label
        if "original_width" in result:
            size = _size(result)
        shape = None if size is None else _shape(value, size)
        if shape is not None:
            shapes[name] = shape
        elif str(result.get("type", "")) in _NO_AREA:
            skipped.append(str(result["type"]))
    regions = [
        Drawn(label=labels.get(name, UNNAMED), parts=(shape,), is_box=is_box) for name, (shape, is_box) in shapes.items()
    ]
    return Annotated(image=image, size=size, regions=tuple(regions), skipped=tuple(skipped))


def _size(result: Mapping[str, Any]) -> tuple[int, int]:
    if result.get("image_rotation"):
        raise SceneError(
            f"expected an image that was labelled upright; Label Studio shows it turned by {result['image_rotation']} degrees; "
            "turn the file itself and label that"
        )
    return int(result["original_height"]), int(result["original_width"])


def _label(value: Mapping[str, Any]) -> str | None:
    """The first name of a result: its key is the kind of the tag, such as "brushlabels"."""
    for key, names in value.items():
        if (key.endswith("labels") or key in {"labels", "choices"}) and isinstance(names, list) and names:
            return str(names[0]).strip() or None
    return None


def _shape(value: Mapping[str, Any], size: tuple[int, int]) -> tuple[AnnotatedShape, bool] | None:
    """A result's shape, and whether it is an upright box."""
    height, width = size
    if "rle" in value:
        return Bitmap(pixels=unpack_brush(value["rle"], size)), False
    if "imageDataURL" in value:
        return Bitmap(pixels=_data_url(value["imageDataURL"])), False
    if "points" in value:
        return Polygon(outline=[(x * width / 100, y * height / 100) for x, y in value["points"]]), False
    if "radiusX" in value:
        radii = value["radiusX"] * width / 100, value["radiusY"] * height / 100
        place = value["x"] * width / 100, value["y"] * height / 100
        return ellipse(*place, *radii, degrees=value.get("rotation", 0.0)), False
    if {"x", "y", "width", "height"} <= value.keys() and "text" not in value:
        x, y = value["x"] * width / 100, value["y"] * height / 100
        x1, y1 = x + value["width"] * width / 100, y + value["height"] * height / 100
        turned = float(value.get("rotation", 0.0))
        return box(x, y, x1, y1, degrees=turned, about=(x, y)), turned == 0.0
    return None


def _data_url(text: str) -> np.ndarray:
    try:
        return png_mask(base64.b64decode(text.partition(",")[2], validate=True))
    except binascii.Error as error:
        raise SceneError(f"expected a data URL of a PNG; got {text[:40]!r}: {error}") from None


def unpack_brush(data: list[int], size: tuple[int, int]) -> np.ndarray:
    """The mask of a brush: rle-pack's bit stream of RGBA pixels.

    32 bits count the bytes, 5 bits hold the word size less one, 4 times 4 bits the lengths of run counters less one. Then
    come runs: a bit that tells whether one value repeats, 2 bits that choose the counter, and the counter; then one value, or
    as many as counted.

    Args:
        data: The bytes.
        size: Height and width of the image.

    Raises:
        SceneError: If the stream ends early, or is not of that size.
    """
    height, width = size
    if height * width > MAX_PIXELS:
        raise SceneError(f"a mask has at most {MAX_PIXELS} pixels; got {height} x {width}")
    try:
        bits = _Bits(bytes(data))
    except (ValueError, TypeError):
        raise SceneError("expected a brush's run lengths as bytes 0..255") from None
    length = bits.take(32)
    if length != height * width * 4:
        raise SceneError(f"expected a brush of {height} x {width} RGBA pixels, {height * width * 4} bytes; got {length}")
    word = bits.take(5) + 1
    counters = [bits.take(4) + 1 for _ in range(4)]
    pixels = np.zeros(length, dtype=np.uint8)
    done = 0
    while done < length:
        repeats = bits.take(1)
        end = min(length, done + bits.take(counters[bits.take(2)]) + 1)
        pixels[done:end] = bits.take(word) if repeats else bits.words(end - done, word)
        done = end
    return _opaque(pixels, size)


def _opaque(pixels: UInt8[np.ndarray, " n"], size: tuple[int, int]) -> np.ndarray:
    return pixels.reshape(*size, 4)[:, :, 3] > 0


class _Bits:
    """A stream of bits, the first bit of a byte being its highest."""

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
        self._at = 0

    def take(self, count: int) -> int:
        """The next bits as one number."""
        part = self._next(count)
        return int("".join(map(str, part.tolist())), 2)

    def words(self, count: int, width: int) -> np.ndarray:
        """The next `count` numbers of `width` bits each, at most 8."""
        part = self._next(count * width).reshape(count, width)
        return part @ (1 << np.arange(width - 1, -1, -1))

    def _next(self, count: int) -> np.ndarray:
        part = self._bits[self._at : self._at + count]
        if len(part) < count:
            raise SceneError("a brush's run lengths end in the middle of a run")
        self._at += count
        return part
