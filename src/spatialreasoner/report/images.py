"""Images for a page: regions drawn on them, of a suitable size, inside the page itself as data URIs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from spatialreasoner.core.data_uri import data_uri
from spatialreasoner.core.types import Region, Scene
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.marks import draw
from spatialreasoner.scenes.masks import decode, encode

IMAGE_SIDE, THUMBNAIL = 512, 150
"""Longer sides of an image and of its thumbnail; small images are enlarged first, so that the numbers are legible."""

QUALITY = 80


@dataclass(frozen=True, kw_only=True)
class MarkedImage:
    """A marked image as data URIs, large and small."""

    full: str
    thumbnail: str


def marked(scene: Scene, region_ids: Sequence[str]) -> MarkedImage:
    """The image with regions drawn on it.

    Args:
        scene: The scene.
        region_ids: The regions, in the order of their numbers.

    Raises:
        MissingFileError: If the image is not there.
        SceneError: If the image or a mask cannot be used.
        KeyError: If the scene lacks a region.
    """
    image = read_image(scene.image)
    scale = IMAGE_SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    scaled = image.resize(size, Image.Resampling.LANCZOS)
    regions = [_scaled(scene.region(region_id), size) for region_id in region_ids]
    drawn = draw(scaled, regions)
    small = drawn.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return MarkedImage(full=_jpeg(drawn), thumbnail=_jpeg(small))


def _scaled(region: Region, size: tuple[int, int]) -> Region:
    """The region with its mask at another size; one that would vanish keeps a pixel."""
    mask = decode(region.mask)
    scaled = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)).copy()
    if mask.any() and not scaled.any():
        row, column = (
            int(index[0] * new / old) for index, new, old in zip(np.nonzero(mask), size[::-1], mask.shape, strict=True)
        )
        scaled[row, column] = True
    return replace(region, mask=encode(scaled))


def _jpeg(image: Image.Image) -> str:
    return data_uri(image, "JPEG", quality=QUALITY, optimize=True)
