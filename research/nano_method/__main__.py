"""`python -m research.nano_method --out DIR` teaches the nano's base to reason, by the project's own method.

Simulated teachers answer questions about some rooms, and the base learns the best answer to each, as the verified rewards rank
them (SFT). It then answers questions about other rooms itself, eight times each, and learns the best of these in the same way;
twice, and the second time it is asked more of what it confuses. Answers that do not follow from their own steps are left out: a
lucky conclusion teaches not to calculate. So are, the second time, those that are wrong, or right by their Yes or No alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from research.nano_method.wholly import wholly_right
from research.nano_pretraining.pretraining import save_half

from spatialreasoner.cli import run
from spatialreasoner.core import records
from spatialreasoner.core.types import Question
from spatialreasoner.evaluation.predictions import Prediction, read_predictions
from spatialreasoner.inference.registry import WritingConfig
from spatialreasoner.language.soundness import is_sound
from spatialreasoner.pipeline import build_pairs, generate, make_questions, make_scenes, train
from spatialreasoner.preferences.pairs import PairsConfig
from spatialreasoner.vlm.loading import load_vlm

_TEACHERS = ("scripted:careful", "scripted:shallow", "scripted:habitual", "scripted:hasty")
TAUGHT, OWN, AGAIN = 910005, 910002, 910003
"""The sets of rooms: of neither the pretraining, nor the study, nor any test."""

CONFUSED = ("big", "small", "wide", "thin", "behind", "front")
"""The relations that the model of the first round errs about most often, on validation rooms: bigger is read as wider."""

SHARED = ("per_device_train_batch_size=16", "gradient_accumulation_steps=1", "freeze_vision=true", "threads=1")
FIRST = ("num_train_epochs=1.5", "learning_rate=3e-4")
OWN_BEST = ("num_train_epochs=2", "learning_rate=1e-4")
"""Chosen on validation rooms."""

_SAMPLING = WritingConfig(temperature=1.0, batch_size=64)


def _ask(folder: Path, *, seed: int, rooms: int, per_room: int, count: int, confused: int = 0) -> Path:
    """Make rooms and ask about them.

    Args:
        folder: Where they go.
        seed: Seed of the rooms.
        rooms: Number of rooms.
        per_room: Questions per room.
        count: How many of the questions are taken, the first ones.
        confused: How many of these are about `CONFUSED`, and come first.
    """
    scenes = make_scenes(out=folder / "scenes", count=rooms, seed=seed)
    questions = list(
        records.read_jsonl(Path(make_questions(scenes, out=folder / "questions.jsonl", per_scene=per_room)), Question)
    )
    first = [each for each in questions if each.category.partition("_")[0] in CONFUSED][:confused]
    others = [each for each in questions if each.category.partition("_")[0] not in CONFUSED] if confused else questions
    path = folder / "asked.jsonl"
    records.write_jsonl(path, [*first, *others[: count - len(first)]])
    return path


def best(
    folder: Path,
    asked: Path,
    models: Sequence[str],
    seeds: Sequence[int],
    *,
    keep: Callable[[Prediction], bool],
    writing: WritingConfig,
) -> Path:
    """Let models answer, once per seed; returns the rows of the best answer to each question, of those that are kept."""
    answers = [
        _kept(Path(generate(
            asked, model=model, out=folder / f"{model.rpartition(':')[2].rpartition('/')[2]}-{seed}.jsonl", seed=seed,
            scenes=folder / "scenes", writing=writing,
        )), keep)
        for model, seed in product(models, seeds)
    ]  # fmt: skip
    config = PairsConfig(regions="tokens", hard=0.0)
    build_pairs(out=folder / "pairs", questions=asked, answers=answers, scenes=folder / "scenes", config=config)
    return folder / "pairs" / "sft.jsonl"


def _kept(answers: Path, keep: Callable[[Prediction], bool]) -> Path:
    """The answers that are kept, in a file beside."""
    path = answers.with_name(f"kept-{answers.name}")
    records.write_jsonl(path, filter(keep, read_predictions(answers)))
    return path


def follows_its_steps(answer: Prediction) -> bool:
    """Whether an answer follows from its own steps, whatever these have to do with the image."""
    return is_sound(answer.pred)


def follows_and_is_right(answer: Prediction) -> bool:
    """Whether an answer follows from its own steps, comparisons too, and is right, also by what stands behind its Yes or No."""
    return wholly_right(answer.qa_info.category, answer.question, answer.gt, answer.pred)


def main(
    out: Annotated[Path, typer.Option(help="Where the rooms, the answers and the finished model, DIR/nano, go.")],
    base: Annotated[str, typer.Option(help="The base: nano-base, or the folder of another.")] = "nano-base",
) -> None:
    """Teach the nano's base to reason; run it again to resume."""
    asked = _ask(out / "taught", seed=TAUGHT, rooms=1600, per_room=5, count=8000)
    rows = best(out / "taught", asked, _TEACHERS, (1, 2), keep=follows_its_steps, writing=WritingConfig())
    train(rows, kind="sft", model=base, out=out / "sft", overrides=(*SHARED, *FIRST))

    asked = _ask(out / "own", seed=OWN, rooms=900, per_room=4, count=1200)
    rows = best(out / "own", asked, [str(out / "sft")], range(1, 9), keep=follows_its_steps, writing=_SAMPLING)
    train(rows, kind="sft", model=str(out / "sft"), out=out / "best", overrides=(*SHARED, *OWN_BEST))

    asked = _ask(out / "again", seed=AGAIN, rooms=700, per_room=6, count=1800, confused=1000)
    rows = best(out / "again", asked, [str(out / "best")], range(1, 9), keep=follows_and_is_right, writing=_SAMPLING)
    train(rows, kind="sft", model=str(out / "best"), out=out / "again" / "best", overrides=(*SHARED, *OWN_BEST))

    save_half(*load_vlm(out / "again" / "best"), out / "nano")
    typer.echo(out / "nano")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run(app)
