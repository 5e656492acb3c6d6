"""`python -m research.nano_method --out DIR` teaches the nano's base to reason, by the project's own method.

Simulated teachers answer questions about some rooms, and the base learns the best answer to each, as the verified rewards rank
them (SFT). It then answers questions about other rooms itself, eight times each, and learns the best of these in the same way.
Answers that do not follow from their own steps are left out: a lucky conclusion teaches not to calculate.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, product
from pathlib import Path
from typing import Annotated

import typer
from research.nano_pretraining.pretraining import save_half

from spatialreasoner.cli import run
from spatialreasoner.core import records
from spatialreasoner.core.types import Question
from spatialreasoner.evaluation.predictions import read_predictions
from spatialreasoner.inference.registry import WritingConfig
from spatialreasoner.language.soundness import is_sound
from spatialreasoner.pipeline import build_pairs, generate, make_questions, make_scenes, train
from spatialreasoner.preferences.pairs import PairsConfig
from spatialreasoner.vlm.loading import load_vlm

_TEACHERS = ("scripted:careful", "scripted:shallow", "scripted:habitual", "scripted:hasty")
TAUGHT, OWN = 910005, 910002
"""The sets of rooms: of neither the pretraining, nor the study, nor any test."""

SHARED = ("per_device_train_batch_size=16", "gradient_accumulation_steps=1", "freeze_vision=true", "threads=1")
FIRST = ("num_train_epochs=1.5", "learning_rate=3e-4")
SECOND = ("num_train_epochs=2", "learning_rate=1e-4")
"""Chosen on validation rooms."""


def _ask(folder: Path, *, seed: int, rooms: int, per_room: int, count: int) -> Path:
    """Make rooms and ask about them; returns the file of the first questions."""
    scenes = make_scenes(out=folder / "scenes", count=rooms, seed=seed)
    questions = make_questions(scenes, out=folder / "questions.jsonl", per_scene=per_room)
    path = folder / "asked.jsonl"
    records.write_jsonl(path, islice(records.read_jsonl(Path(questions), Question), count))
    return path


def best(folder: Path, asked: Path, models: Sequence[str], seeds: Sequence[int], writing: WritingConfig) -> Path:
    """Let models answer, once per seed; returns the rows of the best sound answer to each question."""
    answers = [
        _sound(Path(generate(
            asked, model=model, out=folder / f"{model.rpartition(':')[2].rpartition('/')[2]}-{seed}.jsonl", seed=seed,
            scenes=folder / "scenes", writing=writing,
        )))
        for model, seed in product(models, seeds)
    ]  # fmt: skip
    config = PairsConfig(regions="tokens", hard=0.0)
    build_pairs(out=folder / "pairs", questions=asked, answers=answers, scenes=folder / "scenes", config=config)
    return folder / "pairs" / "sft.jsonl"


def _sound(answers: Path) -> Path:
    """The answers that hold by themselves, in a file beside."""
    path = answers.with_name(f"sound-{answers.name}")
    records.write_jsonl(path, (each for each in read_predictions(answers) if is_sound(each.pred)))
    return path


def main(
    out: Annotated[Path, typer.Option(help="Where the rooms, the answers and the finished model, DIR/nano, go.")],
    base: Annotated[str, typer.Option(help="The base: nano-base, or the folder of another.")] = "nano-base",
) -> None:
    """Teach the nano's base to reason; run it again to resume."""
    asked = _ask(out / "taught", seed=TAUGHT, rooms=1600, per_room=5, count=8000)
    rows = best(out / "taught", asked, _TEACHERS, (1, 2), WritingConfig())
    train(rows, kind="sft", model=base, out=out / "sft", overrides=(*SHARED, *FIRST))

    asked = _ask(out / "own", seed=OWN, rooms=900, per_room=4, count=1200)
    rows = best(out / "own", asked, [str(out / "sft")], range(1, 9), WritingConfig(temperature=1.0, batch_size=64))
    train(rows, kind="sft", model=str(out / "sft"), out=out / "best", overrides=(*SHARED, *SECOND))

    save_half(*load_vlm(out / "best"), out / "nano")
    typer.echo(out / "nano")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run(app)
