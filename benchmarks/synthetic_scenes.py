"""How many procedural scenes per second, and how far that is from what ray casting and file writing alone would take.

    python benchmarks/synthetic_scenes.py [--count 1000] [--size 128] [--workers 2]
    python benchmarks/synthetic_scenes.py --against REF [--count 200] [--size 128] [--workers 1] [--rounds 5]

The limit is the time that Embree takes for the same rays on a built scene, plus the encoding of the same PNGs and masks: no
maker of scenes that casts all these rays and writes these files can be faster, but one that leaves out rays which can meet
nothing.

With `--against` this build and that of the commit REF write the same rooms in turn, each in a process of its own, which has
made a few before; one worker writes in that process itself, more are started again every round. Prints milliseconds of
processor time and of wall time per room, the best of the rounds, and their ratios, and compares all files byte by byte, but
`config.json`, which holds the version and the commit. Exits with 1 where the ratio of processor times is below 2.5, or a file
differs.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from PIL import Image

from earlier import SOURCE, check_out, conversing
from spatialreasoner.scenes import masks
from spatialreasoner.scenes.synthetic import SyntheticConfig, make_scene, render_world, sample, write_synthetic

TARGET = 2.5
"""How many times as fast as the commit that is compared with."""


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


RUNNER = """
import os, sys, time
from pathlib import Path
try:
    from spatialreasoner.scenes import synthetic
    make = synthetic.write_synthetic
except ModuleNotFoundError:  # of an earlier layout
    from spatialreasoner.scene import synthetic
    make = synthetic.write_scenes

def busy():
    times = os.times()  # of this process, to a hundredth of a second only
    return time.process_time() + times.children_user + times.children_system

if __name__ == "__main__":
    folder, count, size, workers = Path(sys.argv[1]), *map(int, sys.argv[2:])
    for index in range(20):
        synthetic.make_scene(1, index)
    for line in sys.stdin:
        config = synthetic.SyntheticConfig(count=count, seed=int(line), width=size, height=size)
        before, begin = busy(), time.perf_counter()
        make(config, folder / line.strip(), workers=workers)
        print(busy() - before, time.perf_counter() - begin, flush=True)
"""


@contextmanager
def build_of(source: Path, folder: Path, settings: list[str]) -> Generator[Callable[[int], tuple[float, float]]]:
    """A build that writes rooms of one seed after the other, and tells the processor and the wall time of each."""
    runner = folder / "runner.py"
    runner.write_text(RUNNER, encoding="utf-8")
    with conversing(source, runner, folder, *settings) as tell:

        def write(seed: int) -> tuple[float, float]:
            busy, wall = next(tell(seed)).split()
            return float(busy), float(wall)

        yield write


def different(new: Path, old: Path) -> list[str]:
    """Names of files that one folder lacks, or that differ, but those that hold the version."""
    names = {str(each.relative_to(folder)) for folder in (new, old) for each in folder.rglob("*") if each.is_file()}
    named = [name for name in sorted(names) if Path(name).name != "config.json"]
    both = ((name, new / name, old / name) for name in named)
    return [name for name, a, b in both if not (a.exists() and b.exists() and a.read_bytes() == b.read_bytes())]


def compare_builds(given: argparse.Namespace) -> int:
    """Print what a room takes in this build and in that of a commit; 1 where a target is missed."""
    with tempfile.TemporaryDirectory() as name:
        new, old = (Path(name) / part for part in ("new", "old"))
        new.mkdir()
        old.mkdir()
        earlier = check_out(given.against, Path(name) / "earlier")
        settings = [str(given.count), str(given.size), str(given.workers)]
        with ExitStack() as stack:
            makers = [stack.enter_context(build_of(*each, settings)) for each in ((SOURCE, new), (earlier, old))]
            rounds = [[maker(seed) for maker in makers] for seed in range(given.rounds)]
        files = sum(each.is_file() for each in new.rglob("*"))
        wrong = [f"{seed}/{each}" for seed in range(given.rounds) for each in different(new / str(seed), old / str(seed))]
    print(f"{given.rounds} times {given.count} rooms of {given.size} x {given.size} pixels, {given.workers} workers, in turn")
    ratios: list[float] = []
    for kind, what in enumerate(("processor", "wall")):
        now, before = (1e3 * min(each[build][kind] for each in rounds) / given.count for build in (0, 1))
        ratios.append(before / now)
        print(f"{what} time: {before:.2f} ms per room by {given.against}, {now:.2f} ms now; ratio {before / now:.2f}")
    print(f"{len(wrong)} of {files} files differ {wrong[:3] or ''}")
    return int(ratios[0] < TARGET or bool(wrong))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="of either build with --against; the fastest counts")
    parser.add_argument("--against", metavar="REF", help="a commit whose build writes the same rooms")
    options = parser.parse_args()
    if options.against:
        sys.exit(compare_builds(options))
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
    print(f"Embree's rays alone:         {1 / rays:7.1f} scenes/s per process ({2 * options.size**2 / rays / 1e6:.1f} M/s)")
    print(f"PNG and masks alone:         {1 / encoding:7.1f} scenes/s per process ({size / 1e3:.1f} kB per scene)")
    print(f"limit, {options.workers} processes:        {1 / limit:7.1f} scenes/s; written / limit = {limit / written:.2f}")
    print(f"target 100 scenes/s: {1 / written / 100:.2f} of it")


if __name__ == "__main__":
    main()
