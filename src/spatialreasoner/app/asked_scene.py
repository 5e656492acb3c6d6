"""What `ask` is asked about: an image, an image and its depth, an RGB-D folder, or a frame of any capture."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spatialreasoner.app.regions import Sight, from_mask_image, from_shape, is_numbers, shape_from_numbers
from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, SceneError
from spatialreasoner.core.types import Intrinsics, Region, Scene
from spatialreasoner.scenes.files import pixels_of, read_depth, read_image


def asked_scene(
    path: Path, into: Path, *, depth: str | None = None, kind: str = "auto", frame: int = 0, camera: str = ""
) -> Scene:
    """The scene at a path.

    Args:
        path: An image, an RGB-D folder, a scenes folder, or any capture.
        into: A folder for files that are made.
        depth: The depth of the image at `path`: a 16-bit PNG of millimetres, .npy, .exr or .pfm.
        kind: Kind of capture, or "auto".
        frame: Which image to use if there are several, from 0.
        camera: FX,FY,CX,CY in pixels, where the files hold none.

    Raises:
        InputError: If it cannot be used.
    """
    if depth is None and kind == "auto" and os.path.isfile(path) and _is_plain(path):
        return Scene(id=path.stem, image=str(path), regions=())
    from spatialreasoner.app.config import AppConfig
    from spatialreasoner.app.opening import CaptureOpener, Wanted
    from spatialreasoner.scenes.importers import FrameOptions

    if depth is not None:
        path = _side_by_side(records.require_file(path), records.require_file(depth), into / "given")
    options = FrameOptions(intrinsics=camera_of_text(camera) if camera else None)
    opener = CaptureOpener(AppConfig(models=(), max_megabytes=10_000, max_pixels=64_000_000))
    roll = opener.roll(path, into, Wanted(kind=kind, options=options))
    if not 0 <= frame < len(roll.names):
        raise ConfigError(f"expected `frame` from 0 to {len(roll.names) - 1}; got {frame}")
    return roll.open(frame)


def camera_of_text(text: str) -> Intrinsics:
    """The camera of FX,FY,CX,CY.

    Raises:
        ConfigError: If the text is not a camera.
    """
    try:
        fx, fy, cx, cy = (float(part) for part in text.replace(",", " ").split())
        return Intrinsics(fx=fx, fy=fy, cx=cx, cy=cy)
    except ValueError as error:
        raise ConfigError(f"expected the camera as FX,FY,CX,CY, four numbers of pixels; got {text[:80]!r}: {error}") from None


def asked_regions(texts: Sequence[str], scene: Scene, *, keep_boxes: bool = False) -> list[Region]:
    """The regions of `--region`, or the scene's own where none is given; a box means the thing in it where there is depth.

    Args:
        texts: Each a box, an outline, or the path of a mask image.
        scene: The scene.
        keep_boxes: Whether a box means all that is in it.

    Raises:
        InputError: If one is unusable; the error tells its number.
    """
    if not texts:
        return list(scene.regions)
    image = read_image(scene.image)
    size = image.height, image.width
    if scene.depth is None or keep_boxes:
        return read_regions(texts, Sight(size=size))
    pixels = pixels_of(image)
    del image  # what is decoded takes more than the pixels, and the depth comes yet
    return read_regions(texts, Sight(size=size, depth=read_depth(scene.depth), image=pixels), cut=True)


def read_regions(texts: Sequence[str], sight: Sight, *, cut: bool = False) -> list[Region]:
    """The regions of `--region`, each told by its number in errors.

    Raises:
        InputError: If one is unusable.
    """
    found: list[Region] = []
    for number, text in enumerate(texts, start=1):
        try:
            one = (
                from_shape(shape_from_numbers(text), sight, cut=cut) if is_numbers(text) else from_mask_image(text, sight.size)
            )
        except SceneError as error:
            raise SceneError(f"region {number}: {error}") from None
        found.append(replace(one, id=f"region{number}"))
    return found


def _is_plain(path: Path) -> bool:
    """Whether a file is an image without depth."""
    from spatialreasoner.app.opening import IMAGE_SUFFIXES
    from spatialreasoner.core.errors import InputError
    from spatialreasoner.scenes.importers import open_capture

    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return False
    try:
        reader, _ = open_capture(path)
    except InputError:
        return True
    return reader.kind not in {"iphone", "android"}  # files beside it were not named


def _side_by_side(image: Path, depth: Path, folder: Path) -> Path:
    """An image and its depth under names by which the importers know that they belong together."""
    folder.mkdir()
    shutil.copyfile(image, folder / f"{image.stem}{image.suffix}")
    shutil.copyfile(depth, folder / f"{image.stem}_depth{depth.suffix}")
    return folder
