"""Depth on the image's grid, and images upright: geometry that every importer shares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Shaped
from PIL import Image

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers.frames import Frame, Vector

_SIDEWAYS = 0.5
"""Gravity with a smaller part in the image's plane (60 degrees and more from level) makes no side of the image its bottom."""

_MAX_FOOTPRINT = 32
"""Maximum number of pixels of the image that one pixel of depth may cover in a direction."""


def scaled(camera: Intrinsics, old: tuple[int, int], new: tuple[int, int]) -> Intrinsics:
    """The same camera for an image resized from one (height, width) to another; pixel centres are whole numbers.

    >>> scaled(Intrinsics(fx=100, fy=100, cx=49.5, cy=49.5), (100, 100), (50, 50))
    Intrinsics(fx=50.0, fy=50.0, cx=24.5, cy=24.5)
    """
    down, across = new[0] / old[0], new[1] / old[1]
    return Intrinsics(
        fx=camera.fx * across, fy=camera.fy * down, cx=(camera.cx + 0.5) * across - 0.5, cy=(camera.cy + 0.5) * down - 0.5
    )


def planar(distance: Float[np.ndarray, "h w"], camera: Intrinsics) -> Float[np.ndarray, "h w"]:
    """Depth along the optical axis of distances along each pixel's ray.

    Args:
        distance: Metres from the centre of projection.
        camera: The camera, pixels of the same grid.
    """
    x = (np.arange(distance.shape[1]) - camera.cx) / camera.fx
    y = (np.arange(distance.shape[0])[:, None] - camera.cy) / camera.fy
    return (distance / np.sqrt(1 + x * x + y * y)).astype(np.float32)


def settle(frame: Frame) -> Frame:
    """The frame with its depth on the image's grid, and turned upright by quarter turns where gravity tells.

    Raises:
        SceneError: If the depth does not fall onto the image at all.
    """
    frame = upright(aligned(frame))
    if not np.isfinite(frame.depth).any():
        raise SceneError(f"frame {frame.name!r}: expected depth inside the image; no pixel of it has any")
    return frame


def aligned(frame: Frame) -> Frame:
    """The frame with one depth per pixel of the image.

    Where both cameras are at one place, every pixel takes the nearest pixel of depth on its ray: no two surfaces are mixed.
    Otherwise each pixel of depth is moved to where the image sees it, and the nearer one wins.
    """
    moved = frame.depth_pose is not None and not np.allclose(frame.depth_pose, np.eye(4), atol=1e-9)
    if moved:
        depth = _reprojected(frame)
    elif frame.depth_camera is None and frame.depth.shape == frame.size:
        return frame
    else:
        depth = _looked_up(frame)
    return replace(frame, depth=depth, depth_camera=None, depth_pose=None)


def _looked_up(frame: Frame) -> Float[np.ndarray, "h w"]:
    grid, image = frame.depth.shape, frame.intrinsics
    own = frame.depth_camera or scaled(image, frame.size, (grid[0], grid[1]))
    columns = (np.arange(frame.size[1]) - image.cx) / image.fx * own.fx + own.cx
    rows = (np.arange(frame.size[0]) - image.cy) / image.fy * own.fy + own.cy
    u, v = np.floor(columns + 0.5).astype(int), np.floor(rows + 0.5).astype(int)
    inside = ((v >= 0) & (v < grid[0]))[:, None] & ((u >= 0) & (u < grid[1]))
    found = frame.depth[np.clip(v, 0, grid[0] - 1)[:, None], np.clip(u, 0, grid[1] - 1)]
    return np.where(inside, found, np.float32(np.nan)).astype(np.float32)


def _reprojected(frame: Frame) -> Float[np.ndarray, "h w"]:
    """Every pixel of depth, by its corners, onto the image (as librealsense's `align` does); the nearer surface wins."""
    height, width = frame.size
    own = frame.depth_camera or scaled(frame.intrinsics, frame.size, (frame.depth.shape[0], frame.depth.shape[1]))
    v, u = np.nonzero(np.isfinite(frame.depth) & (frame.depth > 0))
    z = frame.depth[v, u].astype(float)
    first, new_z = _seen(frame, own, u - 0.5, v - 0.5, z)
    last, last_z = _seen(frame, own, u + 0.5, v + 0.5, z)
    x0, y0 = np.floor(first + 0.5).astype(np.int64).clip(-1, [[width], [height]])
    x1, y1 = np.floor(last + 0.5).astype(np.int64).clip(-1, [[width], [height]])
    nearest = np.full((height, width), np.inf)
    depth_seen = (new_z + last_z) / 2
    wide, tall = (int(min(_MAX_FOOTPRINT, max(0, (b - a).max(initial=0)) + 1)) for a, b in ((x0, x1), (y0, y1)))
    for down in range(tall):
        for across in range(wide):
            x, y = x0 + across, y0 + down
            kept = (x <= x1) & (y <= y1) & (x >= 0) & (y >= 0) & (x < width) & (y < height) & (depth_seen > 0)
            np.minimum.at(nearest, (y[kept], x[kept]), depth_seen[kept])
    return np.where(np.isfinite(nearest), nearest, np.nan).astype(np.float32)


def _seen(
    frame: Frame,
    own: Intrinsics,
    u: Float[np.ndarray, " n"],
    v: Float[np.ndarray, " n"],
    z: Float[np.ndarray, " n"],
) -> tuple[Float[np.ndarray, "2 n"], Float[np.ndarray, " n"]]:
    """Where the image's camera sees points of the depth camera: pixels (x, y), and depth there."""
    assert frame.depth_pose is not None
    points = np.stack([(u - own.cx) / own.fx * z, (v - own.cy) / own.fy * z, z])
    x, y, depth = frame.depth_pose[:3, :3] @ points + frame.depth_pose[:3, 3:]
    ahead = np.where(depth > 1e-6, depth, np.nan)
    camera = frame.intrinsics
    pixels = np.stack([x / ahead * camera.fx + camera.cx, y / ahead * camera.fy + camera.cy])
    return np.nan_to_num(pixels, nan=-1e6), np.nan_to_num(ahead, nan=-1.0)


def upright(frame: Frame) -> Frame:
    """The frame turned by quarter turns so that things fall towards the image's bottom, where gravity is known and in it."""
    if frame.gravity is None:
        return frame
    x, y = np.asarray(frame.gravity)[:2] / np.linalg.norm(frame.gravity)
    if np.hypot(x, y) < _SIDEWAYS or abs(abs(x) - abs(y)) < 0.1:  # looking up or down, or held at 45 degrees
        return frame
    sideways = abs(x) > abs(y)
    return turned(frame, (6 if x > 0 else 8) if sideways else (1 if y > 0 else 3))


def turned(frame: Frame, orientation: int) -> Frame:
    """A frame as an image viewer shows it that heeds an EXIF orientation tag: pixels, depth, regions and camera alike.

    Args:
        frame: A frame whose depth is on the image's grid, or covers its field of view.
        orientation: 1 as it is, 3 upside down, 6 turned a quarter clockwise, 8 anticlockwise; 2, 4, 5 and 7 mirrored.

    Raises:
        ValueError: If there is no such orientation.
    """
    if orientation == 1:
        return frame
    transposed, columns, rows = _moves(orientation)
    return replace(
        frame,
        image=Image.fromarray(np.ascontiguousarray(moved(np.asarray(frame.image), orientation))),
        depth=np.ascontiguousarray(moved(frame.depth, orientation)),
        regions=tuple((label, np.ascontiguousarray(moved(mask, orientation))) for label, mask in frame.regions),
        intrinsics=turned_camera(frame.intrinsics, frame.size, orientation),
        depth_camera=frame.depth_camera
        and turned_camera(frame.depth_camera, (frame.depth.shape[0], frame.depth.shape[1]), orientation),
        gravity=frame.gravity and _turned_vector(frame.gravity, transposed, columns, rows),
        encoded=None,
    )


def _moves(orientation: int) -> tuple[bool, bool, bool]:
    """Whether to swap rows with columns, then to reverse the columns, then the rows."""
    moves = {
        1: (False, False, False), 2: (False, True, False), 3: (False, True, True), 4: (False, False, True),
        5: (True, False, False), 6: (True, True, False), 7: (True, True, True), 8: (True, False, True),
    }  # fmt: skip
    if orientation not in moves:
        raise ValueError(f"an EXIF orientation is 1 to 8; got {orientation}")
    return moves[orientation]


def moved(pixels: Shaped[np.ndarray, "h w ..."], orientation: int) -> Shaped[np.ndarray, "new_h new_w ..."]:
    """Pixels as an EXIF orientation turns them."""
    transposed, columns, rows = _moves(orientation)
    pixels = np.swapaxes(pixels, 0, 1) if transposed else pixels
    return pixels[:: -1 if rows else 1, :: -1 if columns else 1]


def turned_camera(camera: Intrinsics, size: tuple[int, int], orientation: int) -> Intrinsics:
    """The camera of an image of this (height, width) once it is turned by an EXIF orientation."""
    transposed, columns, rows = _moves(orientation)
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    height, width = size
    if transposed:
        fx, fy, cx, cy, height, width = fy, fx, cy, cx, width, height
    return Intrinsics(fx=fx, fy=fy, cx=width - 1 - cx if columns else cx, cy=height - 1 - cy if rows else cy)


def _turned_vector(vector: Vector, transposed: bool, columns: bool, rows: bool) -> Vector:
    x, y, z = vector
    if transposed:
        x, y = y, x
    return (-x if columns else x, -y if rows else y, z)
