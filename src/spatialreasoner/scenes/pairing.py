"""Whether an image file and a depth file are of one view: orientation, size, and something measured."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt16

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import DepthMap
from spatialreasoner.scenes.files import SATURATED, lies_on_its_side, read_depth_numbers, read_image, stored_orientation


@dataclass(frozen=True, kw_only=True)
class View:
    """An image and its depth, which fit together.

    Attributes:
        size: Height and width of the image, turned upright.
        raw: The depth file's whole numbers.
        depth: Metres, NaN where not measured.
    """

    size: tuple[int, int]
    raw: UInt16[np.ndarray, "h w"]
    depth: Float32[np.ndarray, "h w"]


def view_of(image: str, depth: DepthMap, *, where: str, accept: Collection[str] = ()) -> View:
    """Read an image and its depth, and refuse what cannot be one view.

    An EXIF orientation turns the image when it is read, and no tag turns the depth: which of the two the camera, the depth and
    the regions belong to cannot be known, so such an image is refused unless "orientation" is accepted.

    Args:
        image: Path of the image.
        depth: The depth file.
        where: What to call the scene in an error.
        accept: Checks whose verdict the user has overruled.

    Raises:
        MissingFileError: If a file is not there.
        SceneError: If a file is broken, or the two do not fit.
    """
    orientation = stored_orientation(image)
    upright = read_image(image)
    raw = read_depth_numbers(depth)
    size = (upright.height, upright.width)
    if orientation != 1 and "orientation" not in accept:
        raise SceneError(f"{where}: {_turned(image, orientation, size, raw.shape)}")
    if raw.shape != size:
        told = f"{size[1]} x {size[0]}; got {raw.shape[1]} x {raw.shape[0]}"
        why = _why_other(size, (raw.shape[0], raw.shape[1]))
        raise SceneError(f"{where}: expected depth of the image's size, {told}: {why}")
    known = (raw > 0) & (raw < SATURATED)
    if not known.any():
        raise SceneError(
            f"{where}: expected measured depth; every pixel of {depth.path} is 0 or {SATURATED}, which means no measurement"
        )
    metres = raw.astype(np.float32) / np.float32(depth.units_per_metre)
    return View(size=size, raw=raw, depth=np.where(known, metres, np.float32(np.nan)))


def _turned(image: str, orientation: int, size: tuple[int, int], shape: tuple[int, ...]) -> str:
    stored = f"{size[0]} x {size[1]}" if lies_on_its_side(orientation) else f"{size[1]} x {size[0]}"
    upright = shape == size and shape != size[::-1]
    fits = " The depth has the size of the upright image." if upright and lies_on_its_side(orientation) else ""
    return (
        f"expected an image without an EXIF orientation; {image} has orientation {orientation}: viewers turn its {stored} "
        f"pixels, and nothing turns the depth, the camera and the regions with them.{fits} Save the pixels again without the "
        "tag, in the orientation of the depth (Pillow: Image.open(...).convert('RGB').save(...) keeps the stored one, "
        "ImageOps.exif_transpose the upright one); if depth, intrinsics and regions are those of the upright image, say "
        '"accept": ["orientation"] in scene.json'
    )


def _why_other(size: tuple[int, int], shape: tuple[int, int]) -> str:
    """The likely cause of depth of another size than the image, and the fix."""
    if shape == size[::-1]:
        return "one of the two was turned by a quarter; turn it back, and check that the intrinsics are the image's"
    if abs(shape[0] / size[0] - shape[1] / size[1]) < 0.02 * shape[0] / size[0]:
        return (
            f"the same view at {shape[1] / size[1]:.3g} times the resolution; give each pixel of the image its nearest depth, "
            "unsmoothed, and keep the image's intrinsics; scenes import does so"
        )
    return "two cameras, or a crop; align the depth to the image by both cameras' intrinsics; scenes import does so"
