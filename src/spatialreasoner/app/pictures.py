"""Images to ask about: uploaded ones, bounded before they are decoded; synthetic examples; and photos with depth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from spatialreasoner.app.config import AppConfig
from spatialreasoner.core.errors import ConfigError, InputError, SceneError
from spatialreasoner.core.types import DepthMap, Intrinsics, Region, Scene
from spatialreasoner.scenes import rgbd
from spatialreasoner.scenes.files import FORMATS, png, read_image, write_depth
from spatialreasoner.scenes.finding import RegionFinder
from spatialreasoner.scenes.images import UNITS_PER_METRE, exif_focal
from spatialreasoner.scenes.masks import decode, encode

if TYPE_CHECKING:
    from spatialreasoner.core.protocols import DepthEstimator

MAX_UPLOAD_SIDE = 1280
"""Longer uploads are shrunk to this, pixels: more does not fit a page, nor what models look at."""


EXAMPLES = ((11, 0), (11, 1), (11, 4), (11, 7))
"""Seed and number of the synthetic examples."""

EXAMPLE_SIDE = 448

MAX_DETECTED = 60
"""Detected masks that are kept, the largest."""


class ImageOpener:
    """Makes scenes of uploaded images, with the models that the app was started with.

    Args:
        config: The app's settings; its depth and mask models are loaded here.

    Raises:
        ConfigError: If a model cannot be loaded.
        MissingExtraError: If transformers is not installed.
    """

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self._depth, self._masks = _depth_model(config.depth), _mask_model(config.masks)

    def open(self, path: Path, folder: Path, number: int) -> Scene:
        """Read an upload, shrink it where it is large, and find what the models find.

        Args:
            path: The uploaded file.
            folder: The visitor's folder.
            number: Number of the image among the visitor's, part of its file's name.

        Raises:
            SceneError: If it is not an image, or larger than allowed.
        """
        self._check_size(path)
        original = read_image(path)
        picture = original.copy()
        picture.thumbnail((MAX_UPLOAD_SIDE, MAX_UPLOAD_SIDE))
        image = folder / f"picture{number}.png"
        image.write_bytes(png(np.asarray(picture)))
        bare = Scene(id=f"picture{number}", image=str(image), regions=self._detected(image, picture), source="uploaded")
        return bare if self._depth is None else self._measured(bare, path, self._depth)

    def _check_size(self, path: Path) -> None:
        """Refuse what is too large by its bytes and its header alone."""
        most = self._config.max_megabytes
        if path.stat().st_size > most * 1_000_000:
            raise SceneError(f"the file has {path.stat().st_size / 1e6:.1f} MB; at most {most} MB can be opened here")
        try:
            with Image.open(path, formats=FORMATS) as header:
                width, height = header.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise SceneError("this file is not an image that can be read; try a JPEG, PNG or WebP") from None
        if width * height > self._config.max_pixels:
            limit = self._config.max_pixels / 1e6
            raise SceneError(f"the image has {width} x {height} pixels; at most {limit:g} million can be opened here")

    def _detected(self, image: Path, picture: Image.Image) -> tuple[Region, ...]:
        if self._masks is None:
            return ()
        found = self._masks.find(str(image), (picture.height, picture.width))
        largest = sorted(found, key=lambda region: -int(region.mask.sum()))[:MAX_DETECTED]
        return tuple(
            Region(id=f"region{number}", label=region.label, mask=encode(region.mask), region_source=region.source)
            for number, region in enumerate(largest, start=1)
        )

    def _measured(self, scene: Scene, original: Path, model: DepthEstimator) -> Scene:
        estimate, camera = model.estimate(scene.image)
        path = Path(scene.image).with_suffix(".depth.png")
        write_depth(path, estimate, units_per_metre=UNITS_PER_METRE)
        depth = DepthMap(path=str(path), units_per_metre=UNITS_PER_METRE, metric=model.metric)
        height, width = estimate.shape
        return replace(scene, depth=depth, intrinsics=camera or self._camera(original, width, height))

    def _camera(self, path: Path, width: int, height: int) -> Intrinsics | None:
        focal = exif_focal(path, width, height)
        if focal is None and self._config.field_of_view is not None:
            focal = max(width, height) / 2 / math.tan(math.radians(self._config.field_of_view) / 2)
        return None if focal is None else Intrinsics(fx=focal, fy=focal, cx=(width - 1) / 2, cy=(height - 1) / 2)


def examples(folder: Path, photos: Sequence[str]) -> list[Scene]:
    """The examples that every visitor finds: photos with depth first, then synthetic rooms, written into the folder.

    Raises:
        InputError: If a folder of photos is unusable.
    """
    return [*_photos(photos), *(_synthetic(folder, *example) for example in EXAMPLES)]


def two_regions(scene: Scene) -> tuple[Region, ...]:
    """The two regions of an example that are drawn at first: the largest ones."""
    largest = sorted(scene.regions, key=lambda region: -int(decode(region.mask).sum()))
    return tuple(largest[:2])


def _synthetic(folder: Path, seed: int, index: int) -> Scene:
    from spatialreasoner.scenes.synthetic import make_scene

    scene, picture, depth = make_scene(seed, index, width=EXAMPLE_SIDE, height=EXAMPLE_SIDE)
    image, measured = folder / f"{scene.id}.png", folder / f"{scene.id}.depth.png"
    image.write_bytes(png(picture))
    write_depth(measured, depth, units_per_metre=UNITS_PER_METRE)
    return replace(scene, image=str(image), depth=DepthMap(path=str(measured), units_per_metre=UNITS_PER_METRE))


def _photos(folders: Sequence[str]) -> Iterator[Scene]:
    for folder in map(Path, folders):
        inner = sorted(path.parent for path in folder.glob("*/scene.json"))
        if not inner and not (folder / "scene.json").is_file():
            raise InputError(f"expected an RGB-D folder with scene.json, or a folder of such folders; {folder} is neither")
        yield from (rgbd.load(each, need_regions=False) for each in inner or [folder])


def _depth_model(name: str | None) -> DepthEstimator | None:
    if name is None:
        return None
    from spatialreasoner.inference.backends.depth import TransformersDepth

    return TransformersDepth(name)


def _mask_model(name: str | None) -> RegionFinder | None:
    if name is None:
        return None
    if name.endswith(".json"):
        raise ConfigError("the app finds masks by a SAM model; a file of boxes knows only its own photos")
    from spatialreasoner.inference.backends.masks import TransformersMasks

    return TransformersMasks(name)
