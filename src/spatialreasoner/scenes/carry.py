"""Images that carry their regions, for models with region tokens.

Trainers, collators and servers hand images on, and nothing else. So an image's regions travel inside of it, as run lengths
under one key of its metadata: in memory as `Image.info`, in a file as a text chunk of the PNG. What knows nothing of them sees
an ordinary image.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from operator import index
from typing import Any

import numpy as np
from jaxtyping import Bool
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Region, Rle
from spatialreasoner.scenes.masks import decode, require_size

KEY = "regions"
"""Under which the metadata of an image holds the run lengths, JSON."""

MAX_CARRIED_REGIONS = 64


def attach(image: Image.Image, regions: Sequence[Region]) -> Image.Image:
    """A copy of the image that carries regions; `regions[0]` is `<region1>`.

    Raises:
        SceneError: If a mask is not of the image's size, or there are more than `MAX_CARRIED_REGIONS`.
    """
    return carrier_of(image, masks_for(image, regions))


def masks_for(image: Image.Image, regions: Sequence[Region]) -> tuple[Rle, ...]:
    """The run lengths that the image is to carry.

    Raises:
        SceneError: If a mask is not of the image's size, its run lengths are no whole numbers, or there are more than
            `MAX_CARRIED_REGIONS`.
    """
    if len(regions) > MAX_CARRIED_REGIONS:
        raise SceneError(f"an image carries at most {MAX_CARRIED_REGIONS} regions; got {len(regions)}")
    for region in regions:
        require_size(region.mask.size, (image.height, image.width), where=repr(region.id))
    try:
        return tuple(_hashable(region.mask) for region in regions)
    except TypeError as error:
        raise SceneError(f"expected run lengths of masks: text or whole numbers; {error}") from error


def _hashable(mask: Rle) -> Rle:
    """The same, though it may not have been read from JSON."""
    whole = isinstance(mask.counts, str) and type(mask.size) is tuple
    return mask if whole else Rle(size=(mask.size[0], mask.size[1]), counts=_counts(mask.counts))


def carrier_of(image: Image.Image, masks: Iterable[Rle]) -> Image.Image:
    """A copy of the image that carries masks of its size."""
    carrier = image.copy()
    carrier.info[KEY] = as_text(masks)
    return carrier


def as_text(masks: Iterable[Rle]) -> str:
    """The run lengths as the metadata of an image holds them."""
    return json.dumps([{"size": list(mask.size), "counts": mask.counts} for mask in masks])


def attached(image: Image.Image) -> list[Bool[np.ndarray, "h w"]]:
    """The masks that an image carries, in order; none for an ordinary image.

    Raises:
        SceneError: If what it carries are not masks of its size.
    """
    masks = carried(image)
    try:
        return [decode(rle) for rle in masks]
    except (ValueError, TypeError) as error:
        raise _not_masks(image.info[KEY], error) from error


def carried(image: Image.Image) -> list[Rle]:
    """The run lengths of the masks that an image carries, in order; none for an ordinary image.

    Raises:
        SceneError: If what it carries are not run lengths, or not of its size; whether they add up is for `decode` to tell.
    """
    text = image.info.get(KEY)
    if not isinstance(text, str):
        return []
    try:
        found: Any = json.loads(text)
        masks = [
            Rle(size=(row["size"][0], row["size"][1]), counts=_counts(row["counts"]))
            for row in found[: MAX_CARRIED_REGIONS + 1]
        ]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise _not_masks(text, error) from error
    if len(masks) > MAX_CARRIED_REGIONS or any(mask.size != (image.height, image.width) for mask in masks):
        raise SceneError(
            f"an image of {image.height} x {image.width} pixels carries at most {MAX_CARRIED_REGIONS} masks of that size"
        )
    return masks


def _not_masks(text: str, error: Exception) -> SceneError:
    return SceneError(f"an image carries {text[:60]!r}, which are not run lengths of masks: {error}")


def _counts(found: Any) -> str | tuple[int, ...]:
    return found if isinstance(found, str) else tuple(map(index, found))


def image_digest(image: Image.Image) -> bytes:
    """What tells an image in memory apart from others: its form, what it carries, and the SHA-256 of its pixels."""
    return f"{image.mode}{image.size}{image.info.get(KEY, '')}".encode() + sha256(image.tobytes()).digest()


def png_info(image: Image.Image) -> PngInfo:
    """What `Image.save(..., pnginfo=...)` needs so that a PNG file carries the regions as well."""
    info = PngInfo()
    if isinstance(image.info.get(KEY), str):
        info.add_text(KEY, image.info[KEY])
    return info
