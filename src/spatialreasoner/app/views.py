"""What is known of an image's depth, to look at: depth in colours, and the regions as solid surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from scipy.ndimage import distance_transform_edt

from spatialreasoner.app.images import SPARSE
from spatialreasoner.core.types import Intrinsics, Region
from spatialreasoner.scenes.geometry import level, lifted
from spatialreasoner.scenes.marks import MARK_COLOURS
from spatialreasoner.scenes.masks import decode

if TYPE_CHECKING:
    import trimesh

MAX_SURFACE_SIDE = 240
"""Samples along the longer side of the image, for the surfaces: more would make a browser wait."""

MAX_STEP = 0.06
"""Neighbours whose depth differs by more than this share of it belong to different surfaces."""


def depth_image(depth: Float[np.ndarray, "h w"]) -> Image.Image:
    """Depth in colours, near bright and far dark; unmeasured pixels are grey."""
    from matplotlib import colormaps

    known = np.isfinite(depth)
    low, high = np.quantile(depth[known], [0.02, 0.98]) if known.any() else (0.0, 1.0)
    share = np.clip((np.where(known, depth, low) - low) / max(float(high - low), 1e-9), 0, 1)
    colours: np.ndarray = np.asarray(colormaps["magma"](1 - share))[..., :3] * 255
    return Image.fromarray(np.where(known[..., None], colours, 128).astype(np.uint8))


def surfaces(
    image: UInt8[np.ndarray, "h w 3"],
    depth: Float[np.ndarray, "h w"],
    camera: Intrinsics,
    regions: Sequence[Region],
    gravity: tuple[float, float, float] | None = None,
) -> bytes:
    """The scene in three dimensions as a GLB: what the camera sees, each region tinted in the colour of its number.

    The frame is glTF's: x right, y up, z towards the viewer, metres.
    """
    import trimesh

    stride = max(1, -(-max(depth.shape) // MAX_SURFACE_SIDE))
    rows, columns = np.mgrid[0 : depth.shape[0] : stride, 0 : depth.shape[1] : stride].reshape(2, -1)
    points = level(lifted(depth, camera, rows, columns), gravity) * [1, -1, -1]
    colours = image[::stride, ::stride].reshape(-1, 3).astype(float)
    own = np.full(len(points), -1)
    for index, region in enumerate(regions):
        own[decode(region.mask)[rows, columns]] = index
    faces = _faces(depth[::stride, ::stride])
    scene = trimesh.Scene()
    for index in range(-1, len(regions)):
        part = faces[(own[faces] == index).all(axis=1)] if index >= 0 else faces[(own[faces] == -1).any(axis=1)]
        if len(part):
            name = "surroundings" if index < 0 else f"region {index + 1}"
            scene.add_geometry(_mesh(points, _tinted(colours, index), part), geom_name=name, node_name=name)
    glb: Any = scene.export(file_type="glb")
    return glb


def _tinted(colours: Float[np.ndarray, "n 3"], index: int) -> Float[np.ndarray, "n 3"]:
    return colours if index < 0 else 0.45 * colours + 0.55 * np.asarray(MARK_COLOURS[index % len(MARK_COLOURS)])


def _faces(depth: Float[np.ndarray, "h w"]) -> Int[np.ndarray, "n 3"]:
    """Two triangles for each four neighbours that belong to one surface, facing the camera."""
    index = np.arange(depth.size).reshape(depth.shape)
    corners = [index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]]
    deep = np.stack([depth.reshape(-1)[corner] for corner in corners])
    nearest, farthest = deep.min(axis=0), deep.max(axis=0)
    whole: Bool[np.ndarray, "h w"] = np.isfinite(deep).all(axis=0) & (farthest - nearest <= MAX_STEP * nearest)
    a, b, c, d = (corner[whole] for corner in corners)
    return np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])


def _mesh(
    points: Float[np.ndarray, "n 3"], colours: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "m 3"]
) -> trimesh.Trimesh:
    import trimesh

    used, renumbered = np.unique(faces, return_inverse=True)
    shades = np.clip(colours[used], 0, 255).astype(np.uint8)
    return trimesh.Trimesh(points[used], renumbered.reshape(-1, 3), vertex_colors=shades, process=False)


def depth_png_shown(depth: Float[np.ndarray, "h w"]) -> tuple[bytes, float, float]:
    """Depth in colours as a PNG, and the depths that are brightest and darkest; single points of a lidar are made larger."""
    known = np.isfinite(depth)
    if known.any() and known.mean() < SPARSE:
        found: Any = distance_transform_edt(~known, return_indices=True)
        away, (rows, columns) = found
        depth = np.where(away <= max(1.5, max(depth.shape) / 400), depth[rows, columns], np.nan)
    low, high = np.nanquantile(depth, [0.02, 0.98]) if known.any() else (0.0, 0.0)
    file = BytesIO()
    depth_image(depth).save(file, "PNG", compress_level=1)
    return file.getvalue(), float(low), float(high)


def thinned_depth(depth: Float[np.ndarray, "h w"], side: int) -> Float[np.ndarray, "h2 w2"]:
    """Depth thinned to at most `side` pixels: the nearest of each block, so that no point of a lidar is lost."""
    step = -(-max(depth.shape) // side)
    if step == 1 or np.isfinite(depth).mean() >= SPARSE:
        return depth[::step, ::step]
    height, width = (-(-size // step) * step for size in depth.shape)
    padded = np.full((height, width), np.inf, dtype=np.float32)
    padded[: depth.shape[0], : depth.shape[1]] = np.where(np.isfinite(depth), depth, np.inf)
    nearest = padded.reshape(height // step, step, width // step, step).min(axis=(1, 3))
    return np.where(np.isfinite(nearest), nearest, np.nan)
