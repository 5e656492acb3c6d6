"""Any folder of photos as scenes: depth by a model, regions by a model or an annotation file, the camera from EXIF.

What finds depth and regions comes as an argument, so this module knows no model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import ExifTags, Image

from spatialreasoner.core import records
from spatialreasoner.core.digests import files_digest, tree_digest
from spatialreasoner.core.errors import ConfigError, InputError, SceneError
from spatialreasoner.core.protocols import DepthEstimator
from spatialreasoner.core.types import DepthMap, Intrinsics, Region, Scene
from spatialreasoner.scenes.files import UNITS_PER_METRE, depth_png, read_image
from spatialreasoner.scenes.finding import Found, RegionFinder
from spatialreasoner.scenes.folder import claim_folder
from spatialreasoner.scenes.foreground import cut_out
from spatialreasoner.scenes.masks import encode, require_size

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""What counts as a photo."""

_STAGE = "scenes images"


@dataclass(frozen=True, kw_only=True)
class ImagesConfig:
    """How a folder of photos becomes scenes.

    Attributes:
        folder: The photos.
        depth: Name of the depth model, for the record.
        masks: Name of the mask model or annotation file, for the record.
        field_of_view: Horizontal field of view of an upright image in degrees, for photos without a focal length in EXIF; None
            if all have one.
        max_regions: Maximum number of regions per scene; the largest are kept.
        min_share: Minimum share of the image that a region covers.

    Raises:
        ConfigError: If a number is out of its range.
    """

    folder: str
    depth: str
    masks: str
    field_of_view: float | None = None
    max_regions: int = 20
    min_share: float = 0.002

    def __post_init__(self) -> None:
        if self.field_of_view is not None and not 1 <= self.field_of_view <= 170:
            raise ConfigError(f"the field of view is an angle from 1 to 170 degrees; got {self.field_of_view}")
        if not 1 <= self.max_regions <= 1000:
            raise ConfigError(f"max_regions must be 1 to 1000; got {self.max_regions}")
        if not 0 <= self.min_share < 1:
            raise ConfigError(f"the smallest share of a region must be from 0 to below 1; got {self.min_share}")


def write_photos(
    config: ImagesConfig,
    out: Path,
    depth: DepthEstimator,
    masks: RegionFinder,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Make a scenes folder of photos. Killed and started again, it continues with the photos that are missing.

    All photos are checked before the first is worked on. The images are copied as they are.

    Args:
        config: Where the photos are, and what counts as a region.
        out: The scenes folder: new, empty, or begun with the same settings.
        depth: Estimates depth. If it is not metric, the scenes say so, and only the order of their depth means anything.
        masks: Finds the regions.
        progress: Called with the number of photos done so far.

    Returns:
        The number of scenes.

    Raises:
        InputError: If there are no photos, one is unreadable or has no known camera, or `out` holds something else.
        WorkError: If a file cannot be written.
    """
    photos = photos_of(Path(config.folder))
    cameras = {name: _camera(path, config.field_of_view) for name, path in photos.items()}
    folder = claim_folder(out, _STAGE, asdict(config), _inputs(config, photos))
    with folder.working():
        for done, (name, path) in enumerate(photos.items(), start=1):
            if not (folder.complete or folder.has(name)):
                scene, packed = _scene(name, path, cameras[name], config, depth, masks)
                folder.add(scene, {scene.image: path.read_bytes(), f"depth/{name}.png": packed})
            progress(done)
        folder.finish(photos)
    return len(photos)


def _inputs(config: ImagesConfig, photos: Mapping[str, Path]) -> dict[str, str]:
    """Digests of what decides the scenes; of a repository's model there are no files to read."""
    found = {"photos": files_digest(photos.values())}
    for what, name in (("the depth model", config.depth), ("the masks", config.masks)):
        if Path(name).exists():
            found[what] = tree_digest(name)
    return found


def photos_of(folder: Path) -> dict[str, Path]:
    """The photos of a folder by their names without suffix, in order of their names.

    Raises:
        InputError: If there are none, or two have one name.
    """
    entries = records.require_folder(folder).iterdir()
    paths = sorted(path for path in entries if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    if not paths:
        raise InputError(f"expected photos ({', '.join(sorted(SUFFIXES))}) in {folder}; there are none")
    photos = {path.stem: path for path in paths}
    if len(photos) < len(paths):
        twice = next(path for path in paths if photos[path.stem] != path)
        raise InputError(
            f"expected every photo's name once, since its scene is named after it; got {twice.name} and "
            f"{photos[twice.stem].name} in {folder}; rename one"
        )
    return photos


def _camera(path: Path, field_of_view: float | None) -> Intrinsics:
    """The camera of a photo turned upright: its focal length from EXIF or else from the stated field of view."""
    width, height = read_image(path).size
    focal = exif_focal(path, width, height)
    if focal is None and field_of_view is not None:
        focal = width / 2 / math.tan(math.radians(field_of_view) / 2)
    if focal is None:
        raise SceneError(
            f"{path}: expected a focal length in its EXIF data; it has none; give the camera's field of view in degrees"
        )
    return Intrinsics(fx=focal, fy=focal, cx=(width - 1) / 2, cy=(height - 1) / 2)


def exif_focal(path: Path, width: int, height: int) -> float | None:
    """The focal length that a photo's EXIF data tell, in pixels of an image of this size, or None.

    The length equivalent to 35 mm film is meant by the diagonal (CIPA DC-008, tag FocalLengthIn35mmFilm), of which the
    film's is 43.3 mm.
    """
    with Image.open(path) as image:
        return focal_of_exif(image.getexif(), width, height)


def focal_of_exif(exif: Image.Exif, width: int, height: int) -> float | None:
    """The same of EXIF data that have been read."""
    tags = exif.get_ifd(ExifTags.IFD.Exif)
    try:
        equivalent = float(tags.get(ExifTags.Base.FocalLengthIn35mmFilm, 0))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not 1 <= equivalent <= 5000:  # 0 means unknown
        return None
    return equivalent * math.hypot(width, height) / math.hypot(36, 24)


def _scene(
    name: str, path: Path, camera: Intrinsics, config: ImagesConfig, depth: DepthEstimator, masks: RegionFinder
) -> tuple[Scene, bytes]:
    """The scene of one photo, and its depth as a PNG."""
    width, height = read_image(path).size
    estimate, own_camera = depth.estimate(str(path))
    require_size(estimate.shape, (height, width), where=str(path), what="depth of the image's size")
    found = masks.find(str(path), (height, width))
    if depth.metric:
        found = [cut_out(region, estimate, str(path)) for region in found]
    scene = Scene(
        id=name,
        image=f"images/{path.name}",
        regions=_regions(found, config),
        intrinsics=own_camera or camera,
        depth=DepthMap(path=f"depth/{name}.png", units_per_metre=UNITS_PER_METRE, metric=depth.metric),
        source=f"{path.name}; depth by {config.depth}; regions by {config.masks}",
    )
    return scene, depth_png(estimate, units_per_metre=UNITS_PER_METRE)


def _regions(found: Sequence[Found], config: ImagesConfig) -> tuple[Region, ...]:
    """The largest regions, in the order in which they were found."""
    areas = [int(region.mask.sum()) for region in found]
    large = [i for i, region in enumerate(found) if areas[i] >= max(1, config.min_share * region.mask.size)]
    kept = sorted(sorted(large, key=lambda i: -areas[i])[: config.max_regions])
    return tuple(
        Region(id=f"region{number}", label=found[i].label, mask=encode(found[i].mask), region_source=found[i].source)
        for number, i in enumerate(kept, start=1)
    )
