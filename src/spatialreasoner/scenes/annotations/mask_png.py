"""Masks as PNG files: label maps, palettes, 16-bit ids, colours, one file per region, or what an editor left opaque.

What counts as one region:

- opacity that varies: the opaque part (an editor's cut-out);
- a palette, 16-bit or 32-bit numbers: each number other than 0, in a palette also other than 255 (PASCAL VOC's "void");
- grey: two values, or edges softened towards 255: all from 128 up; else each number other than 0, with 255 as void;
- colours: each colour other than black.

A region may have several parts and holes. Names come from `labelmap.txt` (PASCAL VOC's and CVAT's: `name:r,g,b::`) or
`labels.json` ({"1": "cup"}) beside the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer
from PIL import Image

from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.scenes.annotations.bitmaps import alpha_of
from spatialreasoner.scenes.annotations.coco import UNNAMED
from spatialreasoner.scenes.annotations.shapes import Annotated, Bitmap, Drawn, Mask
from spatialreasoner.scenes.files import open_image

MAX_MASK_REGIONS = 1000
"""More regions than this in one file are a photo, not a mask."""

PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".heic"})
"""Suffixes of photos."""

VOID = 255

_WHOLE_WORDS = frozenset({"mask", "masks", "seg", "segmentation", "label", "labels", "labelids", "instance", "instances", "gt"})
"""What follows a photo's name where the file is the photo's one label map."""


def _voc_colour(number: int) -> int:
    """The colour of a number in PASCAL VOC's palette: its bits, three at a time, from the highest bits of r, g, b down."""
    red = green = blue = 0
    for bit in range(8):
        red |= (number >> 3 * bit & 1) << 7 - bit
        green |= (number >> 3 * bit + 1 & 1) << 7 - bit
        blue |= (number >> 3 * bit + 2 & 1) << 7 - bit
    return red << 16 | green << 8 | blue


VOC_COLOURS = {_voc_colour(number): number for number in range(256)}
"""Numbers by colour: tools write VOC's masks without a palette, too."""


@dataclass(frozen=True, kw_only=True)
class MaskNames:
    """The names of a folder's numbers or colours."""

    by_number: Mapping[int, str]
    by_colour: Mapping[tuple[int, int, int], str]

    def of(self, number: int) -> str:
        """The name of a number."""
        return self.by_number.get(number, UNNAMED)

    def of_colour(self, colour: int) -> str:
        """The name of a colour, r * 65536 + g * 256 + b; where only numbers have names, by VOC's palette."""
        found = self.by_colour.get((colour >> 16 & 255, colour >> 8 & 255, colour & 255))
        return found or self.of(VOC_COLOURS.get(colour, -1))


NO_NAMES = MaskNames(by_number={}, by_colour={})


def read_masks(path: Path, names: MaskNames = NO_NAMES) -> list[tuple[str, Mask]]:
    """Name and mask of every region in a PNG, in the order of their numbers or colours.

    Raises:
        MissingFileError: If the file does not exist.
        SceneError: If it is not a complete image, shows nothing, or more than `MAX_MASK_REGIONS` things.
    """
    image = open_image(path)
    alpha = None if image.mode == "P" else alpha_of(image)
    if alpha is not None:
        return [(UNNAMED, alpha)]
    numbers = _numbers(image)
    keys = np.unique(numbers)
    if image.mode in {"P", "L"}:
        keys = keys[keys != VOID] if len(keys) > 2 else keys
    keys = keys[keys != 0]
    if not 1 <= len(keys) <= MAX_MASK_REGIONS:
        raise SceneError(f"{path}: expected a mask of 1 to {MAX_MASK_REGIONS} regions on 0 or black; it has {len(keys)} values")
    if image.mode == "P" and names.by_colour:
        called = [names.of_colour(_colour(image, int(key))) for key in keys]
    else:
        called = [names.of_colour(int(key)) if image.mode.startswith("RGB") else names.of(int(key)) for key in keys]
    return [(label, numbers == key) for label, key in zip(called, keys, strict=True)]


def _numbers(image: Image.Image) -> Integer[np.ndarray, "h w"]:
    """The number of every pixel: its index, its value, or its colour as r * 65536 + g * 256 + b."""
    if image.mode in {"P", "1"} or image.mode.startswith("I"):
        return np.asarray(image).astype(np.int64)
    if image.mode in {"L", "LA"}:
        grey = np.asarray(image.convert("L"))
        return _grey(grey).astype(np.int64)
    pixels = np.asarray(image.convert("RGB")).astype(np.int64)
    colours = pixels @ np.array([65536, 256, 1])
    if (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all():
        return _grey(pixels[..., 0].astype(np.uint8)).astype(np.int64)
    return colours


def _grey(values: Integer[np.ndarray, "h w"]) -> Integer[np.ndarray, "h w"]:
    """Greys as numbers: a mask with softened edges is cut at 128, a label map stays as it is."""
    shown = values[values > 0]
    soft = shown.size > 0 and float((shown >= 250).mean()) > 0.5
    return np.where(values >= 128, 255, 0) if soft else values


def _colour(image: Image.Image, index: int) -> int:
    palette = image.getpalette("RGB") or []
    red, green, blue = [*palette[3 * index : 3 * index + 3], 0, 0, 0][:3]
    return red << 16 | green << 8 | blue


def read_names(folder: Path) -> MaskNames:
    """The names beside mask files, or those of the folder above.

    Raises:
        RecordError: If the file of names is broken.
    """
    for place in (folder, folder.absolute().parent):
        if (place / "labelmap.txt").is_file():
            return _of_labelmap(place / "labelmap.txt")
        if (place / "labels.json").is_file():
            return _of_json(place / "labels.json")
    return NO_NAMES


def _of_labelmap(path: Path) -> MaskNames:
    rows = [line.split(":") for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    try:
        colours = {(int(r), int(g), int(b)): row[0] for row in rows if row[1] for r, g, b in [row[1].split(",")]}
    except (ValueError, IndexError):
        raise RecordError(f"{path}: expected lines `name:red,green,blue:parts:actions`") from None
    return MaskNames(by_number={} if colours else {n: row[0] for n, row in enumerate(rows)}, by_colour=colours)


def _of_json(path: Path) -> MaskNames:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return MaskNames(by_number={int(number): str(name) for number, name in value.items()}, by_colour={})
    except (ValueError, AttributeError):
        raise RecordError(f'{path}: expected names by number, such as {{"1": "cup"}}') from None


def read_folder(folder: Path, photos: Sequence[Path]) -> list[Annotated]:
    """The masks of a folder, by the photo that they are called after.

    A file `NAME.png` or `NAME_mask.png` is a photo's label map; several files `NAME_*.png`, or files in a folder `NAME`, are
    one region each, called by what follows. PASCAL VOC's folders `SegmentationObject` and `SegmentationClass` are read
    together.

    Args:
        folder: The masks.
        photos: The photos; where there are none, every file is a label map.
    """
    if (folder / "SegmentationObject").is_dir() and (folder / "SegmentationClass").is_dir():
        names = read_names(folder)
        paths = sorted((folder / "SegmentationObject").rglob("*.png"))
        return [_of_voc(path, folder, names) for path in paths]
    stems = {photo.stem for photo in photos}
    groups: dict[str, list[tuple[str, Path]]] = {}
    for path in sorted(folder.rglob("*.png")):
        stem, rest = _split(path.relative_to(folder), stems)
        groups.setdefault(stem, []).append((rest, path))
    return [_of_group(stem, files, folder) for stem, files in groups.items()]


def _split(path: Path, stems: set[str]) -> tuple[str, str]:
    """The photo that a mask file is of, and what its name says beyond."""
    whole = path.with_suffix("")
    if whole.suffix.lower() in PHOTOS and whole.stem in stems:  # photo.jpg.png
        whole = whole.with_suffix("")
    if whole.name in stems:
        return whole.as_posix(), ""
    if whole.parent.name in stems:
        return whole.parent.as_posix(), whole.name
    fitting = [stem for stem in stems if re.match(re.escape(stem) + r"[._\- ]", whole.name)]
    if fitting:
        stem = max(fitting, key=len)
        return (whole.parent / stem).as_posix(), whole.name[len(stem) :]
    return whole.as_posix(), ""


def _of_group(stem: str, files: list[tuple[str, Path]], folder: Path) -> Annotated:
    if len(files) == 1 and files[0][0].strip("._- ").lower() in {"", *_WHOLE_WORDS}:
        path = files[0][1]
        return annotated(stem, read_masks(path, read_names(path.parent)))
    regions = [(_called(rest), np.logical_or.reduce([mask for _, mask in read_masks(path)])) for rest, path in files]
    return annotated(stem, regions)


def _called(rest: str) -> str:
    """A region's name from the end of its file's name: without separators and numbers.

    >>> _called("_coffee_cup_02"), _called("_3")
    ('coffee cup', 'object')
    """
    words = [word for word in re.split(r"[._\- ]+", rest) if word and not word.isdigit() and word.lower() not in _WHOLE_WORDS]
    return " ".join(words) or UNNAMED


def annotated(stem: str, regions: list[tuple[str, Bool[np.ndarray, "h w"]]]) -> Annotated:
    """What masks say of the photo of that name.

    Raises:
        SceneError: If the masks have several sizes.
    """
    drawn = tuple(Drawn(label=label, parts=(Bitmap(pixels=mask),)) for label, mask in regions)
    sizes = {mask.shape for _, mask in regions}
    if len(sizes) != 1:
        raise SceneError(f"expected masks of one size for {stem!r}; got {sorted(sizes)}")
    height, width = sizes.pop()
    return Annotated(image=stem, size=(height, width), regions=drawn, bare=True)


def _of_voc(path: Path, folder: Path, names: MaskNames) -> Annotated:
    """Instances, each called by the class that most of its pixels have."""
    relative = path.relative_to(folder / "SegmentationObject")
    classes = read_masks(folder / "SegmentationClass" / relative, names)
    regions: list[tuple[str, Bool[np.ndarray, "h w"]]] = []
    for _, mask in read_masks(path):
        label = max(classes, key=lambda found: int((found[1] & mask).sum()))[0]
        regions.append((label, mask))
    return annotated(relative.with_suffix("").as_posix(), regions)
