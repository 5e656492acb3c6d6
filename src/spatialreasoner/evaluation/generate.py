"""Let a model answer questions: rows of SpatialRGPT-Bench's own form, kept as they come, so that a killed run goes on."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from spatialreasoner import records
from spatialreasoner.errors import ConfigError
from spatialreasoner.evaluation.predictions import Prediction, prediction, write_predictions
from spatialreasoner.protocols import Policy
from spatialreasoner.scene.questions import prompt
from spatialreasoner.types import Question, Scene


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """What decides a file of predictions.

    Attributes:
        model: Name of the model.
        questions: SHA-256 of the questions.
        seed: Seed of sampling.
        in_flight: Questions asked at a time; a local model makes batches of them.
    """

    model: str
    questions: str
    seed: int = 0
    in_flight: int = 64


def run_generate(
    questions: Sequence[Question],
    scenes: Mapping[str, Scene],
    policy: Policy,
    out: Path,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """The stage `generate`: every question answered once, in the questions' order.

    Answers are appended to `OUT.partial` as they come; the same command after a crash asks only what is missing. `out` appears
    when all is there, and `OUT.config.json` beside it.

    Returns:
        How many predictions were written.

    Raises:
        ConfigError: If `OUT.partial` belongs to another model, seed or set of questions.
        WorkError: If the model or the disk fails; what is answered stays.
    """
    digest = hashlib.sha256("\n".join(map(records.dumps, questions)).encode()).hexdigest()
    config = GenerateConfig(model=policy.name, questions=digest, seed=seed)
    partial = out.with_name(out.name + ".partial")
    with records.writing(out.parent):
        done = _resume(partial, config)
        progress(len(done))
        missing = [question for question in questions if question.id not in done]
        with partial.open("a", encoding="utf-8") as file:
            asyncio.run(_ask_all(missing, scenes, policy, config, file, done, progress))
    folder = out.parent.resolve()
    rows = [_row(question, scenes, done[question.id], config, folder) for question in questions]
    records.write_config(out.parent, "generate", config, name=f"{out.stem}.config.json")
    count = write_predictions(out, rows)
    partial.unlink()
    return count


def _resume(partial: Path, config: GenerateConfig) -> dict[str, str]:
    """Answers of an earlier process by question; starts the file where there is none. A torn last line is forgotten."""
    lines = partial.read_text(encoding="utf-8", errors="replace").split("\n") if partial.exists() else []
    whole, torn = lines[:-1], lines[-1:]
    if not whole:
        partial.write_text(records.dumps(config) + "\n", encoding="utf-8")
        return {}
    if whole[0] != records.dumps(config):
        raise ConfigError(
            f"{partial} is the unfinished work of another model, seed or set of questions; remove it, or choose another --out"
        )
    if torn != [""]:
        partial.write_text("\n".join(whole) + "\n", encoding="utf-8")
    answers = [records.parse_record(line, _Answer, where=f"{partial}:{k}") for k, line in enumerate(whole[1:], start=2)]
    return {answer.question_id: answer.text for answer in answers}


@dataclass(frozen=True, kw_only=True)
class _Answer:
    question_id: str
    text: str


async def _ask_all(
    missing: Sequence[Question],
    scenes: Mapping[str, Scene],
    policy: Policy,
    config: GenerateConfig,
    file: IO[str],
    done: dict[str, str],
    progress: Callable[[int], None],
) -> None:
    slots = asyncio.Semaphore(config.in_flight)

    async def ask(question: Question) -> None:
        async with slots:
            (completion,) = await policy.complete(prompt(question, scenes[question.scene_id]), n=1, seed=config.seed)
        file.write(records.dumps(_Answer(question_id=question.id, text=completion.text)) + "\n")
        file.flush()
        done[question.id] = completion.text
        progress(len(done))

    try:
        async with asyncio.TaskGroup() as group:
            for question in missing:
                group.create_task(ask(question))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # the first failure stops the others; one clear error is enough


def _row(question: Question, scenes: Mapping[str, Scene], text: str, config: GenerateConfig, folder: Path) -> Prediction:
    image = os.path.relpath(Path(scenes[question.scene_id].image).resolve(), folder)
    return prediction(question, text, image=image, model_id=config.model)
