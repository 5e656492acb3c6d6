"""Marks: regions drawn on the image as numbered, coloured masks, so that any model can be asked about them."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion, distance_transform_edt

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Region
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


BAND = 512
"""Rows of an image that are drawn on at a time."""

MOST_MEASURED = 16_000_000
"""Pixels of a mask whose distances to its border are all measured, to place its number."""


def draw(image: Image.Image, regions: Sequence[Region]) -> Image.Image:
    """Draw regions on a copy of the image: a tint, an outline, and the number k + 1 inside region k.

    Args:
        image: The image, RGB.
        regions: Regions whose masks have the image's size; `regions[0]` gets number 1, as `<region1>` is called.

    Raises:
        SceneError: If a mask is not of the image's size, or is empty.
    """
    canvas = np.array(image.convert("RGB"))
    masks = [_mask(region, image) for region in regions]
    thickness = max(1, round(min(image.size) / 240))
    outlines = [mask & ~np.asarray(binary_erosion(mask, iterations=thickness), dtype=bool) for mask in masks]
    for top in range(0, len(canvas), BAND):  # in full precision, for images of tens of millions of pixels not all at once
        band = canvas[top : top + BAND].astype(np.float32)
        for index, (mask, outline) in enumerate(zip(masks, outlines, strict=True)):
            colour = np.asarray(MARK_COLOURS[index % len(MARK_COLOURS)], dtype=np.float32)
            inside, edge = mask[top : top + BAND], outline[top : top + BAND]
            band[inside] = band[inside] * 0.7 + colour * 0.3
            band[edge] = colour
        canvas[top : top + BAND] = band.astype(np.uint8)
    marked = Image.fromarray(canvas)
    for index, mask in enumerate(masks):
        _write_number(marked, index, mask)
    return marked


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
