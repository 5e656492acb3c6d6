"""What users bring whose numbers look right and are not: each is measured right, or refused with the true reason."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from reliability.captures import CAMERA, SIZE, made
from reliability.trial import Act, Case, Read
from spatialreasoner.core.errors import InputError
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.scenes import rgbd
from spatialreasoner.scenes.annotations.finder import AnnotatedRegions
from spatialreasoner.scenes.measure import Measured

WIDTH = (50 - 1) / CAMERA["fx"] * 1.5
"""Of a thing of 50 pixels at 1.5 m, from the middle of its first pixel to that of its last, metres."""

Holds = Callable[[Any], bool]


def cases() -> Iterator[Case]:
    """Photos with depth and one thing in them, then the files of label tools."""
    for name, changes, change, expected in _scenes():
        yield Case(group="cameras", name=name, prepare=partial(_measured, changes, change), expected=expected or InputError)
    for name, files, holds in _labels():
        expected = Read(holds) if holds else InputError
        yield Case(group="label files", name=name, prepare=partial(_regions, files), expected=expected)


def _near(value: float | None, wanted: float, share: float = 0.06) -> bool:
    return value is not None and abs(value - wanted) <= share * wanted


def _width(measured: Measured) -> bool:
    return _near(measured.quantity("width", "region1").value, WIDTH)


def _down(measured: Measured) -> bool:
    ask_about(measured, Random(0), 4)
    return _width(measured) and measured.quantity("height", "region1").value is None


def _scenes() -> Iterator[tuple[str, dict[str, Any], Callable[[dict[str, Any]], None], Read | None]]:
    nothing: Callable[[dict[str, Any]], None] = lambda files: None  # noqa: E731
    yield "a flat thing seen from the front, in exact depth", {}, nothing, Read(_width)
    yield "a camera that looks straight down", {"gravity": [0, 0, 1]}, nothing, Read(_down)
    yield "a camera that looks straight up", {"gravity": [0, 0, -1]}, nothing, Read(_down)
    yield "gravity of length 9.81", {"gravity": [0, 9.81, 0]}, nothing, Read(_width)
    yield "gravity of zero", {"gravity": [0, 0, 0]}, nothing, None
    yield "no gravity", {}, nothing, Read(lambda measured: measured.scene.gravity is None and _width(measured))
    yield "EXIF orientation 3", {}, partial(_turned, 3), None
    yield "EXIF orientation 6", {}, partial(_turned, 6), None
    yield "EXIF orientation 1", {}, partial(_turned, 1), Read(_width)
    yield "intrinsics of 1920 x 1440", {"intrinsics": {"fx": 1560, "fy": 1560, "cx": 959.5, "cy": 719.5}}, nothing, None
    yield "65535 around the thing", {}, partial(_around, 65535), Read(_width)
    yield "0 around the thing", {}, partial(_around, 0), Read(_width)
    yield "a quarter of the depth missing", {}, _holes, Read(_width)
    yield "depth of half the image's size", {}, _halved, None
    yield "depth in colour", {}, _coloured, None
    yield "a box with all that is behind the thing", _box(40, 20, 130, 100), nothing, Read(_width)
    yield "a box as [x, y, width, height]", {"regions": [{"label": "panel", "box": [60, 40, 50, 40]}]}, nothing, None
    yield "a box outside of the image", {"regions": [{"label": "panel", "box": [900, 40, 950, 80]}]}, nothing, None
    yield "a region without a label", {"regions": [{"label": " ", "box": [60, 40, 110, 80]}]}, nothing, None
    yield "a polygon with two corners", {"regions": [{"label": "panel", "polygon": [[1, 1], [9, 9]]}]}, nothing, None
    yield "a mask of another image", {"regions": [{"label": "panel", "rle": {"size": [3, 3], "counts": [4, 5]}}]}, nothing, None
    yield "no region", {"regions": []}, nothing, None
    yield "units as a text", {"depth_units_per_metre": "1000"}, nothing, None
    yield "an image outside of the folder", {"image": "../image.png"}, nothing, None
    yield "a thing at the image's border", _box(0, 40, 50, 80, source="box"), nothing, Read(_cut)


def _cut(measured: Measured) -> bool:
    found = measured.quantity("width", "region1")
    return found.value is None and "border" in (found.reason or "")


def _box(*corners: int, source: str | None = None) -> dict[str, Any]:
    own = {} if source is None else {"region_source": source}
    return {"regions": [{"label": "panel", "box": list(corners), **own}]}


def _measured(changes: dict[str, Any], change: Callable[[dict[str, Any]], None], folder: Path) -> Act:
    """A panel of 50 x 40 pixels, 1.5 m away, before a wall 3 m away."""
    raw, image = np.full(SIZE, 3000, np.uint16), np.full((*SIZE, 3), 90, np.uint8)
    raw[40:80, 60:110], image[40:80, 60:110] = 1500, (200, 60, 40)
    entry = {
        "image": "image.png", "depth": "depth.png", "depth_units_per_metre": 1000, "intrinsics": CAMERA,
        "regions": [{"label": "panel", "box": [60, 40, 110, 80], "region_source": "box"}],
    }  # fmt: skip
    files: dict[str, Any] = {"raw": raw, "image": Image.fromarray(image), "entry": entry | changes}
    change(files)
    depth = files.get("depth") or made.grey(files["raw"])
    image_bytes, written = files.get("png") or made.encoded(files["image"]), json.dumps(files["entry"])
    place = made.write(folder / "photo", {"image.png": image_bytes, "depth.png": depth, "scene.json": written})
    return lambda: _look(rgbd.load(place))


def _look(scene: Any) -> Measured:
    measured = Measured(scene)
    _ = measured.depth
    return measured


def _turned(orientation: int, files: dict[str, Any]) -> None:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    files["image"].save(file, "PNG", exif=exif)
    files["png"] = file.getvalue()


def _around(value: int, files: dict[str, Any]) -> None:
    files["raw"][files["raw"] == 3000] = value


def _holes(files: dict[str, Any]) -> None:
    files["raw"][np.random.default_rng(0).random(SIZE) < 0.25] = 0


def _halved(files: dict[str, Any]) -> None:
    files["raw"] = files["raw"][::2, ::2]


def _coloured(files: dict[str, Any]) -> None:
    files["depth"] = made.encoded(files["image"])


Files = dict[str, bytes | str]


def _labels() -> Iterator[tuple[str, Files, Holds | None]]:
    square: dict[str, Any] = {"segmentation": [[10, 10, 50, 10, 50, 50, 10, 50]]}
    yield "COCO: a polygon of 40 x 40", {"labels.json": _coco({}, square)}, _pixels(1600)
    yield "COCO: a box [x, y, w, h]", {"labels.json": _coco({}, {"bbox": [10, 10, 40, 40]})}, _pixels(1600)
    ring = {"segmentation": [[10, 10, 50, 10, 50, 50, 10, 50], [60, 60, 80, 60, 80, 80, 60, 80]]}
    yield "COCO: two parts are one region", {"labels.json": _coco({}, ring)}, _pixels(2000)
    yield (
        "COCO: a path of another machine",
        _named("C:\\work\\photos\\photo.png", square),
        _pixels(1600),
    )
    yield (
        "COCO: Label Studio's prefix",
        _named("/data/upload/1/0a1b2c3d-photo.png", square),
        _pixels(1600),
    )
    yield "COCO: none of the photos", _named("other.png", square), lambda found: found == []
    yield "COCO: of an image of another size", {"labels.json": _coco({"width": 320, "height": 240}, square)}, None
    yield "COCO: two entries with one name", {"labels.json": _twice("photo.png", "photo.png")}, None
    yield "COCO: two folders with the same name", {"labels.json": _twice("a/photo.png", "b/photo.png")}, None
    yield "a mask with alpha", {"photo.png": _alpha()}, _pixels(100)
    yield (
        "a 16-bit mask of ids",
        {"photo.png": _ids()},
        _pixels(100, 200),
    )
    yield "a palette mask", {"photo.png": _palette()}, _pixels(100)
    yield "a mask of another size", {"photo.png": made.encoded(Image.new("L", (40, 30), 255))}, None
    yield "a file of no tool", {"labels.json": '{"hello": "world"}'}, None
    yield "half a JSON file", {"labels.json": '{"images": [{"id": 1,'}, None


def _pixels(*counts: int) -> Holds:
    return lambda found: sorted(int(one.mask.sum()) for one in found) == list(counts)


def _named(name: str, annotation: dict[str, Any]) -> Files:
    return {"labels.json": _coco({"file_name": name}, annotation)}


def _coco(image: dict[str, Any], annotation: dict[str, Any]) -> str:
    about = {"id": 1, "file_name": "photo.png", "width": SIZE[1], "height": SIZE[0], **image}
    row = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, **annotation}
    return json.dumps({"images": [about], "annotations": [row], "categories": [{"id": 1, "name": "thing"}]})


def _twice(*names: str) -> str:
    images = [{"id": n, "file_name": name, "width": SIZE[1], "height": SIZE[0]} for n, name in enumerate(names, start=1)]
    rows = [{"id": n, "image_id": n, "category_id": 1, "iscrowd": 0, "bbox": [1, 1, 9, 9]} for n in (1, 2)]
    return json.dumps({"images": images, "annotations": rows, "categories": [{"id": 1, "name": "thing"}]})


def _alpha() -> bytes:
    pixels = np.full((*SIZE, 4), 255, np.uint8)
    pixels[..., 3] = 0
    pixels[10:20, 10:20, 3] = 255
    return made.encoded(Image.fromarray(pixels))


def _ids() -> bytes:
    ids = np.zeros(SIZE, np.uint16)
    ids[10:20, 10:20], ids[40:50, 40:60] = 300, 1200
    return made.grey(ids)


def _palette() -> bytes:
    image = Image.new("P", SIZE[::-1])
    image.putpalette([0, 0, 0, 200, 30, 30])
    image.paste(1, (10, 10, 20, 20))
    return made.encoded(image)


def _regions(files: Files, folder: Path) -> Act:
    place = made.write(folder / "labels", files)
    (name,) = files
    return lambda: AnnotatedRegions(place / name).find("photos/photo.png", SIZE)
