"""Marks: regions drawn on the image as numbered, coloured masks, so that any model can be asked about them."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion, distance_transform_edt

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Region
from spatialreasoner.scenes.files import bands_of, pixels_of
from spatialreasoner.scenes.masks import decode, require_size

MARK_COLOURS: tuple[tuple[int, int, int], ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (213, 94, 0),
    (86, 180, 233),
    (240, 228, 66),
    (120, 94, 240),
)
"""Okabe and Ito's colours, which colour-blind people can tell apart, in an order of good contrast; they repeat after eight."""


MOST_MEASURED = 4_000_000
"""Pixels of a mask whose distances to its border are all measured, to place its number: each takes 40 bytes on the way."""


def draw(image: Image.Image, regions: Sequence[Region]) -> Image.Image:
    """Draw regions on a copy of the image: a tint, an outline, and the number k + 1 inside region k.

    Args:
        image: The image, RGB.
        regions: Regions whose masks have the image's size; `regions[0]` gets number 1, as `<region1>` is called.

    Raises:
        SceneError: If a mask is not of the image's size, or is empty.
    """
    canvas = pixels_of(image if image.mode == "RGB" else image.convert("RGB"))
    packed = [np.packbits(_mask(region, image), axis=1) for region in regions]
    thickness = max(1, round(min(image.size) / 240))
    for band in bands_of(len(canvas)):  # in full precision, for images of tens of millions of pixels not all at once
        colours = canvas[band].astype(np.float32)
        for index, rows in enumerate(packed):
            inside, edge = _inside_and_edge(rows, band, image.width, thickness)
            colour = np.asarray(MARK_COLOURS[index % len(MARK_COLOURS)], dtype=np.float32)
            colours[inside] = colours[inside] * 0.7 + colour * 0.3
            colours[edge] = colour
        canvas[band] = colours.astype(np.uint8)
    marked = Image.fromarray(canvas)
    del canvas
    for index, region in enumerate(regions):
        _write_number(marked, index, decode(region.mask))
    return marked


def _inside_and_edge(
    packed: UInt8[np.ndarray, "h bytes"], band: slice, width: int, thickness: int
) -> tuple[Bool[np.ndarray, "rows w"], Bool[np.ndarray, "rows w"]]:
    """A band of a mask of packed bits, and what of it lies so near to the mask's border; rows beside the band decide, too."""
    around = slice(max(0, band.start - thickness), band.stop + thickness)
    mask = np.unpackbits(packed[around], axis=1, count=width).view(bool)
    own = slice(band.start - around.start, band.stop - around.start)
    if not mask[own].any():
        return mask[own], mask[own]
    return mask[own], (mask & ~np.asarray(binary_erosion(mask, iterations=thickness), dtype=bool))[own]


def _mask(region: Region, image: Image.Image) -> Bool[np.ndarray, "h w"]:
    mask = decode(region.mask)
    require_size(mask.shape, (image.height, image.width), where=repr(region.id))
    if not mask.any():
        raise SceneError(f"{region.id!r}: expected a mask with at least one pixel; it is empty")
    return mask


def _innermost(mask: Bool[np.ndarray, "h w"]) -> tuple[int, int]:
    """Row and column of the pixel that is farthest from the mask's border; on a coarser grid where the mask is huge."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    stride = math.ceil(math.sqrt(part.size / MOST_MEASURED)) if part.size > MOST_MEASURED else 1
    coarse = part[::stride, ::stride]
    if not coarse.any():
        return int(rows[0]), int(np.flatnonzero(mask[rows[0]])[0])
    padded = np.pad(coarse, 1)
    row, column = np.unravel_index(int(np.asarray(distance_transform_edt(padded)).argmax()), padded.shape)
    return int(rows[0]) + (int(row) - 1) * stride, int(columns[0]) + (int(column) - 1) * stride


def _write_number(image: Image.Image, index: int, mask: Bool[np.ndarray, "h w"]) -> None:
    """Write the number on a plate at the mask's innermost pixel."""
    row, column = _innermost(mask)
    text, size = str(index + 1), max(9, round(min(image.size) / 18))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    half = (pen.textlength(text, font=font) / 2 + size * 0.25, size * 0.62)
    x = min(max(float(column), half[0]), image.width - 1 - half[0])
    y = min(max(float(row), half[1]), image.height - 1 - half[1])
    plate = (x - half[0], y - half[1], x + half[0], y + half[1])
    pen.rounded_rectangle(
        plate, radius=size * 0.25, fill=(255, 255, 255), outline=MARK_COLOURS[index % len(MARK_COLOURS)], width=1
    )
    pen.text((x, y), text, font=font, fill=(0, 0, 0), anchor="mm")
