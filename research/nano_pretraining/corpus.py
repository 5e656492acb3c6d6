"""What the nano is pretrained on: procedural rooms with all that is true of them, and texts that say so.

A sample is an image with dense targets (depth, and of each region kind, colour, place and size), and, for some rooms, rows of
text: statements about two regions, short answers, and LongCoT answers. All texts are true: they are written by a simulated
teacher without errors, from what the camera's depth shows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from spatialreasoner.core import records
from spatialreasoner.core.progress import stage
from spatialreasoner.core.types import CATEGORIES, RELATIONS, Category, Relation
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.scenes.masks import decode
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.synthetic import COLOURS, Made, make_scene
from spatialreasoner.scenes.synthetic.shapes import SHAPE_KINDS
from spatialreasoner.teachers.facts import Facts, gather
from spatialreasoner.teachers.perception import perceive
from spatialreasoner.teachers.policy import write_answer
from spatialreasoner.teachers.profiles import PROFILES
from spatialreasoner.teachers.requests import Request
from spatialreasoner.teachers.writer import Writer

SEED = 2**40
"""The set of rooms that pretraining sees; whoever tests the nano takes another."""

TRUTHFUL = PROFILES["exact"]

MAX_REGIONS = 9
GRID = 32
"""Cells of the dense depth target along a side."""

TARGETS = ("x", "y", "z", "width", "height", "depth")
"""What is known of a region beside kind and colour: middle of its box in the levelled camera frame (x right, y down, z forward)
and its extents, metres."""

Kind = Literal["statements", "short", "reasoned"]
REQUESTS = (
    "Describe {a} and {b}.",
    "What can you say about {a} and {b}?",
    "Where are {a} and {b}, and how large are they?",
    "Tell me about {a} and {b}.",
)


class Row(NamedTuple):
    """A text about a room: the numbers of its regions in the sample (`<region1>` first), the request, and the true answer."""

    kind: Kind
    regions: tuple[int, ...]
    request: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One room.

    Attributes:
        image: The image, sRGB.
        depth: Mean logarithm of the depth in each cell of a grid, metres.
        owner: For each pixel 0, or 1 + the number of the region that it belongs to.
        words: Index of kind and colour of each region; -1 where there is none.
        truth: `TARGETS` of each region; NaN where there is none.
        rows: Texts.
    """

    image: UInt8[np.ndarray, "h w 3"]
    depth: Float[np.ndarray, "grid grid"]
    owner: UInt8[np.ndarray, "h w"]
    words: np.ndarray
    truth: Float[np.ndarray, "regions targets"]
    rows: tuple[Row, ...] = ()


def make_sample(index: int, *, rows: int = 0, seed: int = SEED) -> Sample:
    """Room `index` of a set, with about `rows` texts: a third of each kind."""
    made = make_scene(seed, index)
    owner = np.zeros(made.depth.shape, np.uint8)
    words, truth = np.full((MAX_REGIONS, 2), -1, np.int8), np.full((MAX_REGIONS, len(TARGETS)), np.nan, np.float32)
    known = {thing.region_id: thing for thing in made.scene.objects or ()}
    for number, region in enumerate(made.scene.regions[:MAX_REGIONS]):
        owner[decode(region.mask)] = number + 1
        thing = known[region.id]
        words[number] = SHAPE_KINDS.index(thing.kind), list(COLOURS).index(thing.colour)
        truth[number] = (*thing.centre, *thing.size)
    return Sample(
        image=made.image, depth=_grid(np.log(made.depth)), owner=owner, words=words, truth=truth,
        rows=tuple(_rows(made, rows, Random(f"nano {seed} {index}"))) if rows else (),
    )  # fmt: skip


def _grid(values: np.ndarray) -> np.ndarray:
    side = values.shape[0] // GRID
    return values.reshape(GRID, side, GRID, side).mean(axis=(1, 3)).astype(np.float16)


def _rows(made: Made, count: int, rng: Random) -> Iterator[Row]:
    measured = Measured(made.scene, made.depth)
    regions = made.scene.regions[:MAX_REGIONS]
    for _ in range(count // 3):
        chosen = rng.sample(range(len(regions)), 2)
        facts = gather(measured, tuple(regions[number] for number in chosen))
        if all(thing.size is not None for thing in facts.things):
            yield Row(
                "statements", tuple(chosen), rng.choice(REQUESTS).format(a="<region1>", b="<region2>"), _state(facts, rng)
            )
    numbers = {region.id: number for number, region in enumerate(regions)}
    asked: Counter[Category] = Counter({category: rng.randrange(3) for category in CATEGORIES})
    for place, question in enumerate(ask_about(measured, rng, 2 * count // 3, asked=asked)):
        if numbers.keys() >= set(question.region_ids):
            chosen = tuple(numbers[name] for name in question.region_ids)
            if place % 2:
                yield Row("short", chosen, question.text, question.answer)
            else:
                shown = prompt(question, made.scene)
                text = write_answer(shown, gather(measured, shown.regions), TRUTHFUL, Random(rng.random()))
                yield Row("reasoned", chosen, question.text, text)


def _state(facts: Facts, rng: Random) -> str:
    """Some ten statements about two regions, in random order."""
    view = perceive(facts, TRUTHFUL, rng, rng)
    writer = Writer(Request(kind="distance", form="quantity"), facts, view, TRUTHFUL, rng, done=0)
    believed: list[Relation] = [relation for relation in RELATIONS if view.believes(relation)]
    told = [
        *(writer.introduction(k) for k in range(2)),
        *(writer.size(writer.names[k], what, view.sizes[k][axis]) for k in range(2) for axis, what in enumerate(_SIZES)),
        *(writer.size(writer.names[k], "camera", view.camera[k]) for k in range(2)),
        *(writer.placed(k, axis) for k in range(2) for axis in (0, 1)),
        *(writer.relation(each) for each in rng.sample(believed, 4)),
        writer.apart("distance", view.direct),
        writer.apart("horizontal_distance", max(0.01, abs(view.offset[0]))),
        writer.apart("vertical_distance", max(0.01, abs(view.offset[1]))),
        writer.bearing(view.hour),
    ]
    return " ".join(rng.sample(told, 10))


_SIZES = ("width", "height", "depth")


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """How much the nano is pretrained on.

    Attributes:
        scenes: How many rooms.
        told: How many of them, the first ones, have texts.
        rows: Texts of each of these.
    """

    scenes: int = 24_000
    told: int = 8_000
    rows: int = 18


_CHUNK = 250
_ARRAYS = ("image", "depth", "owner", "words", "truth")


def write_corpus(config: CorpusConfig, folder: Path, *, workers: int = 2) -> None:
    """Make the corpus in chunks of files, several processes at a time; chunks that are there already stay."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = [start for start in range(0, config.scenes, _CHUNK) if not _chunk(folder, start).with_suffix(".npz").is_file()]
    with stage("render rooms to pretrain on", len(starts) * _CHUNK) as advance, ProcessPoolExecutor(workers) as pool:
        for done, future in enumerate(as_completed(pool.submit(_write_chunk, config, folder, start) for start in starts), 1):
            future.result()
            advance(done * _CHUNK)


def _chunk(folder: Path, start: int) -> Path:
    return folder / f"{start:06d}"


def _write_chunk(config: CorpusConfig, folder: Path, start: int) -> None:
    indices = range(start, min(start + _CHUNK, config.scenes))
    samples = [make_sample(index, rows=config.rows if index < config.told else 0) for index in indices]
    path = _chunk(folder, start)
    rows = [[row._asdict() for row in sample.rows] for sample in samples]
    path.with_suffix(".json").write_text(json.dumps(rows), "utf-8")
    arrays: dict[str, Any] = {name: np.stack([getattr(sample, name) for sample in samples]) for name in _ARRAYS}
    with records.atomic_path(path.with_suffix(".npz")) as temporary:  # last: a chunk with its arrays is complete
        np.savez(temporary, **arrays)


class Corpus(NamedTuple):
    """The whole corpus in memory: arrays as of `Sample`, one more axis in front, and the rows of each room that has any."""

    image: np.ndarray
    depth: np.ndarray
    owner: np.ndarray
    words: np.ndarray
    truth: np.ndarray
    rows: Sequence[Sequence[Row]]


def read_corpus(folder: Path) -> Corpus:
    """Read what `write_corpus` wrote."""
    chunks = [(np.load(path, allow_pickle=False), path.with_suffix(".json")) for path in sorted(folder.glob("*.npz"))]
    arrays = [np.concatenate([chunk[name] for chunk, _ in chunks]) for name in _ARRAYS]
    rows: list[list[Row]] = []
    for _, path in chunks:
        loaded: list[list[dict[str, Any]]] = json.loads(path.read_text("utf-8"))
        rows += [[Row(row["kind"], tuple(row["regions"]), row["request"], row["answer"]) for row in each] for each in loaded]
    return Corpus(*arrays, rows=rows)
