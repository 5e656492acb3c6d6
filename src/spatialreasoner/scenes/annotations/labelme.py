"""labelme: one JSON file per photo, or a folder of them.

https://github.com/wkentaro/labelme: polygons, rectangles of two opposite corners, turned rectangles of four, circles of a
middle and a point of the rim, and masks as a PNG inside of a box whose ends belong to it. Shapes of one label and one
`group_id` are one thing.
"""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass

from spatialreasoner.core.errors import SceneError
from spatialreasoner.scenes.annotations.bitmaps import png_mask
from spatialreasoner.scenes.annotations.document import Document, Lenient
from spatialreasoner.scenes.annotations.shapes import (
    Annotated,
    AnnotatedShape,
    Bitmap,
    Drawn,
    Polygon,
    box,
    ellipse,
    join_groups,
)


@dataclass(frozen=True, kw_only=True)
class _Shape(Lenient):
    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = "polygon"
    group_id: int | None = None
    mask: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Labelme(Lenient):
    shapes: list[_Shape]
    imagePath: str
    imageHeight: int | None = None
    imageWidth: int | None = None


def detect(document: Document) -> bool:
    """Whether a document has labelme's keys."""
    return document.has("shapes", "imagePath")


def read(document: Document) -> list[Annotated]:
    """The one image of a file, named relative to the file's folder.

    Raises:
        RecordError: If it is not labelme's form.
        SceneError: If a shape is broken.
    """
    file = document.record(_Labelme)
    regions: list[Drawn] = []
    skipped: list[str] = []
    for number, entry in enumerate(file.shapes, start=1):
        try:
            shape = _shape(entry)
        except SceneError as error:
            raise SceneError(f"{document.path}: shape {number} ({entry.label!r}): {error}") from None
        if shape is None:
            skipped.append(entry.shape_type or "shape")
            continue
        group = None if entry.group_id is None else str(entry.group_id)
        regions.append(
            Drawn(label=entry.label.strip() or "object", parts=(shape,), is_box=entry.shape_type == "rectangle", group=group)
        )
    known = file.imageHeight is not None and file.imageWidth is not None
    size = (file.imageHeight or 0, file.imageWidth or 0) if known else None
    return [Annotated(image=file.imagePath, size=size, regions=join_groups(regions), skipped=tuple(skipped))]


def _shape(entry: _Shape) -> AnnotatedShape | None:
    kind, points = entry.shape_type or "polygon", entry.points
    if kind in {"polygon", "oriented_rectangle"}:
        return Polygon(outline=points)
    if kind == "rectangle" and len(points) >= 2:
        columns, rows = zip(*points, strict=True)
        return box(min(columns), min(rows), max(columns), max(rows))
    if kind == "circle" and len(points) == 2:
        (x, y), rim = points
        radius = math.hypot(rim[0] - x, rim[1] - y)
        return ellipse(x, y, radius, radius)
    if kind == "mask" and entry.mask is not None and points:
        try:
            pixels = png_mask(base64.b64decode(entry.mask, validate=True))
        except binascii.Error as error:
            raise SceneError(f"expected a mask as base64 of a PNG; {error}") from None
        return Bitmap(pixels=pixels, left=int(points[0][0]), top=int(points[0][1]))
    return None
