"""What label tools draw: polygons with holes, boxes, ellipses, run lengths and small bitmaps, and the masks of them.

Coordinates are pixels of the annotated image, x to the right and y down, with (0, 0) at the upper left corner of the upper left
pixel, unless a shape says that they are shares of width and height.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Rle
from spatialreasoner.scenes.masks import decode, from_polygon, require_size

Mask = Bool[np.ndarray, "h w"]
Point = tuple[float, float]

ELLIPSE_CORNERS = 128
"""Corners of the polygon that an ellipse is drawn as: off by less than a tenth of a pixel up to a radius of 300."""


class AnnotatedShape(Protocol):
    """One closed outline or bitmap."""

    def mask(self, size: tuple[int, int]) -> Mask:
        """The pixels of it in an image of this height and width.

        Raises:
            SceneError: If it is broken.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Polygon:
    """An outline and the holes in it.

    Attributes:
        outline: Corners (x, y).
        holes: Outlines of what is left out.
        relative: Whether coordinates are shares 0..1 of width and height.
    """

    outline: Sequence[Sequence[float]]
    holes: Sequence[Sequence[Sequence[float]]] = ()
    relative: bool = False

    def mask(self, size: tuple[int, int]) -> Mask:
        """The pixels inside, rasterised as pycocotools does."""
        inside = from_polygon(self._pixels(self.outline, size), size)
        for hole in self.holes:
            inside &= ~from_polygon(self._pixels(hole, size), size)
        return inside

    def _pixels(self, points: Sequence[Sequence[float]], size: tuple[int, int]) -> Sequence[Sequence[float]]:
        if not self.relative:
            return points
        return [(point[0] * size[1], point[1] * size[0]) if len(point) == 2 else point for point in points]


@dataclass(frozen=True, kw_only=True)
class RunLengths:
    """COCO's run lengths of a whole image."""

    rle: Rle

    def mask(self, size: tuple[int, int]) -> Mask:
        """The mask, which has the run lengths' own size."""
        return decode(self.rle)


@dataclass(frozen=True, eq=False, kw_only=True)
class Bitmap:
    """A small mask at a place of the image.

    Attributes:
        pixels: The mask.
        left: Column of its left edge.
        top: Row of its upper edge.
    """

    pixels: Mask
    left: int = 0
    top: int = 0

    def mask(self, size: tuple[int, int]) -> Mask:
        """The pixels that lie in the image."""
        whole = np.zeros(size, dtype=bool)
        height, width = self.pixels.shape
        rows = slice(max(0, self.top), max(0, min(size[0], self.top + height)))
        columns = slice(max(0, self.left), max(0, min(size[1], self.left + width)))
        part = self.pixels[rows.start - self.top : rows.stop - self.top, columns.start - self.left : columns.stop - self.left]
        whole[rows, columns][: part.shape[0], : part.shape[1]] = part
        return whole


def box(x0: float, y0: float, x1: float, y1: float, *, degrees: float = 0.0, about: Point | None = None) -> Polygon:
    """A box, turned clockwise as one sees it (y points down).

    Args:
        x0: Left edge.
        y0: Upper edge.
        x1: Right edge, end-exclusive.
        y1: Lower edge, end-exclusive.
        degrees: How far it is turned.
        about: The point that stays where it is; by default the middle.

    Raises:
        SceneError: If it is not four finite numbers with x0 < x1 and y0 < y1.
    """
    if not (math.isfinite(x0 + y0 + x1 + y1 + degrees) and x0 < x1 and y0 < y1):
        raise SceneError(
            f"expected a box with a left edge before the right and an upper above the lower; got {(x0, y0, x1, y1)}"
        )
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return Polygon(outline=turn(corners, degrees, about or ((x0 + x1) / 2, (y0 + y1) / 2)))


def ellipse(x: float, y: float, radius_x: float, radius_y: float, *, degrees: float = 0.0) -> Polygon:
    """An ellipse about (x, y), turned clockwise as one sees it.

    Raises:
        SceneError: If a radius is not positive.
    """
    if not (math.isfinite(x + y + radius_x + radius_y + degrees) and radius_x > 0 and radius_y > 0):
        raise SceneError(f"expected an ellipse with positive radii; got {(radius_x, radius_y)} at {(x, y)}")
    angles = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS, endpoint=False)
    corners = [(x + radius_x * math.cos(angle), y + radius_y * math.sin(angle)) for angle in angles]
    return Polygon(outline=turn(corners, degrees, (x, y)))


def turn(points: Sequence[Point], degrees: float, about: Point) -> list[Point]:
    """Points turned clockwise as one sees them about another point."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x0, y0 = about
    return [(x0 + (x - x0) * cosine - (y - y0) * sine, y0 + (x - x0) * sine + (y - y0) * cosine) for x, y in points]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One region: its name and everything that was drawn for it, one part or several.

    Attributes:
        label: What it shows.
        parts: Shapes that make it up together.
        is_box: Whether it is a plain box, which holds more than the thing.
        group: Which other regions of the image are the same thing; None for none.
    """

    label: str
    parts: tuple[AnnotatedShape, ...]
    is_box: bool = False
    group: str | None = None

    def mask(self, size: tuple[int, int]) -> Mask:
        """All parts together.

        Raises:
            SceneError: If a part is broken, or has another size than the image.
        """
        whole = np.zeros(size, dtype=bool)
        for part in self.parts:
            mask = part.mask(size)
            require_size(mask.shape, size, where="a mask")
            whole |= mask
        return whole


def join_groups(regions: Sequence[Drawn]) -> tuple[Drawn, ...]:
    """Regions of the same label and group made one, in the place of the first."""
    joined: dict[object, Drawn] = {}
    for number, region in enumerate(regions):
        key = number if region.group is None else (region.label, region.group)
        before = joined.get(key)
        if before is not None:
            region = Drawn(label=region.label, parts=(*before.parts, *region.parts), group=region.group)
        joined[key] = region
    return tuple(joined.values())


@dataclass(frozen=True, kw_only=True)
class Annotated:
    """What a file says of one image.

    Attributes:
        image: The image's name as the file has it, with the folders it names.
        size: Height and width of the image as the file has them; None if it does not tell.
        regions: What was drawn.
        bare: Whether `image` lacks the suffix (.jpg), as where there is one annotation file per photo, called after it.
        skipped: Drawings that are not areas (points, lines), in words.
    """

    image: str
    size: tuple[int, int] | None
    regions: tuple[Drawn, ...]
    bare: bool = False
    skipped: tuple[str, ...] = ()
