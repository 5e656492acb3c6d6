"""Pictures for a page: regions drawn on them, of a fit size, inside the page itself as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from PIL import Image

from spatialreasoner.core.types import Region, Scene
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.marks import draw
from spatialreasoner.scenes.masks import decode, encode

IMAGE_SIDE, THUMBNAIL = 512, 150
"""Longer sides of a picture and of its thumbnail; small pictures are enlarged first, so that the numbers are legible."""

QUALITY = 80


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A marked picture as data URIs, large and small."""

    full: str
    thumbnail: str


def marked(scene: Scene, region_ids: Sequence[str]) -> Picture:
    """The picture with regions drawn on it.

    Args:
        scene: The scene.
        region_ids: The regions, in the order of their numbers.

    Raises:
        MissingFileError: If the picture is not there.
        SceneError: If the picture or a mask cannot be used.
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
    return Picture(full=data_uri(drawn), thumbnail=data_uri(small))


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


def data_uri(image: Image.Image) -> str:
    """A picture as a data URI of a JPEG."""
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
