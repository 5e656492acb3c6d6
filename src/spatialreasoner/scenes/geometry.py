"""Points in space: lifting depth, levelling the camera, and clouds of regions with the quantities of SpatialRGPT-Bench.

One frame everywhere: the camera's, levelled where gravity is known: x right, y down, z forward, metres. SpatialRGPT's
pipeline (docs/papers.md 4.5) measures in +x left, +y up, +z forward; the two differ by two signs, which only `clock_direction`
and the relations in `measure` need to know.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from spatialreasoner.core.types import Intrinsics

if TYPE_CHECKING:
    from scipy.spatial import KDTree

MIN_POINTS = 16
"""Fewer measured points make no cloud."""

OVERHEAD = 30.0
"""A camera whose axis is closer to the vertical than this, degrees, looks from above or from below."""

LEAF = 32
"""Points of a leaf of a search tree: with SciPy's 10, trees of a few thousand points answer half as fast."""

NEIGHBOURS = 10
"""Points that count as near in the removal of outliers, and that make a point the core of a cluster."""

OUTLIERS = 1.2
"""Deviations above the mean distance to its neighbours at which a point is an outlier."""

REACH = 0.2
"""Points of a cluster are closer together than this, metres."""


MANY = 40
"""Of more separate parts than this it is faster to have scikit-learn find the clusters."""


def unproject(
    depth: Float[np.ndarray, "h w"], camera: Intrinsics, corner: tuple[int, int] = (0, 0)
) -> Float[np.ndarray, "h w 3"]:
    """Lift a depth map to one camera-space point per pixel.

    Pixel (u, v) is the centre of column u, row v. Depth is along the optical axis, not along the ray; a pixel without depth
    is NaN and gives a NaN point, so callers mask once, at the end. Pinhole model: Hartley & Zisserman, section 6.1.

    Args:
        depth: Metric depth, metres.
        camera: Focal lengths and principal point, pixels of the same image.
        corner: Column and row of the image at which `depth`, a part of it, begins.

    Returns:
        Points (x right, y down, z forward), metres.

    Raises:
        ValueError: If a focal length is not positive.
    """
    if not (camera.fx > 0 and camera.fy > 0):
        raise ValueError(f"focal lengths must be positive; got fx={camera.fx}, fy={camera.fy}")
    left, top = corner
    rows, columns = top + np.arange(depth.shape[0])[:, None], left + np.arange(depth.shape[1])
    return _points(depth, camera, rows, columns)


def lifted(
    depth: Float[np.ndarray, "h w"],
    camera: Intrinsics,
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " n"],
    corner: tuple[int, int] = (0, 0),
) -> Float[np.ndarray, "n 3"]:
    """`unproject` of some pixels alone: the points of all pixels of a large image take gigabytes.

    Args:
        depth: Metric depth, metres.
        camera: Its camera, whose focal lengths are positive.
        rows: Rows of the pixels in `depth`.
        columns: Their columns.
        corner: Column and row of the image at which `depth`, a part of it, begins.
    """
    left, top = corner
    return _points(depth[rows, columns], camera, top + rows, left + columns)


def _points(
    depth: Float[np.ndarray, "*pixels"], camera: Intrinsics, rows: Int[np.ndarray, ...], columns: Int[np.ndarray, ...]
) -> Float[np.ndarray, "*pixels 3"]:
    x = (columns - camera.cx) / camera.fx * depth
    y = (rows - camera.cy) / camera.fy * depth
    return np.stack([x, y, depth], axis=-1)


def levelling(gravity: tuple[float, float, float]) -> Float[np.ndarray, "3 3"]:
    """The rotation that takes camera points to the levelled frame: y along gravity, z the optical axis laid flat (yaw 0).

    Of a camera that looks down or up (`overhead`) the optical axis laid flat is short and turns with every tremor. There z is
    the image's up laid flat (looking down), or its down (looking up), which is where such a camera looks once it is raised.

    Args:
        gravity: Direction in which things fall, camera frame; any length but zero.

    Raises:
        ValueError: If gravity is zero or not finite.
    """
    down = _unit(gravity)
    ahead = np.array([0.0, -math.copysign(1.0, down[2]), 0.0]) if overhead(gravity) else np.array([0.0, 0.0, 1.0])
    forward = ahead - (ahead @ down) * down
    forward = forward / np.linalg.norm(forward)
    return np.stack([np.cross(down, forward), down, forward])


def overhead(gravity: tuple[float, float, float] | None) -> bool:
    """Whether the camera looks down (or up) within `OVERHEAD` degrees, so that it sees things from above, not from the side."""
    return gravity is not None and abs(float(_unit(gravity)[2])) > math.cos(math.radians(OVERHEAD))


def _unit(gravity: tuple[float, float, float]) -> Float[np.ndarray, " 3"]:
    down = np.asarray(gravity, dtype=float)
    length = np.linalg.norm(down)
    if not np.isfinite(length) or length == 0:
        raise ValueError(f"gravity must be a finite direction (x, y, z); got {gravity}")
    return down / length


def level(points: Float[np.ndarray, "n 3"], gravity: tuple[float, float, float] | None) -> Float[np.ndarray, "n 3"]:
    """Turn camera points into the levelled frame; without known gravity the camera is taken to be level."""
    return points if gravity is None else points @ levelling(gravity).T


def clean(
    points: Float[np.ndarray, "n 3"], *, outliers: float = OUTLIERS, reach: float = REACH
) -> Float[np.ndarray, "m 3"] | None:
    """What is left of a region's points without strays (docs/papers.md 4.5), or None if that is not an object.

    Statistical outlier removal, a voxel grid, then the largest DBSCAN cluster. The original's random jitter is left out, so
    the same points always give the same cloud; and so is its least volume, which no flat thing seen from the front has.

    Args:
        points: Measured points, metres; those that are not finite are left out.
        outliers: Deviations above the mean at which a point is an outlier.
        reach: Distance that holds a cluster together, metres.
    """
    from scipy.spatial import KDTree

    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < MIN_POINTS:
        return None
    distances, _ = KDTree(points, LEAF).query(points, k=min(NEIGHBOURS, len(points)), workers=1)
    return hang_together(points[are_inliers(distances.mean(axis=1), outliers)], reach)


def are_inliers(distances: Float[np.ndarray, " n"], deviations: float) -> Bool[np.ndarray, " n"]:
    """Which points are not strays: those not too many deviations farther from their neighbours than points are on average.

    As in Open3D, the point itself is among its neighbours and the deviation is that of a sample.
    """
    return distances < distances.mean() + deviations * distances.std(ddof=1) + 1e-12


def hang_together(points: Float[np.ndarray, "n 3"], reach: float) -> Float[np.ndarray, "m 3"] | None:
    """The last two steps of `clean`: a voxel grid and its largest cluster, or None if that is not an object."""
    points = _largest_cluster(_voxels(points), reach)
    return points if len(points) >= NEIGHBOURS and np.ptp(points, axis=0).max() > 0 else None


def _voxels(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "m 3"]:
    """The mean point of each occupied voxel of edge max(1 cm, scale / 40)."""
    edge = max(0.01, 3 * float(np.linalg.norm(points.std(axis=0))) / 40)
    cells = np.floor((points - (points.min(axis=0) - edge / 2)) / edge).astype(np.int64)
    spans = cells.max(axis=0) + 1
    keys = (cells[:, 0] * spans[1] + cells[:, 1]) * spans[2] + cells[:, 2]
    _, index, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(index, weights=points[:, axis]) for axis in range(3)], axis=1)
    return sums / counts[:, None]


def _largest_cluster(points: Float[np.ndarray, "n 3"], reach: float) -> Float[np.ndarray, "m 3"]:
    """The points of the largest DBSCAN cluster."""
    from scipy.spatial import KDTree

    if len(points) < NEIGHBOURS:
        return points[:0]
    if _are_together(points, reach):
        return points
    nearest: Any = KDTree(points, LEAF).query(points, k=NEIGHBOURS, workers=1)
    distances, near = nearest
    core = distances[:, -1] <= reach
    if not core.any():
        return points[:0]
    linked = core[:, None] & core[near] & (distances <= reach)
    return points[_cluster_members(points, core, linked, near, reach)]


def _are_together(points: Float[np.ndarray, "n 3"], reach: float) -> bool:
    """Whether all points are cores of one cluster for certain, as of most things: no neighbour needs to be looked for then.

    In cubes so small that all points of two which share a face reach each other, no point may have too few others in its cube
    and those beside it, and the cubes must hang together by their faces.
    """
    cells = np.floor((points - points.min(axis=0)) / (0.999 * reach / math.sqrt(6))).astype(np.int64) + 1
    spans = cells.max(axis=0) + 2
    steps = np.array([spans[1] * spans[2], spans[2], 1])
    keys, counts = np.unique(cells @ steps, return_counts=True)
    rows, beside = zip(*(_follows(keys, step) for step in steps), strict=True)
    one, other = np.concatenate([*rows, *beside]), np.concatenate([*beside, *rows])
    if (counts + np.bincount(one, counts[other], len(keys))).min() < NEIGHBOURS:
        return False
    reached = np.zeros(len(keys), dtype=bool)
    reached[0], num_reached = True, 0
    while num_reached < (num_reached := int(reached.sum())):
        reached[one[reached[other]]] = True
    return num_reached == len(keys)


def _follows(keys: Int[np.ndarray, " n"], step: int) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Which of the sorted keys have another one a step beyond them, and which that is."""
    place = np.minimum(np.searchsorted(keys, keys + step), len(keys) - 1)
    found = np.flatnonzero(keys[place] == keys + step)
    return found, place[found]


def _cluster_members(
    points: Float[np.ndarray, "n 3"],
    core: Bool[np.ndarray, " n"],
    linked: Bool[np.ndarray, "n k"],
    near: Int[np.ndarray, "n k"],
    reach: float,
) -> Bool[np.ndarray, " n"]:
    """The members of the largest DBSCAN cluster, found from links of nearest neighbours: much faster in dense clouds.

    Such links, and those in cells so small that all of their points reach each other, leave few parts, and parts within reach
    of each other are one cluster. A point at a cluster's rim belongs to the first cluster that reaches it, in the order of
    their first cores, as in scikit-learn.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    rows, columns = np.nonzero(linked)
    first, second = _same_cell(points, core, reach)
    ends = np.concatenate([rows, first]), np.concatenate([near[rows, columns], second])
    links = coo_matrix((np.ones(len(ends[0]), dtype=bool), ends), shape=(len(points),) * 2)
    parts = connected_components(links, directed=False)[1]
    names = np.unique(parts[core])
    if len(names) == 1 and core.all():
        return core
    if len(names) > MANY:
        from sklearn.cluster import DBSCAN

        found = DBSCAN(eps=reach, min_samples=NEIGHBOURS).fit(points).labels_
        return found == np.bincount(found[found >= 0]).argmax()
    tree, index = KDTree(points[core]), np.flatnonzero(core)
    own = np.searchsorted(names, parts[index])
    rest = np.flatnonzero(own != np.bincount(own).argmax())  # the largest part is reached from the others
    touched = _within(tree, points[index[rest]], reach)
    ends = np.repeat(own[rest], [len(found) for found in touched]), own[np.concatenate([np.zeros(0, int), *touched])]
    touching = coo_matrix((np.ones(len(ends[0]), dtype=bool), ends), shape=(len(names),) * 2)
    labels = np.full(len(points), -1)
    labels[core] = connected_components(touching, directed=False)[1][own]
    _, first = np.unique(labels[core], return_index=True)
    free = np.flatnonzero(~core)
    for point, found in zip(free, _within(tree, points[free], reach), strict=True):
        reached = np.unique(labels[index[found]])
        if len(reached):
            labels[point] = reached[first[reached].argmin()]
    sizes = np.bincount(labels[labels >= 0])
    return labels == max(range(len(sizes)), key=lambda name: (sizes[name], -first[name]))


def _within(tree: KDTree, points: Float[np.ndarray, "n 3"], reach: float) -> list[Int[np.ndarray, " m"]]:
    """What of a tree lies within reach of each point."""
    found: Any = tree.query_ball_point(points, reach, return_sorted=True) if len(points) else []
    return [np.asarray(each, dtype=int) for each in found]


def _same_cell(
    points: Float[np.ndarray, "n 3"], core: Bool[np.ndarray, " n"], reach: float
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Links of core points that follow each other in a cell whose diagonal is within reach."""
    index = np.flatnonzero(core)
    cells = np.floor((points[index] - points.min(axis=0)) / (0.999 * reach / math.sqrt(3))).astype(np.int64)
    spans = cells.max(axis=0) + 1
    keys = (cells[:, 0] * spans[1] + cells[:, 1]) * spans[2] + cells[:, 2]
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    return index[order[1:][same]], index[order[:-1][same]]


@dataclass(frozen=True, eq=False)
class Cloud:
    """The points of one region, and the quantities of SpatialRGPT-Bench (docs/papers.md 4.5).

    Attributes:
        points: [n, 3] in the levelled camera frame (x right, y down, z forward), metres.
    """

    points: Float[np.ndarray, "n 3"]

    @cached_property
    def centre(self) -> Float[np.ndarray, " 3"]:
        """Mean of the points, metres."""
        return self.points.mean(axis=0)

    @cached_property
    def low(self) -> Float[np.ndarray, " 3"]:
        """Lowest x (left), y (top) and z (nearest), metres."""
        return self.points.min(axis=0)

    @cached_property
    def high(self) -> Float[np.ndarray, " 3"]:
        """Highest x (right), y (bottom) and z (farthest), metres."""
        return self.points.max(axis=0)

    @property
    def extent(self) -> Float[np.ndarray, " 3"]:
        """Width, height and depth of the axis-aligned box, metres."""
        return self.high - self.low

    @property
    def volume(self) -> float:
        """Volume of the axis-aligned box, cubic metres."""
        return float(np.prod(self.extent))

    @cached_property
    def _tree(self) -> KDTree:
        from scipy.spatial import KDTree

        return KDTree(self.points, LEAF)

    def direct_distance(self, other: Cloud) -> float:
        """Symmetric mean Chamfer distance: the mean over both clouds' points of the distance to the other cloud, metres."""
        there, _ = other._tree.query(self.points, workers=1)
        back, _ = self._tree.query(other.points, workers=1)
        return float(np.concatenate([there, back]).mean())

    def horizontal_distance(self, other: Cloud) -> float:
        """Distance of the boxes' centres along x alone (depth is ignored), metres."""
        return abs(float(self._middle[0] - other._middle[0]))

    def vertical_distance(self, other: Cloud) -> float:
        """Distance of the boxes' centres along y alone, metres."""
        return abs(float(self._middle[1] - other._middle[1]))

    def bearing(self, other: Cloud) -> float:
        """Where `other` lies seen from here: degrees to the left of the camera's forward direction, 0 <= bearing < 360."""
        x, _, z = other.centre - self.centre
        return math.degrees(math.atan2(-x, z)) % 360.0

    def clock_direction(self, other: Cloud) -> int:
        """The hour, 1..12, at which `other` lies seen from here, with the camera's forward direction at 12.

        Hours are the half-open bins of the original: 12 - floor(bearing / 30), so that straight ahead up to 30 degrees left is
        12 and just right of ahead is 1.
        """
        return 12 - int(self.bearing(other) // 30) % 12  # a bearing just below 0 rounds up to 360

    @property
    def _middle(self) -> Float[np.ndarray, " 3"]:
        return (self.low + self.high) / 2
