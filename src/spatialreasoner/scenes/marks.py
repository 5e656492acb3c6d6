"""Marks: regions drawn on the image as numbered, coloured masks, so that any model can be asked about them."""

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


def draw(image: Image.Image, regions: Sequence[Region]) -> Image.Image:
    """Draw regions on a copy of the image: a tint, an outline, and the number k + 1 inside region k.

    Args:
        image: The image, RGB.
        regions: Regions whose masks have the image's size; `regions[0]` gets number 1, as `<region1>` is called.

    Raises:
        SceneError: If a mask is not of the image's size, or is empty.
    """
    canvas = np.asarray(image.convert("RGB"), dtype=np.float32)
    masks = [_mask(region, image) for region in regions]
    thickness = max(1, round(min(image.size) / 240))
    for index, mask in enumerate(masks):
        colour = np.asarray(MARK_COLOURS[index % len(MARK_COLOURS)], dtype=np.float32)
        outline = mask & ~np.asarray(binary_erosion(mask, iterations=thickness), dtype=bool)
        canvas = np.where(mask[..., None], canvas * 0.7 + colour * 0.3, canvas)
        canvas = np.where(outline[..., None], colour, canvas)
    marked = Image.fromarray(canvas.astype(np.uint8))
    for index, mask in enumerate(masks):
        _write_number(marked, index, mask)
    return marked


def _mask(region: Region, image: Image.Image) -> Bool[np.ndarray, "h w"]:
    mask = decode(region.mask)
    require_size(mask.shape, (image.height, image.width), where=repr(region.id))
    if not mask.any():
        raise SceneError(f"{region.id!r}: expected a mask with at least one pixel; it is empty")
    return mask


def _write_number(image: Image.Image, index: int, mask: Bool[np.ndarray, "h w"]) -> None:
    """Write the number on a plate at the mask's innermost pixel."""
    padded = np.pad(mask, 1)
    depth_inside = np.asarray(distance_transform_edt(padded))
    row, column = np.unravel_index(int(depth_inside.argmax()), padded.shape)
    text, size = str(index + 1), max(9, round(min(image.size) / 18))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    half = (pen.textlength(text, font=font) / 2 + size * 0.25, size * 0.62)
    x = min(max(float(column) - 1, half[0]), image.width - 1 - half[0])
    y = min(max(float(row) - 1, half[1]), image.height - 1 - half[1])
    plate = (x - half[0], y - half[1], x + half[0], y + half[1])
    pen.rounded_rectangle(
        plate, radius=size * 0.25, fill=(255, 255, 255), outline=MARK_COLOURS[index % len(MARK_COLOURS)], width=1
    )
    pen.text((x, y), text, font=font, fill=(0, 0, 0), anchor="mm")
