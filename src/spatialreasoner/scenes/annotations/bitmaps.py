"""Small masks inside annotation files: a PNG as bytes, in which opaque or white is the mask."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
from jaxtyping import Bool
from PIL import Image

from spatialreasoner.core.errors import SceneError
from spatialreasoner.scenes.masks import MAX_PIXELS


def png_mask(data: bytes) -> Bool[np.ndarray, "h w"]:
    """The mask of a PNG: its opacity where that varies, else all that is not black.

    Raises:
        SceneError: If it is not a complete PNG of at most `MAX_PIXELS` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=["PNG"])
            if image.width * image.height > MAX_PIXELS:
                raise SceneError(f"a mask has at most {MAX_PIXELS} pixels; got {image.width} x {image.height}")
            image.load()
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        if isinstance(error, SceneError):
            raise
        raise SceneError(f"expected a mask as a complete PNG; {error}") from None
    return opaque(image)


def opaque(image: Image.Image) -> Bool[np.ndarray, "h w"]:
    """Which pixels of an image are the mask: the opaque ones where opacity varies, else all that is not black."""
    alpha = alpha_of(image)
    if alpha is not None:
        return alpha
    pixels = np.asarray(image)
    return np.any(pixels.reshape(*pixels.shape[:2], -1) > 0, axis=2)


def alpha_of(image: Image.Image) -> Bool[np.ndarray, "h w"] | None:
    """Which pixels are more than half opaque; None if opacity tells nothing, being none or the same everywhere."""
    if image.mode not in {"RGBA", "LA", "PA"} and "transparency" not in image.info:
        return None
    alpha = np.asarray(image.convert("RGBA"))[:, :, 3]
    return None if alpha.min() == alpha.max() else alpha > 127
