"""Supervisely: one JSON file per photo (`NAME.jpg.json`), or a project's folder of them.

https://docs.supervisely.com/data-organization/00_ann_format_navi: polygons with holes (`exterior`, `interior`), rectangles,
bitmaps as base64 of a zlib-packed PNG at an `origin`, and alpha masks of the same form. Points of a polygon or rectangle are
pixels that belong to it, so that a rectangle from (2, 1) to (4, 2) has 3 x 2 pixels.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.scenes.annotations.bitmaps import png_mask
from spatialreasoner.scenes.annotations.document import Document
from spatialreasoner.scenes.annotations.shapes import Annotated, AnnotatedShape, Bitmap, Drawn, Mask, box

MAX_UNPACKED = 2**28
"""Maximum number of bytes of the PNG inside; a larger one is not a mask."""


def detect(document: Document) -> bool:
    """Whether a document has Supervisely's keys."""
    return document.has("objects", "size")


def read(document: Document) -> list[Annotated]:
    """The one image of a file, called as the file without `.json`.

    Raises:
        RecordError: If it is not Supervisely's form.
        SceneError: If an object's shape is broken.
    """
    name = document.path.name[: -len(".json")]
    try:
        value = document.json
        size = int(value["size"]["height"]), int(value["size"]["width"])
        regions: list[Drawn] = []
        skipped: list[str] = []
        for entry in value["objects"]:
            shape = _shape(entry)
            if shape is None:
                skipped.append(str(entry.get("geometryType")))
            else:
                label = str(entry.get("classTitle") or "object").strip()
                regions.append(Drawn(label=label, parts=(shape,), is_box=entry["geometryType"] == "rectangle"))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise RecordError(f"{document.path}: expected Supervisely's form; an object lacks {error}") from None
    except ValueError as error:
        raise SceneError(f"{document.path}: {error}") from None
    return [Annotated(image=name, size=size, regions=tuple(regions), bare=not Path(name).suffix, skipped=tuple(skipped))]


def _shape(entry: Mapping[str, Any]) -> AnnotatedShape | None:
    kind = entry["geometryType"]
    if kind in {"bitmap", "alpha_mask"}:
        left, top = entry["bitmap"]["origin"]
        return Bitmap(pixels=_unpack(entry["bitmap"]["data"]), left=int(left), top=int(top))
    if kind == "rectangle":
        (x0, y0), (x1, y1) = entry["points"]["exterior"]
        return box(min(x0, x1), min(y0, y1), max(x0, x1) + 1, max(y0, y1) + 1)
    if kind == "polygon":
        return PixelPolygon(entry["points"]["exterior"], entry["points"].get("interior", []))
    return None


class PixelPolygon:
    """A polygon whose corners are pixels that belong to it, as OpenCV's fillPoly draws one.

    Args:
        outline: Corners (x, y), pixels.
        holes: Outlines of what is left out; their own pixels belong to the hole.
    """

    def __init__(self, outline: list[list[float]], holes: list[list[list[float]]]) -> None:
        self._outline, self._holes = outline, holes

    def mask(self, size: tuple[int, int]) -> Mask:
        """The pixels inside and on the outline, without the holes."""
        from PIL import Image, ImageDraw

        canvas = Image.new("1", (size[1], size[0]))
        draw = ImageDraw.Draw(canvas)
        for points, fill in ((self._outline, 1), *((hole, 0) for hole in self._holes)):
            corners = [(round(float(x)), round(float(y))) for x, y in points]
            if len(corners) < 3 or any(abs(number) > 20 * max(size) for corner in corners for number in corner):
                raise SceneError(f"expected a polygon of three corners or more in the image; got {str(points)[:80]}")
            draw.polygon(corners, fill=fill, outline=fill)
        return np.array(canvas, dtype=bool)


def _unpack(data: str) -> Mask:
    try:
        packed = zlib.decompressobj()
        png = packed.decompress(base64.b64decode(data, validate=True), MAX_UNPACKED)
    except (binascii.Error, zlib.error) as error:
        raise SceneError(f"expected a bitmap as base64 of a zlib-packed PNG; {error}") from None
    if packed.unconsumed_tail:
        raise SceneError(f"expected a bitmap of at most {MAX_UNPACKED} bytes; it is larger")
    return png_mask(png)
