"""Images and masks as the nano takes them: in the middle of a square, so that nothing is stretched."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

GREY = (127, 127, 127)


def square_picture(picture: Image.Image) -> Image.Image:
    """The image in the middle of a grey square."""
    side = max(picture.size)
    square = Image.new("RGB", (side, side), GREY)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def square_mask(mask: Bool[np.ndarray, "h w"], side: int) -> UInt8[np.ndarray, "side side"]:
    """The mask on the square, resized; a thin region keeps a pixel at least."""
    longest = max(mask.shape)
    square = Image.new("L", (longest, longest))
    square.paste(Image.fromarray(mask.astype(np.uint8) * 255), ((longest - mask.shape[1]) // 2, (longest - mask.shape[0]) // 2))
    coverage = np.asarray(square.resize((side, side), Image.Resampling.BOX))
    return (coverage >= min(128, max(1, int(coverage.max())))).astype(np.uint8)
