"""How far a measured value can be from the truth: everything is measured again under small changes that cannot be excluded.

A value is measured `REPEATS` times more. Each time the mask's rim moves by up to a pixel, every depth gets the noise of the
sensor once more, the whole region moves by what the sensor can be off as a whole, and the strays and clusters are told apart
a little more or less strictly. What these repeats do to a value is its standard error and its interval.

The noise of single pixels is found in the depth map itself: on a plane 1 / depth is linear along a row, so what its second
difference leaves is noise. What a sensor is off as a whole cannot be seen in one image and is taken to be 3 mm + 0.5 % of the
distance. A rendered scene (one that knows its objects) has exact masks and no such error; where its depth shows no noise
either, intervals have no width.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from spatialreasoner.core.types import CUT_OUT, Intrinsics, QuantityName, Relation
from spatialreasoner.scenes.files import bands_of
from spatialreasoner.scenes.geometry import (
    LEAF,
    MIN_POINTS,
    NEIGHBOURS,
    OUTLIERS,
    REACH,
    Cloud,
    are_inliers,
    hang_together,
    level,
)
from spatialreasoner.scenes.masks import box_of, decode, rim_layers
from spatialreasoner.scenes.native.nearest import nearest_distances, nearest_library, nearest_squares
from spatialreasoner.scenes.pixel_noise import NO_NOISE, Noise, pixel_noise, smoothed
from spatialreasoner.scenes.values import COMPARED, MEASURES, Comparison, Measurement

if TYPE_CHECKING:
    from spatialreasoner.scenes.measure import Measured

REPEATS = 20
"""How often a value is measured again."""

MAX_SAMPLED_PIXELS = 6000
"""Maximum number of a region's pixels that are measured again, and as many without a change to compare with."""

NEAREST = 24
"""Number of nearest pixels found once per pixel; the nearest of them that are left after a change are its neighbours."""

MAX_CHAMFER = 250
"""Points of a cloud that count for the direct distance when it is measured again."""

WIDE = 2.5
"""Standard errors to either side that make an interval of 95 %: by Student 2.14 for an error known from `REPEATS` values,
and values have longer tails than a normal distribution: `benchmarks/intervals.py` tells what intervals hold."""

UNSMOOTHED = 0.5
"""What smoothing leaves of the noise biases values further: so large a share of the bias that is found counts as its error."""

OFFSET_FLOOR = 0.003
"""What a sensor can be off as a whole, metres, close to the camera (standard error)."""

OFFSET_SHARE = 0.005
"""The same as a share of the distance."""

EXACT_NOISE = 1.0
"""A rendered depth map whose noise is at most this many units of its file is exact but for rounding."""

_Found = TypeVar("_Found")

_STRICTNESS = (1.1, OUTLIERS, OUTLIERS, 1.3)
_REACHES = (0.9 * REACH, REACH, REACH, 1.1 * REACH)


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """What is not known for certain of a scene's pixels.

    Attributes:
        noise: The noise of single pixels.
        rim: Pixels by which the rim of a mask can be off.
        offset: Whether a region's depth can be off as a whole.
    """

    noise: Noise
    rim: int
    offset: bool

    @property
    def exact(self) -> bool:
        """Whether nothing is uncertain."""
        return self.noise == NO_NOISE and self.rim == 0 and not self.offset


def sensor_of(measured: Measured) -> Sensor:
    """What is uncertain about a scene."""
    depth = measured.depth
    noise = pixel_noise(depth)
    if measured.scene.objects is None or measured.scene.depth is None:
        return Sensor(noise=noise, rim=1, offset=True)
    middle = np.nanmedian(depth)
    exact = float(noise.share(middle) * middle) * measured.scene.depth.units_per_metre <= EXACT_NOISE
    return Sensor(noise=NO_NOISE if exact else noise, rim=0, offset=False)


FEW = 2
"""A question is about at most this many regions; a caller that needs a third one will need all."""

_MAX_REMEMBERED = 4096
"""Intervals that are remembered: answers about a scene speak of few quantities, over and over."""


class Uncertainty:
    """The intervals of one scene; every region is measured again once, when it is first asked for.

    Args:
        measured: The scene.
        sensor: What is uncertain; by default what the scene shows.
    """

    def __init__(self, measured: Measured, sensor: Sensor | None = None) -> None:
        self._measured = measured
        self._given = sensor
        self._clouds: dict[str, list[Cloud] | None] = {}
        self._measure = lru_cache(_MAX_REMEMBERED)(self._quantity)
        self._judge = lru_cache(_MAX_REMEMBERED)(self._compare)

    @cached_property
    def sensor(self) -> Sensor:
        """What is uncertain about the scene."""
        return self._given or sensor_of(self._measured)

    def quantity(self, name: QuantityName, *region_ids: str) -> Measurement:
        """A quantity with its standard error and interval; without a value where `Measured` has none, or nothing repeats it."""
        return self._measure(name, *region_ids)

    def _quantity(self, name: QuantityName, *region_ids: str) -> Measurement:
        found = self._measured.quantity(name, *region_ids)
        if found.value is None:
            return found
        if self._is_exact:
            return replace(found, error=0.0, low=found.value, high=found.value)
        repeats = [self.clouds(region_id) for region_id in region_ids]
        if any(clouds is None for clouds in repeats):
            return Measurement(reason=f"{region_ids[0]}: what is left of it hangs on a pixel at its rim")
        tuples = list(zip(*[clouds for clouds in repeats if clouds is not None], strict=True))
        if name == "direction":
            return self._direction(found, region_ids, tuples)
        measure = _thinned if name == "distance" else MEASURES[name]
        error, low, high = interval(found.value, [float(measure(*clouds)) for clouds in tuples])
        return replace(found, error=error, low=max(0.0, low), high=high)

    def compare(self, relation: Relation, a: str, b: str) -> Comparison:
        """A comparison with the standard error and interval of its difference."""
        return self._judge(relation, a, b)

    def _compare(self, relation: Relation, a: str, b: str) -> Comparison:
        found = self._measured.compare(relation, a, b)
        depth = self._measured.scene.depth
        if found.difference is None or depth is None or not depth.metric:
            return found
        if self._is_exact:
            return replace(found, error=0.0, low=found.difference, high=found.difference)
        first, second = self.clouds(a), self.clouds(b)
        if first is None or second is None:
            return Comparison(reason=f"{a if first is None else b}: what is left of it hangs on a pixel at its rim")
        value, sign = COMPARED[relation]
        repeats = [sign * (value(one) - value(other)) for one, other in zip(first, second, strict=True)]
        error, low, high = interval(found.difference, repeats)
        return replace(found, error=error, low=low, high=high)

    def prepare(self) -> None:
        """Measure all regions again now, on all cores: for those who are going to ask for every one."""
        depth = self._measured.scene.depth
        wanted = [region.id for region in self._measured.scene.regions if region.id not in self._clouds]
        if depth is not None and depth.metric and not self._is_exact:  # which reads the depth before the threads ask for it
            clouds = _on_all_cores(self._measured.cloud, wanted)
            self._repeat_all([region_id for region_id, cloud in zip(wanted, clouds, strict=True) if cloud is not None])

    def clouds(self, region_id: str) -> list[Cloud] | None:
        """The clouds of a region measured again: first without a change, then `REPEATS` times with.

        None if a change leaves nothing of it more often than now and then.
        """
        if region_id not in self._clouds and len(self._clouds) >= FEW:
            self.prepare()
        if region_id not in self._clouds:
            self._repeat_all([region_id])
        return self._clouds[region_id]

    def _repeat_all(self, region_ids: Sequence[str]) -> None:
        """Measure regions again, on as many cores as there are; each has random numbers of its own."""
        assert self.sensor  # found before the threads ask for it
        self._clouds |= dict(zip(region_ids, _on_all_cores(self._repeat, region_ids), strict=True))

    @property
    def _is_exact(self) -> bool:
        """Whether values are exact: nothing is uncertain, or they are those of true boxes, not of pixels."""
        return not self._measured.of_pixels or self.sensor.exact

    def _direction(self, found: Measurement, region_ids: tuple[str, ...], tuples: Sequence[tuple[Cloud, ...]]) -> Measurement:
        """An hour, and where on the dial the bearing's interval ends: an hour reaches half an hour to either side."""
        cloud, other = (self._measured.cloud(region_id) for region_id in region_ids)
        if cloud is None or other is None or found.value is None:
            return found
        bearing = cloud.bearing(other)
        turns = [(one.bearing(another) - bearing + 180) % 360 - 180 for one, another in tuples]
        error, low, high = interval(0.0, turns)
        early, late = (on_dial(bearing + turn) for turn in (high, low))
        return replace(found, error=error / 30, low=min(found.value, early), high=max(found.value, late))

    def _repeat(self, region_id: str) -> list[Cloud] | None:
        pixels = self._pixels(region_id)
        rng = np.random.default_rng([REPEATS, *region_id.encode()])
        first = pixels.cloud()
        if first is None:
            return None
        again = [pixels.changed(self.sensor, rng) for _ in range(REPEATS)]
        lost = sum(cloud is None for cloud in again)
        return None if lost > REPEATS / 2 else [first, *(cloud or first for cloud in again)]

    def _pixels(self, region_id: str) -> Pixels:
        scene = self._measured.scene
        assert scene.intrinsics is not None
        region = scene.region(region_id)
        mask, rim = decode(region.mask), self.sensor.rim
        if rim and region.region_source in CUT_OUT:
            from spatialreasoner.scenes.foreground import cut_slack

            rim = cut_slack(mask)
        return Pixels(mask, self._measured.depth, scene.intrinsics, scene.gravity, self.sensor.noise, rim)


class Pixels:
    """The pixels of a region and of the rim around it, some of them if they are many.

    Args:
        mask: The region.
        depth: The scene's depth, metres.
        camera: Its camera.
        gravity: Its gravity.
        noise: The noise of its depth, which is smoothed away before it is added again.
        rim: Pixels by which its rim can be off.
    """

    def __init__(
        self,
        mask: Bool[np.ndarray, "h w"],
        depth: Float[np.ndarray, "h w"],
        camera: Intrinsics,
        gravity: tuple[float, float, float] | None,
        noise: Noise,
        rim: int = 1,
    ) -> None:
        x0, y0, x1, y1 = box_of(mask)
        cell = max(1, rim // 2)  # a wide rim moves in coarse steps, which takes neither time nor memory
        steps = max(1, math.ceil(rim / cell))
        self._rim = steps if rim else 0
        rows, columns = slice(max(0, y0 - cell * steps), y1 + cell * steps), slice(max(0, x0 - cell * steps), x1 + cell * steps)
        part, near = mask[rows, columns], depth[rows, columns]
        layers = rim_layers(part[::cell, ::cell], steps)
        around = (layers <= steps).repeat(cell, axis=0).repeat(cell, axis=1)[: part.shape[0], : part.shape[1]]
        kept = (around | part) & np.isfinite(near)
        self._share = min(1.0, MAX_SAMPLED_PIXELS / max(1, int((kept & part).sum())))
        rng = np.random.default_rng(0)
        for band in bands_of(len(kept)):
            kept[band] &= rng.random(kept[band].shape) < self._share
        v, u = np.nonzero(kept)
        # The rim at which a pixel still belongs to the mask
        layer = layers[v // cell, u // cell]
        self._layer = np.where(part[v, u], np.minimum(layer, 0), np.clip(layer, 1, steps))
        self._depth = np.where(part[v, u], smoothed(near, part, noise, (v, u)), near[v, u].astype(np.float64))
        x, y = (u + columns.start - camera.cx) / camera.fx, (v + rows.start - camera.cy) / camera.fy
        self._rays = np.stack([x, y, np.ones_like(x)], axis=1)
        self._gravity = gravity

    def cloud(self) -> Cloud | None:
        """The cloud of the pixels as they are."""
        return self._clean(self._layer <= 0, self._depth)

    def changed(self, sensor: Sensor, rng: np.random.Generator) -> Cloud | None:
        """The cloud under changes that cannot be excluded, or None if they leave nothing."""
        noise = sensor.noise.share(self._depth) * math.sqrt(self._share) * rng.standard_normal(len(self._depth))
        depth = self._depth * (1 + noise)
        rim, step = rng.integers(-self._rim, self._rim + 1), rng.standard_normal()
        strictness, reach = rng.choice(_STRICTNESS), rng.choice(_REACHES)
        if not sensor.offset:
            return self._clean(self._layer <= rim, depth, strictness, reach)
        middle = float(np.median(self._depth))
        depth = depth * (1 + step * (OFFSET_FLOOR / middle + OFFSET_SHARE))
        return self._clean(self._layer <= rim, depth, strictness, reach)

    @cached_property
    def _near(self) -> Int[np.ndarray, "n k"]:
        """The pixels that are nearest to each in space."""
        points = self._rays * self._depth[:, None]
        found: Any = KDTree(points, LEAF).query(points, k=min(NEAREST, len(points)), workers=1)
        return found[1]

    @cached_property
    def _buffers(self) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"], Bool[np.ndarray, "n k"]]:
        """Memory for `_lengths`, allocated once: allocating it for every change costs as much as what is computed in it."""
        shape = self._near.shape
        return np.empty(shape), np.empty(shape), np.empty(shape, bool)

    def _spread(self, points: Float[np.ndarray, "n 3"], kept: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
        """The mean distance of each kept point to its nearest neighbours, itself among them."""
        wanted, library = min(NEIGHBOURS, self._near.shape[1]), nearest_library()
        if library is None:
            lengths = self._lengths(points, kept, wanted)
        else:
            lengths = nearest_distances(library, points, self._near, kept, wanted)
        means = lengths.mean(axis=1)
        few = np.isnan(means)
        if few.any():
            means[few] = np.nanmean(lengths[few], axis=1)
        return means

    def _lengths(
        self, points: Float[np.ndarray, "n 3"], kept: Bool[np.ndarray, " n"], wanted: int
    ) -> Float[np.ndarray, "m wanted"]:
        """What `nearest_distances` finds, in any order."""
        near, (apart, off, left_out) = self._near, self._buffers
        apart[...] = 0
        for axis in np.ascontiguousarray(points.T):
            axis.take(near, out=off, mode="clip")
            off -= axis[:, None]
            off *= off
            apart += off
        np.take(~kept, near, out=left_out, mode="clip")
        np.putmask(apart, left_out, np.nan)  # sorted last
        apart.partition(wanted - 1, axis=1)
        return np.sqrt(apart[:, :wanted], out=off[:, :wanted])[kept]

    def _clean(
        self, kept: Bool[np.ndarray, " n"], depth: Float[np.ndarray, " n"], strictness: float = OUTLIERS, reach: float = REACH
    ) -> Cloud | None:
        if kept.sum() < MIN_POINTS:
            return None
        points = self._rays * depth[:, None]
        inliers = points[kept][are_inliers(self._spread(points, kept), strictness)]
        cleaned = hang_together(level(inliers, self._gravity), reach)
        return None if cleaned is None else Cloud(cleaned)


def _on_all_cores(work: Callable[[str], _Found], names: Sequence[str]) -> list[_Found]:
    with ThreadPoolExecutor(max(1, min(len(names), os.cpu_count() or 1))) as pool:
        return list(pool.map(work, names))


def on_dial(bearing: float) -> float:
    """A bearing as hours on a dial: at a whole number in the middle of the half-open bin of `Cloud.clock_direction`.

    >>> on_dial(15.0), on_dial(0.0), on_dial(315.0)
    (12.0, 12.5, 2.0)
    """
    return 12.5 - bearing / 30


def interval(value: float, repeats: Sequence[float]) -> tuple[float, float, float]:
    """Standard error, and the ends of the interval of 95 %, of a value.

    Noise does not only scatter a value: a box around noisy points is too large. The interval is therefore about the value less
    what noise adds on average.

    Args:
        value: The value.
        repeats: The value of smoothed pixels without a change, then with changes.
    """
    shifts = np.asarray(repeats[1:]) - repeats[0]
    bias, spread = float(shifts.mean()), float(shifts.std(ddof=1))
    half = WIDE * math.hypot(spread, UNSMOOTHED * bias)
    return math.hypot(spread, bias), min(value, value - bias - half), max(value, value - bias + half)


def _thinned(one: Cloud, other: Cloud) -> float:
    """The direct distance of at most `MAX_CHAMFER` points of each cloud."""
    few = [cloud.points[:: 1 + len(cloud.points) // MAX_CHAMFER] for cloud in (one, other)]
    library = nearest_library()
    if library is not None:
        return float(np.sqrt(nearest_squares(library, *few)).mean())
    squared: np.ndarray = cdist(few[0], few[1], "sqeuclidean")
    return float(np.sqrt(np.concatenate([squared.min(axis=0), squared.min(axis=1)])).mean())
