"""RGB-D folders, into the stage `scenes rgbd`: `scene.json` with wrong values, shapes and paths, or no JSON at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reliability.changes import ESCAPES, NUMBERS, WRONG, Change, drop, dumps, literal, put, shown
from reliability.trial import Act, Case, Read, command
from spatialreasoner.core.errors import InputError

SCENE: dict[str, Any] = {
    "image": "image.png",
    "depth": "depth.png",
    "depth_units_per_metre": 1000.0,
    "intrinsics": {"fx": 50.0, "fy": 50.0, "cx": 15.5, "cy": 11.5},
    "regions": [{"label": "box", "box": [1, 1, 10, 10]}, {"label": "ball", "polygon": [[12, 12], [20, 12], [16, 20]]}],
}
SHAPES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a polygon of two corners", {"polygon": [[1, 1], [9, 9]]}),
    ("a polygon of no corners", {"polygon": []}),
    ("a polygon of triples", {"polygon": [[1, 1, 1], [9, 9, 9], [1, 9, 1]]}),
    ("a polygon of words", {"polygon": [["a", "b"], ["c", "d"], ["e", "f"]]}),
    ("a polygon beside the image", {"polygon": [[100, 100], [200, 100], [150, 200]]}),
    ("a polygon left of the image", {"polygon": [[-100, 1], [-50, 1], [-70, 9]]}),
    ("a polygon at 1e300", {"polygon": [[1e300, 1], [2e300, 1], [1e300, 9e300]]}),
    ("a polygon at 2^40", {"polygon": [[2**40, 2**40], [2**41, 2**40], [2**40, 2**41]]}),
    ("a polygon larger than the image", {"polygon": [[-1000, -1000], [1000, -1000], [1000, 1000], [-1000, 1000]]}),
    ("a polygon on a line", {"polygon": [[1, 1], [5, 5], [9, 9]]}),
    ("a box from right to left", {"box": [9, 1, 1, 9]}),
    ("a box of no width", {"box": [1, 1, 1, 9]}),
    ("a box of three numbers", {"box": [1, 1, 9]}),
    ("a box beside the image", {"box": [100, 100, 200, 200]}),
    ("a box at 1e300", {"box": [1e300, 1e300, 2e300, 2e300]}),
    ("a box of words", {"box": ["left", "top", "right", "bottom"]}),
    ("a mask of another size", {"rle": {"size": [4, 6], "counts": [0, 24]}}),
    ("a mask of nothing", {"rle": {"size": [24, 32], "counts": [768]}}),
    ("a mask that lies", {"rle": {"size": [24, 32], "counts": [7]}}),
    ("two shapes", {"box": [1, 1, 9, 9], "polygon": [[1, 1], [9, 1], [5, 9]]}),
    ("no shape", {}),
    ("an unknown shape", {"circle": [5, 5, 3]}),
)
LARGE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a box larger than the image", {"box": [-1e6, -1e6, 1e6, 1e6]}),
    ("a polygon of 100000 corners", {"polygon": [[k % 32, k % 23] for k in range(100_000)]}),
    ("a box of one pixel", {"box": [1, 1, 2, 2]}),
)


FILES: tuple[tuple[str, bytes], ...] = (
    ("empty", b""),
    ("no JSON", b"image: image.png"),
    ("a list", b"[]"),
    ("null", b"null"),
    ("a number", b"7"),
    ("cut", json.dumps(SCENE).encode()[:-9]),
    ("UTF-16", json.dumps(SCENE).encode("utf-16")),
    ("Latin-1", b'{"image": "k\xfcche.png"}'),
    ("with a byte order mark", b"\xef\xbb\xbf" + json.dumps(SCENE).encode()),
    ("with remarks", b"// a scene\n" + json.dumps(SCENE).encode()),
    ("with a comma too many", json.dumps(SCENE).encode()[:-1] + b",}"),
    ("in single quotes", str(SCENE).encode()),
    ("brackets without end", b"[" * 1_000_000),
    ("a NUL", b"\0"),
    ("17 MB", json.dumps(SCENE).encode() + b" " * 17 * 2**20),
    ("a lone surrogate", b'{"image": "\\ud800.png"}'),
)


def cases() -> Iterator[Case]:
    """A folder with one photo, its `scene.json` changed."""
    for name, change in (*_wrong_fields(), *_wrong_numbers(), *_wrong_shapes()):
        yield Case(group="RGB-D folders", name=name, prepare=partial(_folder, change), expected=InputError)
    for name, shape in LARGE:
        large = partial(put, ("regions", 0), {"label": "box", **shape})
        yield Case(group="RGB-D folders", name=name, prepare=partial(_folder, large), expected=Read())
    for name, text in FILES:
        yield Case(group="RGB-D folders", name=f"scene.json is {name}", prepare=partial(photo, text))
    yield Case(group="RGB-D folders", name="scene.json with a key twice", prepare=partial(photo, _twice()), expected=Read())
    thousand = partial(put, ("regions",), SCENE["regions"][:1] * 1000)
    yield Case(group="RGB-D folders", name="1000 regions", prepare=partial(_folder, thousand), expected=Read())


def _wrong_fields() -> Iterator[tuple[str, Change]]:
    for field in SCENE:
        yield f"no {field}", partial(drop, field)
        for name, value in WRONG[1:]:
            if not (value == "text" and field in {"image", "depth"}):
                yield f"{field} is {name}", partial(put, (field,), value)
    for path in ESCAPES:
        yield f"an image at {shown(path)}", partial(put, ("image",), path)
        yield f"depth at {shown(path)}", partial(put, ("depth",), path)
    yield "an unknown key", partial(put, ("camera",), "Kinect")


def _wrong_numbers() -> Iterator[tuple[str, Change]]:
    for text in NUMBERS:
        yield f"{shown(text)} depth units per metre", partial(literal, ("depth_units_per_metre",), text)
    for value in (0, -1000, 1e-320, 1e300):
        yield f"{value} depth units per metre", partial(put, ("depth_units_per_metre",), value)
    yield "gravity of zero", partial(put, ("gravity",), [0, 0, 0])
    yield "gravity of words", partial(put, ("gravity",), ["down", "down", "down"])


def _wrong_shapes() -> Iterator[tuple[str, Change]]:
    for name, shape in SHAPES:
        yield name, partial(put, ("regions", 0), {"label": "box", **shape})
    yield "no region", partial(put, ("regions",), [])
    yield "1001 regions", partial(put, ("regions",), SCENE["regions"][:1] * 1001)
    yield "an empty label", partial(put, ("regions", 0, "label"), "  ")


def _twice() -> bytes:
    return json.dumps(SCENE).encode()[:-1] + b', "image": "image.png"}'


def _folder(change: Change, folder: Path) -> Act:
    """An RGB-D folder whose `scene.json` is changed."""
    return photo(dumps(change(json.loads(json.dumps(SCENE)))).encode(), folder)


def photo(text: bytes, folder: Path, depth: bytes | None = None) -> Act:
    """An RGB-D folder with this `scene.json`, and this `depth.png`."""
    place = folder / "photo"
    place.mkdir()
    Image.new("RGB", (32, 24), "red").save(place / "image.png")
    Image.fromarray(np.full((24, 32), 2000, dtype=np.uint16)).save(place / "depth.png")
    (folder / "outside.png").write_bytes((place / "depth.png").read_bytes())
    (place / "link").symlink_to(folder)
    (place / "linked.png").symlink_to(folder / "outside.png")
    (place / "scene.json").write_bytes(text)
    if depth is not None:
        (place / "depth.png").write_bytes(depth)
    return command("scenes", "rgbd", place, "--out", folder / "out")
