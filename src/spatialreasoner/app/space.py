"""The open image in three dimensions, for `assets/space.js`: points, the regions' boxes, axes and gravity."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from spatialreasoner.app.measuring import OpenImage
from spatialreasoner.core.types import Region
from spatialreasoner.scenes.geometry import level, lifted
from spatialreasoner.scenes.masks import decode

MAX_SPACE_POINTS = 60_000
"""More points would make a browser wait."""


def space(opened: OpenImage, regions: Sequence[Region]) -> bytes:
    """The points of an image with depth, for the browser.

    A 4-byte number N (little-endian), N bytes of JSON, blanks up to a multiple of 4, then for all points in turn:
    float32 x, y, z (right, down, forward in the levelled frame, metres), uint16 column and row, and 4 bytes red, green, blue
    and the number of the region (0 for none).

    Args:
        opened: The image; it must have depth in metres and a camera.
        regions: The regions, whose boxes are those of their cleaned clouds.
    """
    depth = opened.depth
    assert depth is not None
    rows, columns, step = _chosen_pixels(depth)
    camera = opened.scene.intrinsics
    assert camera is not None
    points = level(lifted(depth, camera, rows, columns), opened.scene.gravity)
    owner = np.zeros(depth.shape, dtype=np.uint8)
    for number, region in enumerate(regions, start=1):
        owner[decode(region.mask)] = number
    colours = np.column_stack([opened.image[rows, columns], owner[rows, columns]]).astype(np.uint8)
    about = json.dumps({"count": len(rows), **_about(opened, regions, step)}).encode()
    about += b" " * (-len(about) % 4)
    return b"".join(
        [
            struct.pack("<I", len(about)), about, points.astype("<f4").tobytes(),
            np.column_stack([columns, rows]).astype("<u2").tobytes(), colours.tobytes(),
        ]
    )  # fmt: skip


def _chosen_pixels(depth: Float[np.ndarray, "h w"]) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], int]:
    """Measured pixels, at most `MAX_SPACE_POINTS`, and how far apart they are: 0 if they are single points anyway."""
    known = np.isfinite(depth)
    count = int(known.sum())
    step = max(1, math.ceil(math.sqrt(count / MAX_SPACE_POINTS)))
    rows, columns = np.nonzero(known[::step, ::step])
    sparse = count < 0.2 * depth.size
    return rows * step, columns * step, 0 if sparse else step


def _about(opened: OpenImage, regions: Sequence[Region], step: int) -> Mapping[str, Any]:
    """Spacing, boxes, and which way is down."""
    camera = opened.scene.intrinsics
    assert camera is not None
    measured = opened.measured(regions)
    clouds = [(number, measured.cloud(region.id)) for number, region in enumerate(regions, start=1)]
    return {
        "spacing": step / camera.fx,
        "gravity": opened.scene.gravity is not None,
        "boxes": [
            {"number": number, "low": cloud.low.tolist(), "high": cloud.high.tolist()}
            for number, cloud in clouds
            if cloud is not None
        ],
    }
