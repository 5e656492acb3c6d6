"""Images and masks as the nano takes them: in the middle of a square, so that nothing is stretched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

GREY = (127, 127, 127)

LONGEST_SIDE = 4096
"""Longest side of a square, pixels: a narrow image of few pixels would fill gigabytes as a square, so it is shrunk first."""


def square_image(image: Image.Image) -> Image.Image:
    """The image in the middle of a grey square."""
    if max(image.size) > LONGEST_SIDE:
        image = image.copy()
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    side = max(image.size)
    square = Image.new("RGB", (side, side), GREY)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def square_pixels(image: Image.Image, side: int, known: Mapping[str, Any]) -> Float[np.ndarray, "3 side side"]:
    """The image on the square, resized and normalised.

    Args:
        image: An image in RGB.
        side: Side of the square, pixels.
        known: Settings of an image processor of transformers: `resample`, `rescale_factor`, `image_mean`, `image_std`.
    """
    small = image if image.size == (side, side) else square_image(image).resize((side, side), known["resample"])
    by_channel = np.asarray(small).transpose(2, 0, 1).astype(np.float32, order="C")  # first, for numpy is slow by threes
    mean, std = (np.array(known[name], np.float32)[:, None, None] for name in ("image_mean", "image_std"))
    return (by_channel * np.float32(known["rescale_factor"]) - mean) / std


def square_mask(mask: Bool[np.ndarray, "h w"], side: int) -> UInt8[np.ndarray, "side side"]:
    """The mask on the square, resized; a thin region keeps a pixel at least."""
    if mask.shape == (side, side):
        return mask.astype(np.uint8)
    mask = _shrunk(mask)
    longest = max(mask.shape)
    square = Image.new("L", (longest, longest))
    square.paste(Image.fromarray(mask.astype(np.uint8) * 255), ((longest - mask.shape[1]) // 2, (longest - mask.shape[0]) // 2))
    coverage = np.asarray(square.resize((side, side), Image.Resampling.BOX))
    if not coverage.any():  # whole numbers round what little it covers to nothing
        coverage = np.asarray(square.convert("F").resize((side, side), Image.Resampling.BOX))
        return ((coverage > 0) & (coverage == coverage.max())).astype(np.uint8)
    return (coverage >= min(128, max(1, int(coverage.max())))).astype(np.uint8)


def _shrunk(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h2 w2"]:
    """A mask of at most `LONGEST_SIDE` pixels per side; a pixel is set where any that it represents was."""
    step = -(-max(mask.shape) // LONGEST_SIDE)
    if step == 1:
        return mask
    for axis, length in enumerate(mask.shape):
        mask = np.logical_or.reduceat(mask, np.arange(0, length, step), axis=axis)
    return mask
