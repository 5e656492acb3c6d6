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
from typing import Any

from spatialreasoner import pairs as pairing
from spatialreasoner import records
from spatialreasoner.errors import ConfigError, RecordError
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.evaluation.generate import run_generate
from spatialreasoner.evaluation.showing import Showing
from spatialreasoner.models.named import WritingConfig, limits_of, named_policy
from spatialreasoner.progress import stage
from spatialreasoner.protocols import Judge, Policy, Reward
from spatialreasoner.rewards import GeometricReward
from spatialreasoner.rewards.stage import ResponseRow, Scorer
from spatialreasoner.scene.files import check, scene_index
from spatialreasoner.scene.questions import read_questions, scenes_folder
from spatialreasoner.search.display import display
from spatialreasoner.search.judging import JournalledJudge
from spatialreasoner.search.panel import Panel
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
    asked = Asked(questions=read_questions(questions, index), scenes=index, folder=folder)
    used = sorted({question.scene_id for question in asked.questions})
    with stage(f"check {len(used)} pictures", len(used)) as advance:  # before anything is paid for
        for done, scene_id in enumerate(used, start=1):
            check(index[scene_id])
            advance(done)
    return asked


def succeeds(question: Question, text: str) -> bool | None:
    """Whether an answer is right by the rules of SpatialRGPT-Bench; None where it cannot be read."""
    return judge(question.category, question.text, question.answer, text).success


@dataclass(frozen=True, kw_only=True)
class Workforce:
    """The models and the reward of a search, by name: made anew in each process of a cluster.

    Attributes:
        policies: Names of the models that write.
        judges: Names of the models that grade what geometry cannot; each is one evaluator of the panel.
        scenes: The scenes by id.
        writing: How models that are no teachers write.
    """

    policies: tuple[str, ...]
    judges: tuple[str, ...]
    scenes: Mapping[str, Scene]
    writing: WritingConfig

    def __call__(self) -> tuple[list[Policy], Reward]:
        """Policies and reward."""
        return self.make_policies(), self.make_reward(self.make_judges())

    def make_policies(self) -> list[Policy]:
        """The models that write."""
        return [named_policy(name, self.scenes, self.writing) for name in self.policies]

    def make_judges(self) -> dict[str, JournalledJudge]:
        """The judges by name, their grades kept in the run's journal."""
        if not self.judges:
            return {}
        from spatialreasoner.rewards.judge import ApiJudge, JudgeConfig

        config = JudgeConfig(key_variable=self.writing.key_variable)
        return {name: JournalledJudge(ApiJudge(name, config)) for name in self.judges}

    def make_reward(self, judges: Mapping[str, Judge]) -> Reward:
        """Geometry alone, or a panel of geometry helped by each judge."""
        rewards: dict[str, Reward] = {
            name: GeometricReward(self.scenes, succeeds=succeeds, judge=judge, kept=KEPT_SCENES)
            for name, judge in judges.items()
        }
        return Panel(rewards) if rewards else GeometricReward(self.scenes, succeeds=succeeds, kept=KEPT_SCENES)


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """Where a search runs when not in this process: shards on the Ray cluster of an address, or on a local one."""

    shards: int
    address: str | None = None


def search(
    questions: Path,
    policies: Sequence[str],
    out: Path,
    config: RunConfig,
    *,
    scenes: Path | None,
    writing: WritingConfig,
    judges: Sequence[str] = (),
    concurrency: int = 16,
    cluster: ClusterConfig | None = None,
    agree: Callable[[Forecast], bool] = lambda forecast: True,
) -> RunResult:
    """Search a questions file with models by name, rated and scored by geometry, and by judges where geometry cannot tell.

    Args:
        questions: The questions file.
        policies: Names of models.
        out: The folder to write.
        config: The settings; the models' limits are filled in.
        scenes: The scenes folder, or None to find it by the questions file.
        writing: How models that are no teachers write.
        judges: Names of judges, `api:MODEL@BASE_URL`.
        concurrency: Most requests in flight to each model.
        cluster: Where to run; None is this process.
        agree: Shown the forecast before anything is sent; nothing is where it says no.

    Raises:
        InputError: If questions, scenes or a model's name are wrong, or the forecast is not agreed to.
        WorkError: If the output cannot be written.
    """
    asked = read(questions, scenes)
    workforce = Workforce(policies=tuple(policies), judges=tuple(judges), scenes=asked.scenes, writing=writing)
    models, graders = workforce.make_policies(), workforce.make_judges()
    limits = {model.name: limits_of(name, concurrency=concurrency) for name, model in zip(policies, models, strict=True)}
    config = replace(config, limits=limits)
    if not agree(forecast(len(asked.questions), [model.name for model in models], config)):
        raise ConfigError("nothing was sent; lower --rounds, --samples or the number of questions, or set --max-cost")
    inputs = {"questions": os.path.relpath(questions, out), "scenes": os.path.relpath(asked.folder, out)}
    work: dict[str, Any] = {
        "questions": asked.questions,
        "scenes": asked.scenes,
        "config": config,
        "out": out,
        "inputs": inputs,
    }
    if cluster is not None:
        return _search_on_cluster(work, workforce, cluster)
    with display() as show:
        reward = workforce.make_reward(graders)
        return run_search(**work, policies=models, reward=reward, judges=list(graders.values()), progress=show)


def _search_on_cluster(work: dict[str, Any], workforce: Workforce, cluster: ClusterConfig) -> RunResult:
    from spatialreasoner.search.cluster import run_cluster

    if workforce.judges:
        raise ConfigError("a search on a cluster takes no judges yet; leave --judge out, or search without --cluster")
    total = len(work["questions"])
    with stage(f"search {total} questions on {cluster.shards} shards", total) as advance:
        return run_cluster(**work, workforce=workforce, num_shards=cluster.shards, address=cluster.address, progress=advance)


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
