"""`python -m research.grpo_nano --out DIR`: GRPO of the nano with the verified reward, some seeds, with intervals.

Rooms to train on and unseen ones are made by seed. For each seed `train grpo` takes the given number of steps from the shipped
weights. Before and after, the model answers the questions about unseen rooms, sampled at the temperature of training and again
greedily; the same random numbers are drawn for the same question, so that answers are paired. Intervals are bootstrapped over
rooms. Each part is kept in the folder, and the same command continues.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from spatialreasoner import make_questions, make_scenes
from spatialreasoner.cli import run
from spatialreasoner.core import records
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.evaluation.bootstrap import cluster_sums, difference_interval
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.pipeline import train
from spatialreasoner.questions.files import prompt, read_questions
from spatialreasoner.rewards import score_response
from spatialreasoner.rewards.functions import SCORES
from spatialreasoner.scenes.files import scene_index

Rewards = dict[str, dict[str, float | None]]
"""The scores of one answer to each question, by its id."""

TEMPERATURES = {"sampled": 1.0, "greedy": 0.0}


def _study(out: Path, *, seeds: int, steps: int, rooms: int, unseen: int, settings: Mapping[str, object]) -> str:
    """Train and measure what is not there yet; the table, as Markdown."""
    training, testing = _questions(out / "rooms", rooms, seed=11), _questions(out / "unseen", unseen, seed=4398046511104)
    before = {how: _measure("nano", testing, out / f"before-{how}.json", how) for how in TEMPERATURES}
    after: dict[str, list[Rewards]] = {how: [] for how in TEMPERATURES}
    for seed in range(seeds):
        folder = out / f"grpo-{seed}"
        train(training, kind="grpo", model="nano", out=folder, max_steps=steps, seed=seed, **settings)
        for how, found in after.items():
            found.append(_measure(str(folder), testing, out / f"after-{seed}-{how}.json", how))
            _say(_table(testing, before, after))
    return _table(testing, before, after)


def _table(testing: Path, before: Mapping[str, Rewards], after: Mapping[str, Sequence[Rewards]]) -> str:
    """Mean rewards before and after, the difference with its 95 % interval, and that of each seed alone."""
    rooms = {question.id: question.scene_id for question in _read(testing)[0]}
    lines = [
        "| answers | reward | before | after | difference | 95 % interval | each seed |",
        "|---|---|---:|---:|---:|---|---|",
    ]
    for how, runs in after.items():
        for name in SCORES if runs else ():
            lines.append(_row(how, name, rooms, before[how], runs))
    return "\n".join(lines)


def _row(how: str, name: str, rooms: Mapping[str, str], before: Rewards, runs: Sequence[Rewards]) -> str:
    scored = [key for key in before if all(each[key][name] is not None for each in (before, *runs))]
    was = np.array([before[key][name] for key in scored], dtype=float)
    now = np.array([[run[key][name] for key in scored] for run in runs], dtype=float)
    difference = now.mean(0) - was
    sums = cluster_sums([rooms[key] for key in scored], np.stack([difference, np.ones(len(scored))], axis=1))
    found = difference_interval(sums[:, 0], sums[:, 1], seed=0)
    interval = "" if found is None else f"{found.low:+.2f} to {found.high:+.2f}"
    each = ", ".join(f"{value:+.2f}" for value in (now - was).mean(1))
    return f"| {how} | {name} | {was.mean():.2f} | {now.mean():.2f} | {difference.mean():+.2f} | {interval} | {each} |"


def _questions(folder: Path, rooms: int, *, seed: int) -> Path:
    path = folder / "questions.jsonl"
    if not path.is_file():
        make_questions(make_scenes(out=folder, count=rooms, seed=seed), out=path, per_scene=4)
    return path


def _read(path: Path) -> tuple[list[Question], Mapping[str, Scene]]:
    scenes = scene_index(path.parent)
    return read_questions(path, scenes), scenes


def _measure(model: str, testing: Path, file: Path, how: str) -> Rewards:
    if not file.is_file():
        records.write_json(file, asyncio.run(_answer(model, testing, TEMPERATURES[how])))
    return json.loads(file.read_text("utf-8"))


async def _answer(model: str, testing: Path, temperature: float) -> Rewards:
    questions, scenes = _read(testing)
    policy = HfPolicy(model, temperature=temperature, max_new_tokens=200, batch_size=64)
    asked = (policy.complete(prompt(question, scenes[question.scene_id]), n=1, seed=0) for question in questions)
    rewards: Rewards = {}
    for question, (answer,) in zip(questions, await asyncio.gather(*asked), strict=True):
        reward = score_response(scenes[question.scene_id], question, answer.text)
        rewards[question.id] = {name: getattr(reward, name) for name in SCORES}
    return rewards


def _say(text: str) -> None:
    typer.echo(text, err=True)


def main(
    out: Annotated[Path, typer.Option(help="Folder of the study; the same command continues it.", show_default=False)],
    seeds: Annotated[int, typer.Option(help="Trainings.", min=1)] = 3,
    steps: Annotated[int, typer.Option(help="Optimizer steps of each.", min=1)] = 60,
    questions: Annotated[int, typer.Option(help="Questions per step, eight completions each; an even number.", min=2)] = 8,
    rooms: Annotated[int, typer.Option(help="Rooms to train on, four questions about each.", min=1)] = 120,
    unseen: Annotated[int, typer.Option(help="Unseen rooms, four questions about each.", min=1)] = 120,
    learning_rate: Annotated[float, typer.Option(help="Of AdamW.")] = 5e-5,
) -> None:
    """Measure what GRPO with the verified reward is worth on the embedded model."""
    settings = {
        "learning_rate": learning_rate, "warmup_ratio": 0.0, "freeze_vision": True, "threads": 1,
        "per_device_train_batch_size": 16, "gradient_accumulation_steps": questions // 2, "num_generations": 8,
        "max_completion_length": 200, "temperature": TEMPERATURES["sampled"],
    }  # fmt: skip
    typer.echo(_study(out, seeds=seeds, steps=steps, rooms=rooms, unseen=unseen, settings=settings))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run(app)
