"""Depth: maps of RGB-D folders, and what depth models say of photos."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reliability.folders import SCENE, photo
from reliability.images import saved
from reliability.trial import Act, Case, Read
from spatialreasoner.core.types import QUANTITIES
from spatialreasoner.scenes import images, rgbd
from spatialreasoner.scenes.finding import Found
from spatialreasoner.scenes.measure import Measured

_FLAT = np.full((24, 32), 2000, dtype=np.uint16)
_TEXT = json.dumps(SCENE).encode()


def cases() -> Iterator[Case]:
    """Maps into the stage `scenes rgbd` and into the measures, and estimates into the stage `scenes images`."""
    for name, data in _unusable():
        yield Case(group="depth", name=name, prepare=partial(photo, _TEXT, depth=data))
    for name, values in _unusual():
        data = _grey(values)
        yield Case(group="depth", name=name, prepare=partial(photo, _TEXT, depth=data), expected=Read())
        measured = partial(_measured, data)
        yield Case(group="measures", name=name, source=f"depth: {name}", prepare=measured, expected=Read(_finite))
    for value in (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e30, 1e-30):
        said = partial(_estimated, np.full((24, 32), value))
        yield Case(group="depth", name=f"a model that says {value} everywhere", prepare=said, expected=Read())
    for shape in ((5, 5), (0, 0)):
        said = partial(_estimated, np.ones(shape))
        yield Case(group="depth", name=f"a model that says a map of {shape}", prepare=said, writes=True)


def _unusable() -> Iterator[tuple[str, bytes]]:
    noise = np.random.default_rng(0).integers(1, 60_000, (24, 32), dtype=np.uint16)
    yield "another size", _grey(_FLAT[:12])
    yield "turned on its side", _grey(_FLAT.T.copy())
    yield "one pixel", _grey(_FLAT[:1, :1])
    yield "all zero", _grey(_FLAT * 0)
    yield "all the largest number", _grey(_FLAT * 0 + 65_535)
    yield "a millimetre", _grey(_FLAT * 0 + 1)
    yield "cut in half", _grey(noise)[:300]
    yield "a TIFF of 16 bits", _grey(_FLAT, "TIFF")
    yield "a TIFF of numbers", _grey(_FLAT.astype(np.float32), "TIFF")
    yield "a JPEG", saved(Image.new("L", (32, 24)), "JPEG")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield f"mode {mode}", saved(Image.new(mode, (32, 24)))
    yield "no image", b"depth"
    yield "empty", b""
    yield "a numpy file", b"\x93NUMPY\x01\0"


def _unusual() -> Iterator[tuple[str, np.ndarray]]:
    one = _FLAT * 0
    one[5, 5] = 1500
    yield "one measured pixel", one
    yield "as far as 16 bits reach", _FLAT * 0 + 65_534
    yield "a chessboard of holes", np.where(np.indices((24, 32)).sum(axis=0) % 2, 0, _FLAT).astype(np.uint16)


def _grey(values: np.ndarray, kind: str = "PNG") -> bytes:
    return saved(Image.fromarray(values), kind)


def _measured(depth: bytes, folder: Path) -> Act:
    photo(_TEXT, folder, depth)
    measured = Measured(rgbd.load(folder / "photo"))
    first, second = (region.id for region in measured.scene.regions)
    of_two = [quantity for quantity in QUANTITIES if quantity.endswith("distance") and quantity != "camera_distance"]
    return lambda: [measured.quantity(quantity, first, second).value for quantity in (*of_two, "direction")]


def _finite(values: list[float | None]) -> bool:
    return all(value is None or np.isfinite(value) for value in values)


def _estimated(values: np.ndarray, folder: Path) -> Act:
    class Estimator:
        metric = True

        def estimate(self, image: str) -> tuple[Any, None]:
            return values, None

    class Finder:
        def find(self, image: str, size: tuple[int, int]) -> list[Found]:
            return [Found("all", np.ones(size, dtype=bool), "drawn")]

    (folder / "photos").mkdir()
    Image.new("RGB", (32, 24), "red").save(folder / "photos" / "a.png")
    config = images.ImagesConfig(folder=str(folder / "photos"), depth="a", masks="b", field_of_view=60)
    return lambda: images.write_photos(config, folder / "out", Estimator(), Finder())
