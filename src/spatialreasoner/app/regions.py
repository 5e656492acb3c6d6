"""Regions that people give: drawn with a mouse or a finger, written as numbers, or painted in another program."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageDraw
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Record, Region
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.masks import box_of, decode, encode, from_box, from_polygon

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
        tool: "box" by two corners, "polygon" by its corners, "brush" by a stroke, "pick" by a point of a detected mask.
        points: (x, y), pixels of the image.
        width: Width of the brush, pixels.
    """

    tool: Literal["box", "polygon", "brush", "pick"]
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


def shape_of(data: object) -> DrawnShape:
    """What the browser sent, checked.

    Raises:
        SceneError: If it is not a shape.
    """
    try:
        return _SHAPE.validate_python(data)
    except ValidationError as error:
        raise SceneError(f"that is not a region that can be drawn: {error.errors()[0]['msg']}") from None


def from_shape(shape: DrawnShape, size: tuple[int, int], detected: Sequence[Region] = ()) -> Region:
    """The region of a drawn shape; a picked mask keeps its id and label, others have none but `DRAWN_LABEL`.

    Args:
        shape: What was drawn.
        size: Height and width of the image.
        detected: The masks that may be picked.

    Raises:
        SceneError: If nothing of it lies inside the image, or no detected mask is there.
    """
    if shape.tool == "pick":
        return _picked(shape.points[0], detected)
    if shape.tool == "brush":
        return region(_stroke(shape, size), size)
    if shape.tool == "polygon":
        return region(from_polygon(shape.points, size), size)
    columns, rows = zip(shape.points[0], shape.points[-1], strict=True)
    return region(from_box((min(columns), min(rows), max(columns), max(rows)), size), size)


def from_numbers(text: str, size: tuple[int, int]) -> Region:
    """The region of `x0,y0,x1,y1` (a box, end-exclusive) or of `x,y x,y x,y ...` (a polygon), pixels.

    Raises:
        SceneError: If the text has another form, or nothing of the region lies inside the image.
    """
    numbers = [float(number) for number in _NUMBER.findall(text)] if is_numbers(text) else []
    if len(numbers) < 4 or len(numbers) % 2 or len(numbers) > 2 * MAX_DRAWN_CORNERS:
        raise SceneError(
            f"a region is a box x0,y0,x1,y1 or a polygon x,y x,y x,y of at most {MAX_DRAWN_CORNERS} corners, in pixels; "
            f"got {text[:80]!r}"
        )
    if len(numbers) == 4:
        return region(from_box(numbers, size), size)
    return region(from_polygon(list(zip(numbers[::2], numbers[1::2], strict=True)), size), size)


def is_numbers(text: str) -> bool:
    """Whether a text can only be meant as corners."""
    return _NUMBERS.fullmatch(text) is not None


def from_picture(path: str | Path, size: tuple[int, int]) -> Region:
    """The region that is not black in a mask image of the same size.

    Raises:
        MissingFileError: If the file does not exist.
        SceneError: If it is not an image, has another size, or is black all over.
    """
    picture = read_image(path)
    if (picture.height, picture.width) != size:
        raise SceneError(
            f"{path}: expected a mask of the image's size, {size[1]} x {size[0]}; got {picture.width} x {picture.height}"
        )
    mask = np.asarray(np.asarray(picture).any(axis=2))
    if not mask.any():
        raise SceneError(f"{path}: expected a mask whose region is not black; it is black all over")
    return region(mask, size)


def region(mask: Bool[np.ndarray, "h w"], size: tuple[int, int]) -> Region:
    """A region of a mask, called by the box around it.

    Raises:
        SceneError: If the mask is empty.
    """
    if not mask.any():
        raise SceneError(f"the region lies outside of the image, which is {size[1]} x {size[0]} pixels")
    return Region(id="drawn", label=DRAWN_LABEL, mask=encode(mask))


def describe_region(shown: Region) -> str:
    """A region in a few words, for a list."""
    x0, y0, x1, y1 = box_of(decode(shown.mask))
    place = f"{x1 - x0} x {y1 - y0} pixels at {x0},{y0}"
    return place if shown.label == DRAWN_LABEL else f"{shown.label}, {place}"


def _picked(point: tuple[float, float], detected: Sequence[Region]) -> Region:
    """The smallest detected mask at a point: a thing before the table that it stands on."""
    column, row = (int(value) for value in point)
    found: list[tuple[int, Region]] = []
    for candidate in detected:
        mask = decode(candidate.mask)
        if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and mask[row, column]:
            found.append((int(mask.sum()), candidate))
    if not found:
        raise SceneError("there is no detected thing at this point; draw a box around it instead")
    return min(found, key=lambda entry: entry[0])[1]


def _stroke(shape: DrawnShape, size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The pixels under a round brush."""
    picture = Image.new("1", (size[1], size[0]))
    pen = ImageDraw.Draw(picture)
    width = max(1, min(round(shape.width), max(size)))
    pen.line(shape.points, fill=1, width=width, joint="curve")
    for x, y in shape.points:
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=1)
    return np.array(picture, dtype=bool)
