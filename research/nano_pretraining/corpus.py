"""What the nano learns to see from: procedural rooms with all that the camera sees of their things.

A sample is an image with dense depth, and for each region its kind, its colour, the box and the mean of its visible points, and
how far it is from every other: the quantities that questions ask for, by the same measures. Texts come later, from what the
vision part itself believes (`beliefs`).
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int8, UInt8

from spatialreasoner.core import records
from spatialreasoner.core.progress import progress_bar
from spatialreasoner.scenes.geometry import Cloud
from spatialreasoner.scenes.masks import decode
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.synthetic import COLOURS, Made, make_scene
from spatialreasoner.scenes.synthetic.shapes import SHAPE_KINDS

SEED = 2**40
"""The set of rooms that pretraining sees; tests of the nano use another."""

_MAX_REGIONS = 9
GRID = 32
"""Cells of the dense depth target along a side."""


class Corpus(NamedTuple):
    """Rooms, or one room without the first axis.

    Attributes:
        image: Images, sRGB.
        depth: Mean logarithm of the depth in each cell of a grid, metres.
        owner: For each pixel 0, or 1 + the number of the region that it belongs to.
        words: Index of kind and colour of each region; -1 where there is none.
        seen: Of each region the lowest and the highest x, y, z and their means over its visible points, levelled camera frame
            (x right, y down, z forward), metres; NaN where there is none.
        apart: Distance between any two regions, as SpatialRGPT-Bench measures it, metres; NaN where there is none.
    """

    image: UInt8[np.ndarray, "*rooms h w 3"]
    depth: Float[np.ndarray, "*rooms grid grid"]
    owner: UInt8[np.ndarray, "*rooms h w"]
    words: Int8[np.ndarray, "*rooms regions 2"]
    seen: Float[np.ndarray, "*rooms regions 9"]
    apart: Float[np.ndarray, "*rooms regions regions"]


def make_room(index: int, *, seed: int = SEED) -> Corpus:
    """Room `index` of a set."""
    made = make_scene(seed, index)
    measured = Measured(made.scene, made.depth)
    clouds = [measured.cloud(region.id) for region in made.scene.regions[:_MAX_REGIONS]]
    owner, words = _named(made)
    return Corpus(made.image, _grid(np.log(made.depth)), owner, words, *_measured(clouds))


def _named(made: Made) -> tuple[np.ndarray, np.ndarray]:
    owner, words = np.zeros(made.depth.shape, np.uint8), np.full((_MAX_REGIONS, 2), -1, np.int8)
    known = {thing.region_id: thing for thing in made.scene.objects or ()}
    for number, region in enumerate(made.scene.regions[:_MAX_REGIONS]):
        owner[decode(region.mask)] = number + 1
        words[number] = SHAPE_KINDS.index(known[region.id].kind), list(COLOURS).index(known[region.id].colour)
    return owner, words


def _measured(clouds: list[Cloud | None]) -> tuple[np.ndarray, np.ndarray]:
    seen = np.full((_MAX_REGIONS, 9), np.nan, np.float32)
    apart = np.full((_MAX_REGIONS, _MAX_REGIONS), np.nan, np.float32)
    for number, cloud in enumerate(clouds):
        if cloud is None:
            continue
        seen[number] = (*cloud.low, *cloud.high, *cloud.centre)
        for other, before in enumerate(clouds[:number]):
            if before is not None:
                apart[number, other] = apart[other, number] = cloud.direct_distance(before)
    return seen, apart


def _grid(values: np.ndarray) -> np.ndarray:
    side = values.shape[0] // GRID
    return values.reshape(GRID, side, GRID, side).mean(axis=(1, 3)).astype(np.float16)


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """How much the nano is pretrained on.

    Attributes:
        rooms: How many rooms.
        seed: Of which set.
    """

    rooms: int = 20_000
    seed: int = SEED


_CHUNK = 250


def write_corpus(config: CorpusConfig, folder: Path, *, workers: int = 2) -> None:
    """Make the rooms in chunks, several processes at a time; chunks that are there already stay."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = [start for start in range(0, config.rooms, _CHUNK) if not _chunk(folder, start).is_file()]
    with progress_bar("render rooms to pretrain on", len(starts) * _CHUNK) as advance, ProcessPoolExecutor(workers) as pool:
        for done, future in enumerate(as_completed(pool.submit(_write_chunk, config, folder, start) for start in starts), 1):
            future.result()
            advance(done * _CHUNK)


def _chunk(folder: Path, start: int) -> Path:
    return folder / f"{start:06d}.npz"


def _write_chunk(config: CorpusConfig, folder: Path, start: int) -> None:
    rooms = [make_room(index, seed=config.seed) for index in range(start, min(start + _CHUNK, config.rooms))]
    arrays: dict[str, Any] = {name: np.stack([getattr(room, name) for room in rooms]) for name in Corpus._fields}
    with records.atomic_path(_chunk(folder, start)) as temporary:
        np.savez(temporary, **arrays)


def read_corpus(folder: Path) -> Corpus:
    """Read what `write_corpus` wrote."""
    chunks = [np.load(path, allow_pickle=False) for path in sorted(folder.glob("*.npz"))]
    return Corpus(*(np.concatenate([chunk[name] for chunk in chunks]) for name in Corpus._fields))
