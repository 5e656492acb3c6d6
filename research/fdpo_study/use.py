"""`python -m research.fdpo_study.use STUDY`: rooms by use, which proves that no training has learned from a test room.

What a training learned from is found by the digest that it kept of its rows, not by its name, and the rooms of two parts are
compared by the bytes of their images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from spatialreasoner.cli import run
from spatialreasoner.core import records
from spatialreasoner.core.digests import file_digest
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.types import Question, Scene

ROWS_OF_TRAININGS = (
    "data/*/questions.jsonl",
    "data/*/pairs/*.jsonl",
    "seed-*/*.jsonl",
    "seed-*/pairs/*/*.jsonl",
    "seed-*/*/round-*/pairs/*.jsonl",
)
"""Where rows lie that trainings may have learned from."""

SETTINGS_OF_TRAININGS = ("seed-*/*/training.json", "seed-*/*/round-*/model/training.json")
ANSWERS_OF_TESTS = ("base/predictions.jsonl", "seed-*/*/predictions.jsonl", "seed-*/*/sampled.jsonl")
"""What models say in the test."""

Rooms = Mapping[str, tuple[str, str]]
"""The part and the room of each question."""


def rooms_of_questions(out: Path) -> dict[str, tuple[str, str]]:
    """The part and the room of each question of a study."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(out.glob("data/*/questions.jsonl")):
        for question in records.read_jsonl(path, Question):
            found[question.id] = (path.parent.name, question.scene_id)
    return found


def shared_images(out: Path) -> list[str]:
    """Rooms of different parts whose images are the same bytes."""
    owners: dict[str, str] = {}
    shared: list[str] = []
    for path in sorted(out.glob("data/*/scenes")):
        part = path.parent.name
        for scene in records.read_jsonl(path / "scenes.jsonl", Scene):
            digest = file_digest(path / "images" / Path(scene.image).name)
            if owners.setdefault(digest, part) != part:
                shared.append(scene.id)
    return shared


def learned_rooms(out: Path, rooms: Rooms) -> Iterator[tuple[str, dict[str, set[str]]]]:
    """Each training, by its folder, and the rooms by part of the rows that it learned from.

    Raises:
        ConfigError: If no file of the study has the digest of a training's rows.
    """
    digests = {file_digest(path): path for pattern in ROWS_OF_TRAININGS for path in sorted(out.glob(pattern))}
    for path in sorted(path for pattern in SETTINGS_OF_TRAININGS for path in out.glob(pattern)):
        data = records.read_json(path, dict[str, Any])["config"]["data"]
        name = str(path.parent.relative_to(out))
        if data["sha256"] not in digests:
            raise ConfigError(f"expected the rows that {name} learned from, {data['file']}, in {out}; no file has their digest")
        yield name, rooms_by_part(digests[data["sha256"]], rooms)


def rooms_by_part(path: Path, rooms: Rooms) -> dict[str, set[str]]:
    """The rooms that a file's rows are about, by part."""
    found: dict[str, set[str]] = {}
    for row in records.read_jsonl(path, dict[str, Any]):
        part, room = rooms[row["question_id"] if "question_id" in row else row["id"]]
        found.setdefault(part, set()).add(room)
    return found


def rooms_by_use(out: Path) -> str:
    """A table of the rooms by use, Markdown.

    Raises:
        ConfigError: If a training learned from a test room, if a model was tested on another, or if two parts share one.
    """
    rooms = rooms_of_questions(out)
    if shared := shared_images(out):
        raise ConfigError(f"expected no room in two parts; {len(shared)} are, {shared[0]} first")
    trainings = dict(learned_rooms(out, rooms))
    tested = {
        str(path.relative_to(out)): rooms_by_part(path, rooms)
        for pattern in ANSWERS_OF_TESTS
        for path in sorted(out.glob(pattern))
    }
    if wrong := [name for name, found in trainings.items() if "test" in found]:
        raise ConfigError(f"expected no training on test rooms; {wrong[0]} learned from some")
    if wrong := [name for name, found in tested.items() if set(found) != {"test"}]:
        raise ConfigError(f"expected answers to questions about test rooms alone; {wrong[0]} has others")
    lines = [
        "| part | rooms | questions | trainings that learned from them | files of answers in the test |",
        "|---|---:|---:|---:|---:|",
    ]
    for part in dict.fromkeys(part for part, _ in rooms.values()):
        of_part = [room for each, room in rooms.values() if each == part]
        learned, asked = (sum(part in found for found in uses.values()) for uses in (trainings, tested))
        lines.append(f"| {part} | {len(set(of_part))} | {len(of_part)} | {learned} | {asked} |")
    lines += ["", f"{len(trainings)} trainings, none on a test room; no two parts share an image."]
    return "\n".join(lines)


def main(out: Annotated[Path, typer.Argument(help="The study's folder.")]) -> None:
    """Print which rooms the trainings and the tests of a study used; end with 1 if a test room was learned from."""
    typer.echo(rooms_by_use(out))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run(app)
