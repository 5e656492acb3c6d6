"""Scenes of balls whose geometry is exact, written to disk as any scene is."""

from __future__ import annotations

import atexit
import io
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from spatialreasoner.core.types import DepthMap, Intrinsics, Region, Rle, Scene
from spatialreasoner.scenes.files import write_scenes
from spatialreasoner.scenes.masks import encode
from spatialreasoner.scenes.measure import Measured

CAMERA = Intrinsics(fx=300.0, fy=300.0, cx=159.5, cy=119.5)
SIZE = (240, 320)
UNITS_PER_METRE = 5000.0


@dataclass(frozen=True)
class Ball:
    """A ball: label, centre in the camera frame (x right, y down, z forward) and radius, metres; RGB colour."""

    label: str
    centre: tuple[float, float, float]
    radius: float
    colour: tuple[int, int, int] = (200, 40, 40)


THREE_BALLS = (
    Ball("red ball", (-0.6, 0.1, 2.0), 0.3),
    Ball("blue ball", (0.5, -0.2, 3.0), 0.5, (40, 60, 200)),
    Ball("green ball", (0.1, 0.4, 4.0), 0.2, (40, 180, 60)),
)


def ball_depth(ball: Ball) -> np.ndarray:
    """Depth of one ball by solving ray and sphere: [h, w], NaN beside it."""
    rows, columns = np.indices(SIZE)
    rays = np.stack([(columns - CAMERA.cx) / CAMERA.fx, (rows - CAMERA.cy) / CAMERA.fy, np.ones(SIZE)], axis=-1)
    centre = np.asarray(ball.centre)
    a, b, c = (rays**2).sum(-1), rays @ centre, centre @ centre - ball.radius**2
    discriminant = b**2 - a * c
    return np.where(discriminant > 0, (b - np.sqrt(np.maximum(discriminant, 0))) / a, np.nan)


@cache
def drawn(balls: tuple[Ball, ...]) -> tuple[bytes, bytes, tuple[Rle, ...]]:
    """What a camera sees of balls: the image and the depth as PNG, and the mask of each ball."""
    depths = np.stack([np.nan_to_num(ball_depth(ball), nan=np.inf) for ball in balls])
    nearest, depth = depths.argmin(axis=0), depths.min(axis=0)
    masks = [(nearest == index) & np.isfinite(depth) for index in range(len(balls))]
    image = np.full((*SIZE, 3), 220, dtype=np.uint8)
    for ball, mask in zip(balls, masks, strict=True):
        image[mask] = ball.colour
    units = np.where(np.isfinite(depth), np.round(np.nan_to_num(depth, posinf=0) * UNITS_PER_METRE), 0)
    return as_png(image), as_png(units.astype(np.uint16)), tuple(map(encode, masks))


def as_png(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def build_scene(folder: Path, balls: Sequence[Ball] = THREE_BALLS, *, name: str = "balls", **changes: object) -> Scene:
    """Write a scenes folder with one scene of balls; returns the scene with resolved paths."""
    image, depth, masks = drawn(tuple(balls))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_bytes(image)
    (folder / f"{name}-depth.png").write_bytes(depth)
    regions = tuple(
        Region(id=f"region{number}", label=ball.label, mask=mask)
        for number, (ball, mask) in enumerate(zip(balls, masks, strict=True), start=1)
    )
    fields = {
        "id": name,
        "image": f"{name}.png",
        "regions": regions,
        "intrinsics": CAMERA,
        "depth": DepthMap(path=f"{name}-depth.png", units_per_metre=UNITS_PER_METRE),
        **changes,
    }
    write_scenes(folder, [Scene(**fields)])  # type: ignore[arg-type]
    depth_map = DepthMap(path=str(folder / f"{name}-depth.png"), units_per_metre=UNITS_PER_METRE)
    return Scene(**{**fields, "image": str(folder / f"{name}.png"), "depth": changes.get("depth", depth_map)})  # type: ignore[arg-type]


@cache
def measured_balls(*balls: Ball) -> Measured:
    """The scene that `build_scene` writes, measured: that takes a second, so tests that change nothing share it."""
    folder = Path(tempfile.mkdtemp(prefix="balls-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Measured(build_scene(folder, balls or THREE_BALLS))
