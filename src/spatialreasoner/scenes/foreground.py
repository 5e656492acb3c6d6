"""The thing in a box, or at a click, told apart from what else is there by depth and colour.

A box holds more than the thing: on twelve hand-drawn outlines of real photos three quarters of it on average. What surrounds
the box is taken as a sample of what is not the thing. Each pixel inside is pulled towards the thing or away from it by

- how far it is from the surroundings along the easiest path, where steps in depth and colour cost (geodesic distance);
- how unlike it is to the most similar surroundings nearby;
- how near its depth is to the depth that is common inside of the box and rare around it;

and a graph cut finds the smoothest mask that follows these (Boykov & Jolly 2001), cheapest where depth or colour steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, dijkstra, maximum_flow
from scipy.spatial import KDTree

from spatialreasoner.core.errors import SceneError
from spatialreasoner.scenes.files import pixels_of, read_image
from spatialreasoner.scenes.finding import Found
from spatialreasoner.scenes.masks import box_of, require_size

nd: Any = ndimage  # whose stubs know less than its functions take and give

MOST_LOOKED_AT = 8_000_000
"""Of a box with more pixels, its surroundings included, every second, third ... row and column is looked at."""

SIDE = 56
"""Pixels of the longer side at which the cut is made; a box is scaled down to it."""

AROUND = 0.15
"""How much of the box's width and height around it shows its surroundings."""

CLICK_SHARE = 0.35
"""Half the width of the window around a click, as a share of the image's shorter side."""

DEPTH_STEP, COLOUR_STEP, LENGTH = 10.0, 1 / 12, 0.04
"""What a path costs for each unit of log depth, of CIELAB colour, and for each pixel."""

DEPTH_UNIT, COLOUR_UNIT, PLACE_UNIT = 20.0, 0.05, 8.0
"""What makes two pixels unlike: log depth, CIELAB colour, and place as a share of the box."""

PATH_PULL, UNLIKE_PULL, MODE_PULL = 1.5, 3.0, 0.8
"""How strongly each of the three pulls."""

FREE_PATH, FREE_UNLIKE, FREE_MODE = 0.1, 0.4, 0.25
"""Where each pulls neither way: shares of what is largest in the box, and a difference of log depth."""

SMOOTHNESS, DEPTH_CUT, COLOUR_CUT = 4.0, 10.0, 0.05
"""What it costs to part two pixels that are alike, and how fast that falls with their differences."""

LEAST_STEP = 0.1
"""A step that costs less than this parts nothing: 1 % of the depth, or a just noticeable difference of colour."""

LEAST_PART = 0.25
"""Parts smaller than this share of the largest are dropped."""

_Grid = Float[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class _Patch:
    """A box and its surroundings, scaled down.

    Attributes:
        depth: [h, w], log metres, holes filled.
        colour: [h, w, 3], CIELAB.
        inside: [h, w], what lies in the box.
    """

    depth: _Grid
    colour: Float[np.ndarray, "h w 3"]
    inside: Bool[np.ndarray, "h w"]


def in_box(
    box: tuple[int, int, int, int], depth: Float[np.ndarray, "h w"], image: UInt8[np.ndarray, "h w 3"]
) -> Bool[np.ndarray, "h w"]:
    """The pixels of the thing in a box.

    Args:
        box: (x0, y0, x1, y1), pixels, end-exclusive.
        depth: Depth of the image, metres; NaN where it was not measured.
        image: The image, sRGB.

    Returns:
        A mask inside the box; all of the box where nothing stands out.

    Raises:
        SceneError: If the box holds no pixel of the image, or image and depth differ in size.
    """
    height, width = depth.shape
    x0, y0, x1, y1 = max(0, box[0]), max(0, box[1]), min(width, box[2]), min(height, box[3])
    require_size(depth.shape, image.shape[:2], what="depth of the image's size")
    if x0 >= x1 or y0 >= y1:
        raise SceneError(f"expected a box with pixels of an image of {width} x {height}; got {box}")
    margin_x, margin_y = max(3, int(AROUND * (x1 - x0))), max(3, int(AROUND * (y1 - y0)))
    rows = slice(max(0, y0 - margin_y), min(height, y1 + margin_y))
    columns = slice(max(0, x0 - margin_x), min(width, x1 + margin_x))
    tall, wide = rows.stop - rows.start, columns.stop - columns.start
    whole = np.zeros(depth.shape, dtype=bool)
    whole[y0:y1, x0:x1] = True
    every = math.ceil(math.sqrt(tall * wide / MOST_LOOKED_AT))
    seen = slice(rows.start, rows.stop, every), slice(columns.start, columns.stop, every)
    step = -(-max(depth[seen].shape) // SIDE)
    patch = _patch(depth[seen], image[seen], whole[seen], step)
    if patch.inside.all() or not patch.inside.any() or _is_even(patch):
        return whole  # a box as large as the image has no surroundings
    small = _largest_parts(_cut(patch, _pull(patch)))
    mask = np.zeros(depth.shape, dtype=bool)
    mask[rows, columns] = np.kron(small, np.ones((every * step, every * step), dtype=bool))[:tall, :wide]
    mask &= whole
    return mask if mask.any() else whole


def cut_slack(mask: Bool[np.ndarray, "h w"]) -> int:
    """Pixels by which the rim of a mask that was cut out can be off: a cell of the grid on which the cut is made."""
    x0, y0, x1, y1 = box_of(mask)
    return max(1, math.ceil((1 + 2 * AROUND) * max(x1 - x0, y1 - y0) / SIDE))


def cut_out(found: Found, depth: Float[np.ndarray, "h w"], image: str) -> Found:
    """A region that is a plain box, as the thing in it; any other as it is.

    Args:
        found: The region.
        depth: Depth of the image, metres.
        image: Path of the image.
    """
    if found.source != "box" or not found.mask.any():
        return found
    mask = in_box(box_of(found.mask), depth, pixels_of(read_image(image)))
    return found._replace(mask=mask, source="box, cut out by depth and colour")


def at_click(x: int, y: int, depth: Float[np.ndarray, "h w"], image: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """The pixels of the thing at a point of the image.

    A window around the point is a first box; what is found in it has the second.

    Args:
        x: Column of the point.
        y: Row of the point.
        depth: Depth of the image, metres.
        image: The image, sRGB.

    Raises:
        SceneError: If the point is not in the image.
    """
    height, width = depth.shape
    if not (0 <= x < width and 0 <= y < height):
        raise SceneError(f"expected a point in an image of {width} x {height} pixels; got ({x}, {y})")
    half = max(8, int(CLICK_SHARE * min(height, width)))
    box = (x - half, y - half, x + half + 1, y + half + 1)
    near = _near_depth(x, y, depth)
    first = _part_at(in_box(box, depth, image) & near, x, y)
    if not first.any():
        first = _part_at(near, x, y)
    if not first.any():
        raise SceneError(f"expected an object with measured depth at ({x}, {y}); nothing was measured there")
    second = _part_at(in_box(box_of(first), depth, image) & near, x, y)
    return second if second.any() else first


def _near_depth(x: int, y: int, depth: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """What lies within a quarter of the depth at a point."""
    around = depth[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
    measured = around[np.isfinite(around)]
    if not measured.size:
        return np.zeros(depth.shape, dtype=bool)
    return np.abs(np.log(np.where(np.isfinite(depth), depth, np.inf)) - np.log(np.median(measured))) < FREE_MODE


def _part_at(mask: Bool[np.ndarray, "h w"], x: int, y: int) -> Bool[np.ndarray, "h w"]:
    """The connected part of a mask that holds a point; nothing where the point is not in it."""
    labels, _ = nd.label(mask)
    return labels == labels[y, x] if labels[y, x] else np.zeros(mask.shape, dtype=bool)


def _patch(depth: _Grid, image: UInt8[np.ndarray, "h w 3"], inside: Bool[np.ndarray, "h w"], step: int) -> _Patch:
    measured = np.isfinite(depth) & (depth > 0)
    if measured.any():
        index = nd.distance_transform_edt(~measured, return_distances=False, return_indices=True)
        depth = depth[tuple(index)]
    else:
        depth = np.ones(depth.shape)
    depth, colour = _medians(depth, max(3, step), step), _colours(image, step)
    return _Patch(depth=np.log(np.maximum(depth, 1e-3)), colour=colour, inside=inside[::step, ::step])


def _medians(depth: _Grid, size: int, step: int) -> _Grid:
    """What `ndimage.median_filter` gives at each `step`-th pixel, found for these alone."""
    padded = np.pad(depth, (size // 2, size - 1 - size // 2), mode="symmetric")
    bands = np.lib.stride_tricks.sliding_window_view(padded, (size, size))[::step, ::step]
    middle = size * size // 2
    return np.stack([np.partition(band.reshape(len(band), -1), middle, axis=1)[:, middle] for band in bands])


def _colours(image: UInt8[np.ndarray, "h w 3"], step: int) -> Float[np.ndarray, "h w 3"]:
    """The mean CIELAB colour around each `step`-th pixel, of a band of rows at a time: all of a large image takes gigabytes."""
    rows = np.pad(np.arange(len(image)), (step // 2, step - 1 - step // 2), mode="symmetric")
    bands = (rows[top : top + step] for top in range(0, len(image), step))
    means = np.stack([_lab(image[band]).mean(axis=0) for band in bands])
    return nd.uniform_filter1d(means, step, axis=1)[:, ::step]


def _lab(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """SRGB as CIELAB (D65)."""
    rgb = image.astype(np.float64) / 255
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def _pull(patch: _Patch) -> _Grid:
    """How strongly each pixel is pulled to the thing (positive) or away from it."""
    path, unlike = _path(patch), _unlike(patch)
    by_path = PATH_PULL * np.log((path + 1e-3) / (FREE_PATH * np.quantile(path[patch.inside], 0.95)))
    by_unlike = UNLIKE_PULL * np.clip(np.log((unlike + 0.05) / (FREE_UNLIKE * np.quantile(unlike[patch.inside], 0.9))), -2, 2)
    off = np.abs(patch.depth - _common_depth(patch))
    pull = np.clip(by_path, -4, 4) + by_unlike + MODE_PULL * (1 - np.clip(off / FREE_MODE, 0, 3))
    return np.where(patch.inside, pull, -1e3)


def _pairs(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The indices of all pairs of neighbours, to the right and below."""
    index = np.arange(size[0] * size[1]).reshape(size)
    first = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    return first, np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])


def _steps(patch: _Patch) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The steps in log depth and in colour between all pairs of neighbours."""
    first, second = _pairs(patch.depth.shape)
    depth, colour = patch.depth.ravel(), patch.colour.reshape(-1, 3)
    return np.abs(depth[first] - depth[second]), np.linalg.norm(colour[first] - colour[second], axis=1)


def _is_even(patch: _Patch) -> bool:
    """Whether nothing in a patch stands out."""
    in_depth, in_colour = _steps(patch)
    return bool((DEPTH_STEP * in_depth + COLOUR_STEP * in_colour).max() < LEAST_STEP)


def _path(patch: _Patch) -> _Grid:
    """The cost of the cheapest path of every pixel to the surroundings."""
    in_depth, in_colour = _steps(patch)
    cost = LENGTH + DEPTH_STEP * in_depth + COLOUR_STEP * in_colour
    size = patch.depth.size
    graph = coo_matrix((cost, _pairs(patch.depth.shape)), shape=(size, size)).tocsr()
    outside = np.flatnonzero(~patch.inside.ravel())
    return dijkstra(graph, directed=False, indices=outside, min_only=True).reshape(patch.depth.shape)


def _unlike(patch: _Patch) -> _Grid:
    """How unlike every pixel is to the five surrounding pixels that are most like it."""
    height, width = patch.depth.shape
    rows, columns = np.mgrid[:height, :width]
    place = np.stack([columns / width, rows / height], axis=-1) * PLACE_UNIT
    features = np.concatenate([patch.depth[..., None] * DEPTH_UNIT, patch.colour * COLOUR_UNIT, place], axis=-1).reshape(-1, 6)
    surroundings = features[~patch.inside.ravel()]
    distances, _ = KDTree(surroundings).query(features, k=min(5, len(surroundings)))
    return distances.reshape(height * width, -1).mean(axis=1).reshape(height, width)


def _common_depth(patch: _Patch) -> float:
    """The log depth that is common in the box and rare around it."""
    low, high = float(patch.depth.min()), float(patch.depth.max())
    edges = np.linspace(low - 1e-6, high + 1e-6, min(400, max(8, int((high - low) / 0.01) + 1)) + 1)
    width = max(0.6, 0.03 / (edges[1] - edges[0]))
    shares = []
    for depths in (patch.depth[patch.inside], patch.depth[~patch.inside]):
        counts, _ = np.histogram(depths, edges)
        shares.append(nd.gaussian_filter1d(counts / max(1, counts.sum()), width, mode="constant"))
    score = shares[0] * np.clip(np.log((shares[0] + 0.002) / (shares[1] + 0.002)), 0, 3)
    best = int(score.argmax())
    return float((edges[best] + edges[best + 1]) / 2)


def _cut(patch: _Patch, pull: _Grid) -> Bool[np.ndarray, "h w"]:
    """The mask of the least cost: pulls that are not followed, and neighbours that are parted."""
    size = pull.size
    first, second = _pairs(pull.shape)
    in_depth, in_colour = _steps(patch)
    bond = SMOOTHNESS * np.exp(-DEPTH_CUT * in_depth - COLOUR_CUT * in_colour)
    flat, every = pull.ravel(), np.arange(size)
    source, sink = size, size + 1
    rows = np.concatenate([np.full(size, source), every, first, second])
    columns = np.concatenate([every, np.full(size, sink), second, first])
    capacities = np.concatenate([np.maximum(flat, 0), np.maximum(-flat, 0), bond, bond])
    graph = coo_matrix(((capacities * 100).astype(np.int32), (rows, columns)), shape=(size + 2, size + 2)).tocsr()
    left = graph - maximum_flow(graph, source, sink).flow
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    reached = np.zeros(size + 2, dtype=bool)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    return reached[:size].reshape(pull.shape)


def _largest_parts(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The large parts of a mask, their holes filled."""
    labels, count = nd.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    kept = [number for number, size in enumerate(sizes.tolist(), start=1) if size >= LEAST_PART * sizes.max()]
    return nd.binary_fill_holes(np.isin(labels, kept)) if count else mask
