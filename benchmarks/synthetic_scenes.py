"""How many procedural scenes a second, and how far that is from what ray casting and file writing alone would take.

    python benchmarks/synthetic_scenes.py [--count 1000] [--size 128] [--workers 2]

The limit is the time that Embree takes for the same rays on a built scene, plus the encoding of the same PNGs and masks: no
maker of scenes that casts these rays and writes these files can be faster.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from PIL import Image

from spatialreasoner.scenes import masks
from spatialreasoner.scenes.synthetic import SyntheticConfig, make_scene, render_world, sample, write_synthetic


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def processor_seconds() -> float:
    """Processor time of this process and of its children that have ended; does not count other work on the machine."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def embree_seconds(index: int, size: int) -> float:
    """Time of one image's camera rays, and as many again towards the sun, on a scene that is built."""
    world = sample(0, index, width=size, height=size)
    starts = np.cumsum([0, *(len(thing.vertices) for thing in world.things)])
    vertices = np.concatenate([thing.vertices for thing in world.things]).astype(np.float32)
    faces = np.concatenate([t.shape.faces + s for t, s in zip(world.things, starts, strict=False)]).astype(np.int32)
    k = world.camera.intrinsics
    v, u = np.divmod(np.arange(size * size), size)
    rays = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(size * size)], axis=1) @ world.camera.to_level.T
    rays = np.ascontiguousarray(rays, dtype=np.float32)
    origins = np.zeros_like(rays)
    scene = EmbreeScene(robust=True)
    TriangleMesh(scene, vertices, faces)
    scene.run(origins[:1], rays[:1])  # Embree builds its tree on the first query
    points = rays * scene.run(origins, rays, query="DISTANCE").clip(max=9)[:, None]
    sun = np.ascontiguousarray(np.broadcast_to(np.float32(world.light.towards), rays.shape))
    return seconds(lambda: scene.run(origins, rays, output=1)) + seconds(lambda: scene.run(points, sun, query="OCCLUDED"))


def encoding_seconds(index: int, size: int) -> tuple[float, int]:
    """Time and bytes of encoding one scene's image, depth and masks."""
    image, depth, owner = render_world(sample(0, index, width=size, height=size))
    encoded, units = io.BytesIO(), io.BytesIO()

    def encode() -> None:
        Image.fromarray(image).save(encoded, "PNG", compress_level=1)
        Image.fromarray(np.rint(depth * 1000).astype(np.uint16)).save(units, "PNG", compress_level=1)
        for thing in range(owner.max() + 1):
            masks.encode(owner == thing)

    return seconds(encode), encoded.tell() + units.tell()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    few = min(options.count, 200)
    make_scene(0, 0)
    memory = seconds(lambda: [make_scene(0, i, width=options.size, height=options.size) for i in range(few)]) / few
    rays = sum(embree_seconds(i, options.size) for i in range(few)) / few
    encoded = [encoding_seconds(i, options.size) for i in range(few)]
    encoding, size = (sum(column) / few for column in zip(*encoded, strict=True))
    config = SyntheticConfig(count=options.count, seed=0, width=options.size, height=options.size)
    with tempfile.TemporaryDirectory() as folder:
        before = processor_seconds()
        written = seconds(lambda: write_synthetic(config, f"{folder}/out", workers=options.workers)) / options.count
        busy = (processor_seconds() - before) / options.count
    limit = (rays + encoding) / options.workers
    print(f"{options.size} x {options.size} pixels, {options.count} scenes, Python {sys.version.split()[0]}")
    print(f"made in memory, 1 process:   {1 / memory:7.1f} scenes/s ({1e3 * memory:.1f} ms each)")
    print(f"written, {options.workers} processes:      {1 / written:7.1f} scenes/s, their start included")
    print(f"  were the cores its own:    {options.workers / busy:7.1f} scenes/s ({1e3 * busy:.1f} ms of processor time each)")
    print(f"Embree's rays alone:         {1 / rays:7.1f} scenes/s a process ({2 * options.size**2 / rays / 1e6:.1f} M rays/s)")
    print(f"PNG and masks alone:         {1 / encoding:7.1f} scenes/s a process ({size / 1e3:.1f} kB a scene)")
    print(f"limit, {options.workers} processes:        {1 / limit:7.1f} scenes/s; written / limit = {limit / written:.2f}")
    print(f"target 100 scenes/s: {1 / written / 100:.2f} of it")


if __name__ == "__main__":
    main()
