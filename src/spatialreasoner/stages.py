"""Stages that join layers: which models, rewards and scenes go into a search, into pairs and into predictions.

The other stages are one function of one module each (`scene`, `rewards.stage`, `training.run`, `evaluation`); these three bring
together what does not know of one another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from spatialreasoner import pairs as pairing
from spatialreasoner import records
from spatialreasoner.errors import ConfigError, RecordError
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.evaluation.generate import run_generate
from spatialreasoner.evaluation.showing import Showing
from spatialreasoner.models.named import WritingConfig, limits_of, named_policy
from spatialreasoner.progress import stage
from spatialreasoner.rewards import GeometricReward
from spatialreasoner.rewards.stage import ResponseRow, Scorer
from spatialreasoner.scene.files import scene_index
from spatialreasoner.scene.questions import read_questions, scenes_folder
from spatialreasoner.search.display import display
from spatialreasoner.search.run import Forecast, RunConfig, RunResult, forecast, run_search
from spatialreasoner.types import Question, RewardBreakdown, Scene, Trajectory

KEPT_SCENES = 64
"""Scenes whose depth stays loaded: more than the trees in flight ask about at a time."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A questions file, read together with its scenes."""

    questions: list[Question]
    scenes: Mapping[str, Scene]
    folder: Path


def read(questions: Path, scenes: Path | None) -> Asked:
    """Read a questions file and its scenes, from the folder given or from where the file says they are.

    Raises:
        InputError: If one of them is missing or broken.
    """
    records.require_file(questions)
    folder = records.require_folder(scenes) if scenes is not None else scenes_folder(questions)
    index = scene_index(folder)
    return Asked(questions=read_questions(questions, index), scenes=index, folder=folder)


def succeeds(question: Question, text: str) -> bool | None:
    """Whether an answer is right by the rules of SpatialRGPT-Bench; None where it cannot be read."""
    return judge(question.category, question.text, question.answer, text).success


def search(
    questions: Path,
    policies: Sequence[str],
    out: Path,
    config: RunConfig,
    *,
    scenes: Path | None,
    writing: WritingConfig,
    concurrency: int = 16,
    agree: Callable[[Forecast], bool] = lambda forecast: True,
) -> RunResult:
    """Search a questions file with models by name, rated and scored by geometry.

    Args:
        questions: The questions file.
        policies: Names of models.
        out: The folder to write.
        config: The settings; the models' limits are filled in.
        scenes: The scenes folder, or None to find it by the questions file.
        writing: How models that are no teachers write.
        concurrency: Most requests in flight to each model.
        agree: Shown the forecast before anything is sent; nothing is where it says no.

    Raises:
        InputError: If questions, scenes or a model's name are wrong, or the forecast is not agreed to.
        WorkError: If the output cannot be written.
    """
    asked = read(questions, scenes)
    models = [named_policy(name, asked.scenes, writing) for name in policies]
    limits = {model.name: limits_of(name, concurrency=concurrency) for name, model in zip(policies, models, strict=True)}
    config = replace(config, limits=limits)
    if not agree(forecast(len(asked.questions), [model.name for model in models], config)):
        raise ConfigError("nothing was sent; lower --rounds, --samples or the number of questions, or set --max-cost")
    inputs = {"questions": os.path.relpath(questions, out), "scenes": os.path.relpath(asked.folder, out)}
    reward = GeometricReward(asked.scenes, succeeds=succeeds, kept=KEPT_SCENES)
    with display() as show:
        return run_search(
            questions=asked.questions, scenes=asked.scenes, policies=models, reward=reward, config=config, out=out,
            inputs=inputs, progress=show,
        )  # fmt: skip


def pairs(runs: Sequence[Path], out: Path, config: pairing.PairsConfig, *, scenes: Path | None) -> pairing.PairsSummary:
    """Pair the scored answers of one or more search folders.

    Raises:
        InputError: If a folder was not written by the search, or what it names is missing.
        WorkError: If the output cannot be written.
    """
    asked = [read(*_inputs(run, scenes)) for run in runs]
    questions = {question.id: question for each in asked for question in each.questions}
    if len(questions) < sum(len(each.questions) for each in asked):
        raise RecordError("expected search folders of different questions; two of them share a question's id")
    index = {name: scene for each in asked for name, scene in each.scenes.items()}
    scorer = Scorer(list(questions.values()), index)

    def score(question: Question, text: str) -> RewardBreakdown:
        return scorer.grade(ResponseRow(question_id=question.id, text=text)).reward

    trajectories = chain.from_iterable(_trajectories(run) for run in runs)
    with stage(f"pair the answers to {len(questions)} questions", len(questions)) as advance:
        return pairing.write_pairs(questions, index, trajectories, score, config, out, progress=advance)


def _inputs(run: Path, scenes: Path | None) -> tuple[Path, Path | None]:
    """The questions file and the scenes folder that a search folder was made from."""
    path = records.require_folder(run) / "config.json"
    inputs = records.read_json(path, dict[str, object]).get("config")
    inputs = inputs.get("inputs") if isinstance(inputs, dict) else None
    if not isinstance(inputs, dict) or not {"questions", "scenes"} <= set(inputs):
        raise RecordError(f"{path}: expected the record of a search, with its questions and scenes; run 'search' first")
    return run / str(inputs["questions"]), scenes if scenes is not None else run / str(inputs["scenes"])


def _trajectories(run: Path) -> Iterator[Trajectory]:
    return records.read_jsonl(run / "trajectories.jsonl", Trajectory)


def generate(
    questions: Path, model: str, out: Path, *, scenes: Path | None, seed: int, regions: Showing, writing: WritingConfig
) -> int:
    """Let a model answer a questions file; returns how many predictions were written.

    Raises:
        InputError: If questions, scenes or the model's name are wrong.
        WorkError: If the output cannot be written.
    """
    asked = read(questions, scenes)
    policy = named_policy(model, asked.scenes, writing)
    with stage(f"answer {len(asked.questions)} questions with {model}", len(asked.questions)) as advance:
        return run_generate(asked.questions, asked.scenes, policy, out, seed=seed, regions=regions, progress=advance)
