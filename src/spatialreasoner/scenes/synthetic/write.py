"""Procedural scenes as records and files: one in memory, or a folder of them made by several processes.

A scene depends on the seed, its number and the image's size alone, so it is the same whichever process makes it, and when.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, UInt8

from spatialreasoner.core.errors import ConfigError, WorkError
from spatialreasoner.core.garbage import no_collection
from spatialreasoner.core.types import DepthMap, Region, Scene, SceneObject
from spatialreasoner.core.workers import end_with_parent
from spatialreasoner.scenes import masks
from spatialreasoner.scenes.files import UNITS_PER_METRE, depth_png, png
from spatialreasoner.scenes.folder import ScenesFolder, claim_folder
from spatialreasoner.scenes.synthetic.casting import caster_of
from spatialreasoner.scenes.synthetic.layout import sample
from spatialreasoner.scenes.synthetic.render import Rendering
from spatialreasoner.scenes.synthetic.world import World

MIN_PIXELS = 25
"""A thing with fewer visible pixels is not a region."""

MIN_REGIONS = 3
"""A room that shows fewer regions is drawn again."""


_ATTEMPTS = 50
_CHUNK = 8
"""Scenes that a worker makes before it reports."""


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Settings of a folder of procedural scenes.

    Attributes:
        count: Number of scenes.
        seed: Seed; scene i depends only on it, on i and on the image size.
        width: Image width in pixels.
        height: Image height in pixels.

    Raises:
        ConfigError: If a number is out of its range.
    """

    count: int
    seed: int = 0
    width: int = 128
    height: int = 128

    def __post_init__(self) -> None:
        limits = {"count": (1, 1_000_000), "seed": (0, 2**63 - 1), "width": (64, 4096), "height": (64, 4096)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} must be a whole number from {low} to {high}; got {value}")
        if max(self.width, self.height) > 4 * min(self.width, self.height):
            raise ConfigError(f"an image is at most 4 times as long as wide; got {self.width} x {self.height}")


class Made(NamedTuple):
    """A scene in memory. The record's paths are where `write_synthetic` puts the files.

    Attributes:
        scene: The record.
        image: The image, sRGB.
        depth: Exact depth along the optical axis, metres.
    """

    scene: Scene
    image: UInt8[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]


def make_scene(seed: int, index: int, *, width: int = 128, height: int = 128) -> Made:
    """Make scene `index` of the set `seed`.

    Args:
        seed: The set's seed.
        index: The scene's number in the set.
        width: Width of the image, pixels.
        height: Height of the image, pixels.

    Raises:
        WorkError: If no room shows enough regions, because the image is too small.
    """
    for attempt in range(_ATTEMPTS):
        world = sample(seed, index, attempt=attempt, width=width, height=height)
        if len(world.things) < MIN_REGIONS:
            continue
        caster = caster_of(world)
        rendering = caster.render()
        visible = np.bincount(rendering.owner[rendering.owner >= 0], minlength=len(world.things))
        if (visible >= MIN_PIXELS).sum() >= MIN_REGIONS:
            scene = _scene(synthetic_scene_id(seed, index), world, rendering, visible, caster.whole_areas())
            return Made(scene, rendering.image, rendering.depth)
    raise WorkError(f"scene {index} of seed {seed} shows nothing at {width} x {height} pixels; make larger images")


def synthetic_scene_id(seed: int, index: int) -> str:
    """The name of scene `index` of the set `seed`."""
    return f"synthetic-{seed}-{index:06d}"


def _scene(
    name: str,
    world: World,
    rendering: Rendering,
    visible: Int[np.ndarray, " things"],
    whole: Int[np.ndarray, " things"],
) -> Scene:
    shown = [i for i, pixels in enumerate(visible) if pixels >= MIN_PIXELS]
    ids = {thing: f"region{number}" for number, thing in enumerate(shown, start=1)}
    return Scene(
        id=name,
        image=f"images/{name}.png",
        regions=tuple(
            Region(id=ids[i], label=world.things[i].label, mask=mask)
            for i, mask in zip(shown, masks.encode_owned(rendering.owner, shown), strict=True)
        ),
        intrinsics=world.camera.intrinsics,
        depth=DepthMap(path=f"depth/{name}.png", units_per_metre=UNITS_PER_METRE),
        gravity=world.camera.gravity,
        objects=tuple(_object(world, i, ids.get(i), float(visible[i] / max(whole[i], 1))) for i in range(len(world.things))),
        source="synthetic",
    )


def _object(world: World, index: int, region_id: str | None, visible: float) -> SceneObject:
    thing = world.things[index]
    low, high = thing.box()
    centre, size = np.round([(low + high) / 2, high - low], 6).tolist()
    return SceneObject(
        region_id=region_id,
        kind=thing.kind,
        colour=thing.colour,
        centre=(centre[0], centre[1], centre[2]),
        size=(size[0], size[1], size[2]),
        yaw=round(thing.yaw, 6),
        visible=round(visible, 4),
        supported_by=thing.supported_by,
    )


def write_synthetic(
    config: SyntheticConfig,
    out: str | Path,
    progress: Callable[[int], None] = lambda done: None,
    *,
    workers: int = 2,
) -> int:
    """Make a folder of scenes: `scenes.jsonl`, `images/`, `depth/` (16-bit, millimetres) and `config.json`.

    The bytes do not depend on the number of workers, nor on whether the work was interrupted.

    Args:
        config: What to make.
        out: The folder: new, empty, or begun with the same settings.
        progress: Called with the number of scenes done so far.
        workers: Number of processes.

    Returns:
        The number of scenes in the folder.

    Raises:
        ConfigError: If the folder holds something else, or `workers` is not positive.
        WorkError: If a file cannot be written.
    """
    if workers < 1:
        raise ConfigError(f"the number of workers must be at least 1; got {workers}")
    ids = [synthetic_scene_id(config.seed, index) for index in range(config.count)]
    folder = claim_folder(Path(out), "scenes synthetic", asdict(config))
    with folder.working():
        missing = [] if folder.complete else [index for index, name in enumerate(ids) if not folder.has(name)]
        done = config.count - len(missing)
        for made in _spread(config, folder, missing, workers):
            done += made
            progress(done)
        folder.finish(ids)
    progress(config.count)
    return config.count


def _spread(config: SyntheticConfig, folder: ScenesFolder, indices: Sequence[int], workers: int) -> Iterator[int]:
    """Make scenes here or in worker processes; yields how many were made, as they are."""
    chunks = [indices[start : start + _CHUNK] for start in range(0, len(indices), _CHUNK)]
    if min(workers, len(chunks)) < 2:
        yield from (_make_chunk(config, folder, chunk) for chunk in chunks)
        return
    # Spawned, not forked: Embree's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(chunks)), mp_context=context, initializer=end_with_parent)
    try:
        # Ctrl-C reaches workers, too, which inherit what is blocked while they start: it is this process that answers it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        futures = [pool.submit(_make_chunk, config, folder, chunk) for chunk in chunks]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _make_chunk(config: SyntheticConfig, folder: ScenesFolder, indices: Sequence[int]) -> int:
    with no_collection():  # a scene leaves no cycles behind, and looking for them takes a twentieth of the time
        for index in indices:
            scene, image, depth = make_scene(config.seed, index, width=config.width, height=config.height)
            assert scene.depth is not None
            packed = depth_png(depth, units_per_metre=UNITS_PER_METRE)
            folder.add(scene, {scene.image: png(image), scene.depth.path: packed})
    return len(indices)
