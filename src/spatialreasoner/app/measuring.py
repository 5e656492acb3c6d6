"""What is measured of the open image: all sizes and pairs of the drawn regions, a ruler, and what depth there is at a point."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock

import numpy as np
from jaxtyping import Float, UInt8

from spatialreasoner.app.regions import Sight
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import CONVERSE, RELATIONS, Intrinsics, Region, Relation, Scene
from spatialreasoner.questions.templates import RELATION_PHRASES
from spatialreasoner.scenes.files import read_depth, read_image
from spatialreasoner.scenes.geometry import level
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.uncertainty import OFFSET_FLOOR, OFFSET_SHARE
from spatialreasoner.scenes.values import Measurement

MAX_KEPT_PIXELS = 40_000_000
"""Maximum number of pixels of all images kept in memory; the one used last always stays."""

NEAR = 0.01
"""A point without depth takes that of the nearest measured pixel, up to this share of the image's longer side away."""

NORMAL = 1.96
"""Standard errors to either side that hold a value 95 times in 100."""

SLIP = 0.5
"""Pixels by which a point that somebody clicks is off."""


class OpenImage:
    """An open image with its pixels in memory.

    Args:
        scene: The image.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    @cached_property
    def image(self) -> UInt8[np.ndarray, "h w 3"]:
        """The image, upright, sRGB."""
        return np.asarray(read_image(self.scene.image))

    @cached_property
    def depth(self) -> Float[np.ndarray, "h w"] | None:
        """Its depth; None if none is known."""
        return None if self.scene.depth is None else read_depth(self.scene.depth)

    @cached_property
    def known(self) -> float:
        """The share of pixels whose depth was measured."""
        return 0.0 if self.depth is None else float(np.isfinite(self.depth).mean())

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.image.shape[:2] if self.depth is None else self.depth.shape

    @property
    def metric(self) -> bool:
        """Whether lengths can be measured: there is depth in metres, and a camera."""
        return self.scene.depth is not None and self.scene.depth.metric and self.scene.intrinsics is not None

    def sight(self) -> Sight:
        """What can be seen where one draws."""
        return Sight(size=self.size, detected=self.scene.regions, depth=self.depth, image=self.image)

    def measured(self, regions: Sequence[Region]) -> Measured:
        """The image with drawn regions in place of its own; what was measured of a region before is not measured again."""
        self._measured.scene = replace(self.scene, regions=tuple(regions))
        return self._measured

    @cached_property
    def _measured(self) -> Measured:
        return Measured(self.scene, self.depth)


class OpenImages:
    """The images whose pixels are in memory, by visitor and path: those used last. Visitors come at the same time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[OpenImage, int]] = OrderedDict()
        self._changing = Lock()

    def find(self, visitor: str, scene: Scene) -> OpenImage:
        """An image that a visitor has open."""
        key = (visitor, scene.image)
        with self._changing:
            found, _ = self._kept.get(key) or (OpenImage(scene), 0)
        pixels = math.prod(found.size)  # may read the file, while others continue
        with self._changing:
            self._kept[key] = found, pixels
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(each for _, each in self._kept.values()) > MAX_KEPT_PIXELS:
                self._kept.popitem(last=False)
        return found


@dataclass(frozen=True, kw_only=True)
class RulerReading:
    """The distance of two points.

    Attributes:
        pixels: The pixels whose depth was used, (x, y).
        points: Where they are: right, down and forward in the levelled frame, metres.
        length: Their distance with its error.
    """

    pixels: tuple[tuple[int, int], ...]
    points: tuple[tuple[float, float, float], ...]
    length: Measurement


def ruler(opened: OpenImage, ends: Sequence[tuple[float, float]]) -> RulerReading:
    """The distance in space of two pixels.

    Each depth can be off by the noise of one pixel and by what the sensor is off as a whole, and each end by half a pixel.

    Args:
        opened: The image.
        ends: Two pixels (x, y).

    Raises:
        InputError: If nothing can be measured, or nothing was measured there.
    """
    depth, camera = opened.depth, opened.scene.intrinsics
    if not opened.metric or depth is None or camera is None or len(ends) != 2:
        raise InputError("there is no depth in metres, or no camera, to measure with")
    pixels = [measured_near(depth, x, y) for x, y in ends]
    rays = np.array([_ray(camera, x, y) for x, y in pixels])
    along = np.array([float(depth[y, x]) for x, y in pixels])
    points = rays * along[:, None]
    length = float(np.linalg.norm(points[0] - points[1]))
    direction = (points[0] - points[1]) / length if length else np.array([0.0, 0.0, 1.0])
    noise = opened.measured(()).uncertainty.sensor.noise.share(along) * along
    errors = np.hypot(noise, OFFSET_FLOOR + OFFSET_SHARE * along) * (rays @ direction)
    slips = SLIP * along / camera.fx * np.linalg.norm(direction[:2])
    error = math.hypot(*errors, *slips)
    levelled = level(points, opened.scene.gravity)
    return RulerReading(
        pixels=tuple(pixels),
        points=tuple((float(x), float(y), float(z)) for x, y, z in levelled),
        length=Measurement(
            value=length, error=error, low=max(0.0, length - NORMAL * error), high=length + NORMAL * error
        ),
    )  # fmt: skip


def measured_near(depth: Float[np.ndarray, "h w"], x: float, y: float) -> tuple[int, int]:
    """The measured pixel that is nearest to a point.

    Raises:
        InputError: If none is near.
    """
    height, width = depth.shape
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"expected a point inside the image, which is {width} x {height} pixels")
    column, row, reach = int(x), int(y), max(2, math.ceil(NEAR * max(depth.shape)))
    top, left = max(0, row - reach), max(0, column - reach)
    rows, columns = np.nonzero(np.isfinite(depth[top : row + reach + 1, left : column + reach + 1]))
    if not len(rows):
        raise InputError(f"no depth was measured near the point {column},{row}")
    best = int(np.hypot(rows + top - row, columns + left - column).argmin())
    return int(columns[best]) + left, int(rows[best]) + top


def relations(measured: Measured, a: str, b: str) -> list[str]:
    """What one region certainly is to another: "to the left of", "taller than"."""
    found: list[str] = []
    for relation in RELATIONS[::2]:
        comparison = measured.uncertainty.compare(relation, a, b)
        if comparison.holds is not None and comparison.certain:
            surely: Relation = relation if comparison.holds else CONVERSE[relation]
            found.append(RELATION_PHRASES[surely][0])
    return found


def _ray(camera: Intrinsics, x: int, y: int) -> tuple[float, float, float]:
    return ((x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, 1.0)
