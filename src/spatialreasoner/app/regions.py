"""Regions that people give: drawn with a mouse or a finger, written as numbers, or painted in another program."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Record, Region, RegionSource
from spatialreasoner.scenes.files import pixels_of, read_image
from spatialreasoner.scenes.masks import box_of, decode, encode, from_box, from_polygon, require_size

DRAWN_LABEL = "object"
"""What a region is called that somebody drew: nobody said what it shows."""

MAX_DRAWN_CORNERS = 4000
"""Corners of a polygon, or points of a brush stroke, that are taken."""

_NUMBERS = re.compile(r"[-+.\d\s,;]{1,20000}")
_NUMBER = re.compile(r"[-+]?\d{1,9}(?:\.\d{1,9})?")


@dataclass(frozen=True, kw_only=True)
class DrawnShape(Record):
    """What was drawn in the browser.

    Attributes:
        tool: "box" by two corners, "polygon" by its corners, "brush" by a stroke, "click" by a point of the thing.
        points: (x, y), pixels of the image.
        width: Width of the brush, pixels.
    """

    tool: Literal["box", "polygon", "brush", "click"]
    points: tuple[tuple[float, float], ...]
    width: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.points) <= MAX_DRAWN_CORNERS:
            raise ValueError(f"a shape has 1 to {MAX_DRAWN_CORNERS} points; got {len(self.points)}")
        if not all(math.isfinite(value) and abs(value) < 1e6 for point in self.points for value in point):
            raise ValueError("a shape's points are finite numbers of pixels")
        if not 0 < self.width <= 10_000:
            raise ValueError(f"a brush is 1 to 10000 pixels wide; got {self.width}")


_SHAPE = TypeAdapter(DrawnShape)


@plain_dataclass(frozen=True, kw_only=True, eq=False)
class Sight:
    """What can be seen where one draws.

    Attributes:
        size: Height and width of the image, pixels.
        detected: Masks that were found before, and can be clicked on.
        depth: Depth, metres or without scale, NaN where it was not measured; None if none is known.
        image: The image, sRGB; None if nothing is to be cut out.
    """

    size: tuple[int, int]
    detected: Sequence[Region] = ()
    depth: Float[np.ndarray, "h w"] | None = None
    image: UInt8[np.ndarray, "h w 3"] | None = None


def shape_of(data: object) -> DrawnShape:
    """What the browser sent, checked.

    Raises:
        SceneError: If it is not a shape.
    """
    try:
        return _SHAPE.validate_python(data)
    except ValidationError as error:
        raise SceneError(f"that is not a region that can be drawn: {error.errors()[0]['msg']}") from None


def from_shape(shape: DrawnShape, sight: Sight, *, cut: bool = False) -> Region:
    """The region of a drawn shape; a detected mask that was clicked keeps its label, others have none but `DRAWN_LABEL`.

    Args:
        shape: What was drawn.
        sight: The image that it was drawn on.
        cut: Whether a box means the thing in it, told apart by depth and colour, where there is depth.

    Raises:
        SceneError: If nothing of it lies inside the image, or nothing is to be told apart at a click.
    """
    size = sight.size
    if shape.tool == "click":
        return _clicked(shape.points[0], sight)
    if shape.tool == "brush":
        return region(stroke(shape, size), size)
    if shape.tool == "polygon":
        return region(from_polygon(shape.points, size), size)
    columns, rows = zip(shape.points[0], shape.points[-1], strict=True)
    whole = region(from_box((min(columns), min(rows), max(columns), max(rows)), size), size, "box")
    return cut_box(whole, sight) if cut and sight.depth is not None else whole


def cut_box(whole: Region, sight: Sight) -> Region:
    """The thing in the box around a region, by depth and colour."""
    depth, image = sight.depth, sight.image
    assert depth is not None
    assert image is not None
    from spatialreasoner.scenes.foreground import in_box

    return region(in_box(box_of(decode(whole.mask)), depth, image), sight.size, "box, cut out by depth and colour")


def shape_from_numbers(text: str) -> DrawnShape:
    """The shape of `x0,y0,x1,y1` (a box, end-exclusive) or of `x,y x,y x,y ...` (a polygon), pixels.

    Raises:
        SceneError: If the text has another form.
    """
    numbers = [float(number) for number in _NUMBER.findall(text)] if is_numbers(text) else []
    if len(numbers) < 4 or len(numbers) % 2 or len(numbers) > 2 * MAX_DRAWN_CORNERS:
        raise SceneError(
            f"a region is a box x0,y0,x1,y1 or a polygon x,y x,y x,y of at most {MAX_DRAWN_CORNERS} corners, in pixels; "
            f"got {text[:80]!r}"
        )
    if len(numbers) == 4 and not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
        raise SceneError(f"a box is x0,y0,x1,y1 with x0 < x1 and y0 < y1, pixels; got {text[:80]!r}")
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    return shape_of({"tool": "box" if len(points) == 2 else "polygon", "points": points})


def from_numbers(text: str, size: tuple[int, int]) -> Region:
    """The region of `shape_from_numbers`; raises SceneError as well if nothing of it lies inside the image."""
    return from_shape(shape_from_numbers(text), Sight(size=size))


def is_numbers(text: str) -> bool:
    """Whether a text can only be meant as corners."""
    return _NUMBERS.fullmatch(text) is not None


def from_mask_image(path: str | Path, size: tuple[int, int]) -> Region:
    """The region that is not black in a mask image of the same size.

    Raises:
        MissingFileError: If the file does not exist.
        SceneError: If it is not an image, has another size, or is black all over.
    """
    pixels = pixels_of(read_image(path))
    require_size(pixels.shape[:2], size, where=str(path))
    mask = np.asarray(pixels.any(axis=2))
    if not mask.any():
        raise SceneError(f"{path}: expected a mask whose region is not black; the whole image is black")
    return region(mask, size)


def region(mask: Bool[np.ndarray, "h w"], size: tuple[int, int], source: RegionSource = "drawn") -> Region:
    """A region of a mask.

    Raises:
        SceneError: If the mask is empty.
    """
    if not mask.any():
        raise SceneError(f"the region is outside the image, which is {size[1]} x {size[0]} pixels")
    return Region(id="drawn", label=DRAWN_LABEL, mask=encode(mask), region_source=source)


def _clicked(point: tuple[float, float], sight: Sight) -> Region:
    """The smallest detected mask at a point, a thing before the table that it stands on; else what depth and colour tell."""
    column, row = (int(value) for value in point)
    found: list[tuple[int, Region]] = []
    for candidate in sight.detected:
        mask = decode(candidate.mask)
        if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and mask[row, column]:
            found.append((int(mask.sum()), candidate))
    if found:
        return min(found, key=lambda entry: entry[0])[1]
    if sight.depth is None or sight.image is None:
        raise SceneError("nothing was detected at this point, and without depth nothing can be cut out; draw a box around it")
    from spatialreasoner.scenes.foreground import at_click

    return region(at_click(column, row, sight.depth, sight.image), sight.size, "click, cut out by depth and colour")


def stroke(shape: DrawnShape, size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The pixels under a round brush."""
    image = Image.new("1", (size[1], size[0]))
    pen = ImageDraw.Draw(image)
    width = max(1, min(round(shape.width), max(size)))
    pen.line(shape.points, fill=1, width=width, joint="curve")
    for x, y in shape.points:
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=1)
    return np.array(image, dtype=bool)
