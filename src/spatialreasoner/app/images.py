"""Images to measure and to ask about: uploaded ones, bounded before they are decoded; examples; and how they are shown."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from spatialreasoner.app.config import AppConfig
from spatialreasoner.core.errors import ConfigError, InputError, SceneError
from spatialreasoner.core.types import DepthMap, Intrinsics, Region, Scene
from spatialreasoner.scenes import rgbd
from spatialreasoner.scenes.files import (
    FORMATS,
    UNITS_PER_METRE,
    check_exif,
    load_scenes,
    png,
    read_depth,
    read_image,
    write_depth,
)
from spatialreasoner.scenes.finding import RegionFinder
from spatialreasoner.scenes.images import exif_focal
from spatialreasoner.scenes.importers.write import scene_id
from spatialreasoner.scenes.masks import decode, encode

if TYPE_CHECKING:
    from spatialreasoner.core.protocols import DepthEstimator

MAX_UPLOAD_SIDE = 2048
"""Longer images without depth are shrunk to this, pixels: models look at less."""


EXAMPLES = ((11, 0), (11, 1), (11, 4), (11, 7))
"""Seed and number of the synthetic examples."""

EXAMPLE_SIDE = 448

SPARSE = 0.2
"""Depth with a smaller share of measured pixels is sparse: single points of a lidar."""

MAX_DETECTED = 60
"""Detected masks that are kept, the largest."""


def _shrunk(size: tuple[int, int]) -> tuple[int, int]:
    """A size whose longer side is at most `MAX_UPLOAD_SIDE`; the shorter is rounded up, for a thin image must not get thinner.

    >>> _shrunk((20000, 100))
    (2048, 11)
    """
    scale = min(1.0, MAX_UPLOAD_SIDE / max(size))
    return math.ceil(size[0] * scale), math.ceil(size[1] * scale)


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

    def open(self, path: Path, folder: Path) -> Scene:
        """Read an upload, shrink it where it is large, and find what the models find.

        Args:
            path: The uploaded file.
            folder: Where the image is kept that is shown.

        Raises:
            SceneError: If it is not an image, or larger than allowed.
        """
        self.check_size(path)
        image = read_image(path).copy()
        if image.size != (size := _shrunk(image.size)):
            image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
        name = scene_id(path.stem, "")
        kept = folder / f"{name}.png"
        kept.write_bytes(png(np.asarray(image)))
        bare = Scene(id=name, image=str(kept), regions=self._detected(kept, image), source="uploaded")
        return bare if self._depth is None else self._measured(bare, path, self._depth)

    def check_size(self, path: Path) -> None:
        """Refuse what is too large by its bytes and its header alone.

        Raises:
            SceneError: If it is, or it is not an image.
        """
        most = self._config.max_megabytes
        if path.stat().st_size > most * 1_000_000:
            raise SceneError(f"the file has {path.stat().st_size / 1e6:.1f} MB; at most {most} MB can be opened here")
        try:
            with path.open("rb") as file:
                check_exif(file, "this file")
                width, height = Image.open(file, formats=FORMATS).size
        except SceneError:
            raise
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise SceneError("this file is not an image that can be read; try a JPEG, PNG or WebP") from None
        if width * height > self._config.max_pixels:
            limit = self._config.max_pixels / 1e6
            raise SceneError(f"the image has {width} x {height} pixels; at most {limit:g} million can be opened here")

    def _detected(self, path: Path, image: Image.Image) -> tuple[Region, ...]:
        if self._masks is None:
            return ()
        found = self._masks.find(str(path), (image.height, image.width))
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
            focal = width / 2 / math.tan(math.radians(self._config.field_of_view) / 2)
        return None if focal is None else Intrinsics(fx=focal, fy=focal, cx=(width - 1) / 2, cy=(height - 1) / 2)


class Examples:
    """What every visitor finds: photos with depth first, then synthetic rooms, which are made when they are first looked at.

    Args:
        folder: Where the rooms are written.
        photos: RGB-D folders, scenes folders, or folders of RGB-D folders.

    Raises:
        InputError: If a folder of photos is unusable.
    """

    def __init__(self, folder: Path, photos: Sequence[str]) -> None:
        self._folder = folder
        self._photos = list(_photos(photos))
        self._rooms: dict[int, Scene] = {}
        self._making = Lock()
        self.names = [scene.id.replace("_", " ") for scene in self._photos] + [f"room {k + 1}" for k in range(len(EXAMPLES))]

    def scene(self, number: int) -> Scene:
        """The example of a number.

        Raises:
            InputError: If there is none.
        """
        if not 0 <= number < len(self.names):
            raise InputError("there is no such example")
        if number < len(self._photos):
            return self._photos[number]
        with self._making:
            if number not in self._rooms:
                self._rooms[number] = _synthetic(self._folder, *EXAMPLES[number - len(self._photos)])
        return self._rooms[number]

    def first(self) -> int:
        """The example that is open at first: one that can be measured densely, where there is one."""
        dense = (number for number, scene in enumerate(self._photos) if scene.intrinsics and known_share(scene) > SPARSE)
        return next(dense, len(self._photos))


def known_share(scene: Scene) -> float:
    """The share of pixels whose depth was measured."""
    return 0.0 if scene.depth is None else float(np.isfinite(read_depth(scene.depth)).mean())


def two_regions(scene: Scene) -> tuple[Region, ...]:
    """The two regions of a room that are drawn at first: the largest ones."""
    largest = sorted(scene.regions, key=lambda region: -int(decode(region.mask).sum()))
    return tuple(largest[:2])


def shown_jpeg(path: str, side: int) -> bytes:
    """An image as a page shows it: upright, its longer side at most `side` pixels."""
    image = read_image(path)
    image.thumbnail((side, side), reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return file.getvalue()


def _synthetic(folder: Path, seed: int, index: int) -> Scene:
    from spatialreasoner.scenes.synthetic import make_scene

    scene, pixels, depth = make_scene(seed, index, width=EXAMPLE_SIDE, height=EXAMPLE_SIDE)
    image, measured = folder / f"{scene.id}.png", folder / f"{scene.id}.depth.png"
    image.write_bytes(png(pixels))
    write_depth(measured, depth, units_per_metre=UNITS_PER_METRE)
    return replace(scene, image=str(image), depth=DepthMap(path=str(measured), units_per_metre=UNITS_PER_METRE))


def _photos(folders: Sequence[str]) -> Iterator[Scene]:
    for folder in map(Path, folders):
        if (folder / "scenes.jsonl").is_file():
            yield from load_scenes(folder)
            continue
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
        raise ConfigError("expected a SAM model to find masks with; a file of boxes covers only the photos that it lists")
    from spatialreasoner.inference.backends.masks import TransformersMasks

    return TransformersMasks(name)
