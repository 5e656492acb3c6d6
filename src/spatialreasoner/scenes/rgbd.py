"""Real photos with measured depth: the RGB-D folder format.

A folder holds the image, a 16-bit depth PNG, and `scene.json`::

    {"image": "image.jpg", "depth": "depth.png", "depth_units_per_metre": 1000.0,
     "intrinsics": {"fx": 518.9, "fy": 519.5, "cx": 325.6, "cy": 253.7},
     "regions": [{"label": "wardrobe", "polygon": [[76, 80], ...]},     # or "box": [x0, y0, x1, y1], or "rle": {...}
                 ...],
     "gravity": [0, 1, 0], "source": "...",                             # both optional
     "metric": false,                                                   # optional: the depth orders pixels, but has no scale
     "accept": ["units"]}                                               # optional: checks (`checks.NAMES`) that are wrong here

The scene's id is the folder's name; its regions are `region1`, `region2`, ... in the order listed.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spatialreasoner.core import records
from spatialreasoner.core.errors import InputError, RecordError, SceneError
from spatialreasoner.core.resume import hold
from spatialreasoner.core.types import DepthMap, Intrinsics, Record, Region, RegionSource, Rle, Scene
from spatialreasoner.scenes import checks
from spatialreasoner.scenes.files import MAX_REGIONS, check_label, resolve, write_scenes
from spatialreasoner.scenes.finding import Found
from spatialreasoner.scenes.foreground import cut_out
from spatialreasoner.scenes.images import exif_focal
from spatialreasoner.scenes.masks import decode, encode, from_box, from_polygon, require_size
from spatialreasoner.scenes.pairing import View, view_of
from spatialreasoner.scenes.sizes import is_known


@dataclass(frozen=True, kw_only=True)
class RegionEntry(Record):
    """One region of `scene.json`: a label and exactly one of polygon, box and rle.

    A box is corners [x0, y0, x1, y1]; the thing is cut out of it by depth and colour, unless `region_source` is "box".
    """

    label: str
    polygon: tuple[tuple[float, float], ...] | None = None
    box: tuple[float, float, float, float] | None = None
    region_source: RegionSource | None = None
    rle: Rle | None = None


@dataclass(frozen=True, kw_only=True)
class SceneFile(Record):
    """The contents of `scene.json`."""

    image: str
    depth: str
    depth_units_per_metre: float
    intrinsics: Intrinsics
    regions: tuple[RegionEntry, ...]
    gravity: tuple[float, float, float] | None = None
    source: str = ""
    metric: bool = True
    accept: tuple[str, ...] = ()


def load(folder: str | Path, *, need_regions: bool = True) -> Scene:
    """Read one RGB-D folder; the scene's paths are those of the folder's files.

    Args:
        folder: The folder.
        need_regions: Whether a scene without regions is refused; the app takes one, since they can be drawn there.

    Raises:
        MissingFileError: If the folder or one of its files is missing.
        RecordError: If `scene.json` is broken, has unknown keys, or names files outside of the folder.
        SceneError: If image, depth, regions and camera do not fit together.
    """
    folder = records.require_folder(folder)
    name = folder.resolve().name
    where = f"{folder / 'scene.json'}"
    entry = records.read_json(folder / "scene.json", SceneFile)
    try:
        depth = DepthMap(path=entry.depth, units_per_metre=entry.depth_units_per_metre, metric=entry.metric)
        bare = Scene(
            id=name, image=entry.image, regions=(), intrinsics=entry.intrinsics, depth=depth, gravity=entry.gravity,
            source=entry.source,
        )  # fmt: skip
    except ValueError as error:
        raise RecordError(f"{where}: {error}") from None
    scene = resolve(bare, folder, where=where)
    assert scene.depth is not None
    view = view_of(scene.image, scene.depth, where=where, accept=_accepted(entry, where))
    if not need_regions <= len(entry.regions) <= MAX_REGIONS:
        advice = "; a scene is measured by its regions: draw them in the app, or label the image" if not entry.regions else ""
        raise RecordError(f"{where}: expected 1 to {MAX_REGIONS} regions; got {len(entry.regions)}{advice}")
    scene = replace(scene, regions=tuple(_region(e, k, view, scene.image, where) for k, e in enumerate(entry.regions, start=1)))
    _check(scene, view, entry, where)
    return scene


def _accepted(entry: SceneFile, where: str) -> tuple[str, ...]:
    if unknown := sorted(set(entry.accept) - set(checks.NAMES)):
        raise RecordError(f"{where}: accept names no check {unknown[0]!r}; the checks are {', '.join(checks.NAMES)}")
    return entry.accept


def _check(scene: Scene, view: View, entry: SceneFile, where: str) -> None:
    """Refuse what must give wrong lengths, and tell what is odd."""
    problems = checks.examine(
        size=view.size,
        depth=view.depth if entry.metric else None,
        intrinsics=entry.intrinsics,
        gravity=scene.gravity,
        raw=view.raw,
        units_per_metre=entry.depth_units_per_metre,
        exif_focal=exif_focal(Path(scene.image), view.size[1], view.size[0]),
        regions=((region.label, decode(region.mask)) for region in scene.regions if is_known(region.label)),
    )
    checks.refuse(problems, where=where, accept=entry.accept)


def _region(entry: RegionEntry, number: int, view: View, image: str, where: str) -> Region:
    size = view.size
    place = f"{where}: region {number} ({entry.label!r})"
    if (entry.polygon is not None) + (entry.box is not None) + (entry.rle is not None) != 1:
        raise RecordError(f"{place}: expected exactly one of polygon, box and rle")
    if not entry.label.strip():
        raise RecordError(f"{place}: expected a label, the name of what it shows; it is empty")
    check_label(entry.label, f"{where}: region {number}")
    try:
        mask = _mask_of(entry, size)
    except SceneError as error:
        raise SceneError(f"{place}: {error}") from None
    require_size(mask.shape, size, where=place)
    if not mask.any():
        raise SceneError(f"{place}: expected at least one pixel inside the image; the mask is empty")
    found = Found(entry.label.strip(), mask, entry.region_source)
    if entry.box is not None and entry.region_source is None:
        found = cut_out(found._replace(source="box"), view.depth, image)
    return Region(id=f"region{number}", label=found.label, mask=encode(found.mask), region_source=found.source)


def _mask_of(entry: RegionEntry, size: tuple[int, int]) -> np.ndarray:
    if entry.polygon is not None:
        return from_polygon(entry.polygon, size)
    if entry.box is not None:
        return from_box(entry.box, size)
    assert entry.rle is not None
    return decode(entry.rle)


@dataclass(frozen=True, kw_only=True)
class RgbdConfig:
    """What `scenes rgbd` read, for the record."""

    folders: tuple[str, ...]


def write_rgbd(folders: Sequence[Path], out: Path, *, progress: Callable[[int], None] = lambda done: None) -> int:
    """Copy RGB-D folders into one scenes folder: `scenes.jsonl`, and a subfolder of files per scene.

    All folders are read and checked before anything is written. Returns the number of scenes.

    Raises:
        InputError: If a folder is unusable, or two have the same name.
        WorkError: If the output cannot be written.
    """
    scenes = [load(folder) for folder in folders]
    names = [scene.id for scene in scenes]
    if len(set(names)) < len(names):
        raise InputError(f"expected folders of different names, since a scene is named after its folder; got {names}")
    copied: list[Scene] = []
    with records.writing(out), hold(out / ".lock", out):
        for scene in scenes:
            copied.append(_copy(scene, out))
            progress(len(copied))
        records.write_config(out, "scenes rgbd", RgbdConfig(folders=tuple(names)))
        return write_scenes(out, copied)


def _copy(scene: Scene, out: Path) -> Scene:
    assert scene.depth is not None
    (out / scene.id).mkdir(parents=True, exist_ok=True)
    image, depth = (f"{scene.id}/{Path(path).name}" for path in (scene.image, scene.depth.path))
    for source, target in ((scene.image, image), (scene.depth.path, depth)):
        with records.atomic_path(out / target) as temporary:
            shutil.copyfile(source, temporary)
    return replace(scene, image=image, depth=replace(scene.depth, path=depth))
