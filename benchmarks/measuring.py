"""How long a user of the measuring tool waits.

    python benchmarks/measuring.py

Prints, each beside its limit: the time from the app's command to its first page, on a warm disk; opening a capture of 12
megapixels as the app does; and measuring ten regions with error bars, all of their sizes, distances and relations, on an image
of 640 x 480 and on one of 12 megapixels. Ends with 1 if a limit is passed. The depth is a wavy wall with ten tilted ellipses
before it and the noise of a sensor.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from intervals import PAIRS, SIZES
from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.opening import CaptureOpener, Wanted
from spatialreasoner.core.types import DepthMap, Intrinsics, Region, Scene
from spatialreasoner.scenes.files import write_depth
from spatialreasoner.scenes.masks import encode
from spatialreasoner.scenes.measure import Measured

SMALL, LARGE = (640, 480), (4000, 3000)
RELATIONS = ("left", "above", "behind", "tall", "wide", "big")


def make_capture(size: tuple[int, int], folder: Path) -> Scene:
    """A folder with image.jpg, depth.png and scene.json, and the scene in it."""
    width, height = size
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    depth = 3 + 0.3 * np.sin(9 * u / width) + 0.4 * v / height
    regions: list[Region] = []
    for number in range(10):
        middle = width * (0.12 + 0.19 * (number % 5)), height * (0.3 + 0.4 * (number // 5))
        inside = np.hypot((u - middle[0]) / (0.09 * width), (v - middle[1]) / (0.12 * height)) < 1
        depth[inside] = 1.5 + 0.1 * number + (u[inside] - middle[0]) / width
        regions.append(Region(id=f"region{number + 1}", label="thing", mask=encode(inside)))
    depth *= 1 + 0.003 * np.random.default_rng(0).standard_normal(depth.shape, np.float32)
    write_depth(folder / "depth.png", depth)
    pixels = np.random.default_rng(1).integers(0, 255, (height // 10, width // 10, 3), np.uint8)
    Image.fromarray(pixels).resize(size).save(folder / "image.jpg", quality=90)
    camera = Intrinsics(fx=0.9 * width, fy=0.9 * width, cx=width / 2, cy=height / 2)
    given = {
        "image": "image.jpg", "depth": "depth.png", "depth_units_per_metre": 1000, "gravity": [0, 1, 0.1],
        "intrinsics": {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy},
        "regions": [{"label": each.label, "rle": {"size": each.mask.size, "counts": each.mask.counts}} for each in regions],
    }  # fmt: skip
    (folder / "scene.json").write_text(json.dumps(given), encoding="utf-8")
    return Scene(
        id="scene", image=str(folder / "image.jpg"), regions=tuple(regions), intrinsics=camera, gravity=(0.0, 1.0, 0.1),
        depth=DepthMap(path=str(folder / "depth.png"), units_per_metre=1000.0),
    )  # fmt: skip


def first_page() -> float:
    """Seconds from the command to the page."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    begun = time.perf_counter()
    command = [sys.executable, "-m", "spatialreasoner", "app", "--port", str(port)]
    app = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while app.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/").read()
                return time.perf_counter() - begun
            time.sleep(0.02)
    finally:
        app.terminate()
        app.wait()
    raise SystemExit("the app ended before it showed a page")


def opening(folder: Path, into: Path) -> float:
    """Seconds for a capture to be opened as the app opens it."""
    begun = time.perf_counter()
    opener = CaptureOpener(AppConfig(models=()))
    opener.roll(folder, into, Wanted()).open(0)
    return time.perf_counter() - begun


def error_bars(scene: Scene) -> float:
    """Seconds for all sizes, distances and relations of a scene's regions, with error bars."""
    begun = time.perf_counter()
    bars = Measured(scene).uncertainty
    bars.prepare()
    ids = [region.id for region in scene.regions]
    for one in ids:
        for name in SIZES:
            bars.quantity(name, one)
    for pair in combinations(ids, 2):
        for name in PAIRS:
            bars.quantity(name, *pair)
        for relation in RELATIONS:
            bars.compare(relation, *pair)
    return time.perf_counter() - begun


def told(what: str, seconds: float, limit: float | None) -> bool:
    """Print a time; whether it is within its limit."""
    beside = f" (limit: {limit:g})" if limit else ""
    print(f"{what}: {seconds:.2f} s{beside}", flush=True)
    return limit is None or seconds <= limit


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as made:
        small, large, into = (Path(made, name) for name in ("small", "large", "into"))
        for folder in (small, large, into):
            folder.mkdir()
        scenes = make_capture(SMALL, small), make_capture(LARGE, large)
        first_page()  # warms the disk
        within = [
            told("the app's first page", first_page(), 6.0),
            told("opening a capture of 12 megapixels", opening(large, into), 3.0),
            told("ten regions with error bars, 640 x 480", error_bars(scenes[0]), 2.0),
            told("ten regions with error bars, 4000 x 3000", error_bars(scenes[1]), None),
        ]
    raise SystemExit(not all(within))


if __name__ == "__main__":
    main()
