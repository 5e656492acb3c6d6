"""Stages that join layers: which models, rewards and scenes go into a search, into rewards, pairs and predictions.

The other stages are one function of one module each; these bring together what does not know of one another.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, RecordError, WorkError
from spatialreasoner.core.progress import say, stage
from spatialreasoner.core.protocols import Embedder, Judge, Policy, Reward
from spatialreasoner.core.types import Question, RewardBreakdown, Scene, Trajectory
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.inference.budget import Budget, BudgetError, charge_past, refuse_unknown_prices
from spatialreasoner.inference.journal import Journal
from spatialreasoner.inference.limits import Limits
from spatialreasoner.inference.registry import WritingConfig, limits_of, named_policy
from spatialreasoner.inference.showing import Showing
from spatialreasoner.judges.agreement import RewardAgreement, write_agreement
from spatialreasoner.judges.journalled import JournalledJudge
from spatialreasoner.judges.panel import Panel
from spatialreasoner.pipeline import reward as rewarding
from spatialreasoner.pipeline.generate import GENERATE_LIMITS, run_generate
from spatialreasoner.pipeline.reward import ResponseRow, RewardConfig, Scorer
from spatialreasoner.preferences import pairs as pairing
from spatialreasoner.questions.files import read_questions, scenes_folder
from spatialreasoner.rewards import GeometricReward
from spatialreasoner.rewards.combine import Graded
from spatialreasoner.scenes.files import check_scene, scene_index
from spatialreasoner.search.display import display
from spatialreasoner.search.run import Forecast, RunConfig, RunResult, forecast, run_search

KEPT_SCENES = 64
"""Scenes whose depth stays loaded: more than the trees in flight ask about at a time."""


@dataclass(frozen=True, kw_only=True)
class QuestionsInScenes:
    """A questions file, read together with its scenes."""

    questions: list[Question]
    scenes: Mapping[str, Scene]
    folder: Path


def read(questions: Path, scenes: Path | None) -> QuestionsInScenes:
    """Read a questions file and its scenes, from the folder given or from where the file says they are.

    Raises:
        InputError: If one of them is missing or broken.
    """
    records.require_file(questions)
    folder = records.require_folder(scenes) if scenes is not None else scenes_folder(questions)
    index = scene_index(folder)
    asked = QuestionsInScenes(questions=read_questions(questions, index), scenes=index, folder=folder)
    _check_pictures(asked.questions, index)
    return asked


def _check_pictures(questions: Iterable[Question], scenes: Mapping[str, Scene]) -> None:
    """Refuse pictures that cannot be used, before anything is paid for."""
    used = sorted({question.scene_id for question in questions})
    with stage(f"check {len(used)} pictures", len(used)) as advance:
        for done, scene_id in enumerate(used, start=1):
            check_scene(scenes[scene_id])
            advance(done)


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

    def __call__(self) -> tuple[list[Policy], Reward, list[JournalledJudge]]:
        """Policies, reward and judges."""
        judges = self.make_judges()
        return self.make_policies(), self.make_reward(judges), list(judges.values())

    def make_policies(self) -> list[Policy]:
        """The models that write."""
        return [named_policy(name, self.scenes, self.writing) for name in self.policies]

    def make_judges(self) -> dict[str, JournalledJudge]:
        """The judges by name, their grades kept in the run's journal."""
        if not self.judges:
            return {}
        from spatialreasoner.judges.rewards import ApiJudge, JudgeConfig

        config = JudgeConfig(key_variable=self.writing.key_variable)
        return {name: JournalledJudge(ApiJudge(name, config), _judge_limits(name)) for name in self.judges}

    def make_reward(self, judges: Mapping[str, Judge]) -> Reward:
        """Geometry alone, or a panel of geometry helped by each judge."""
        from spatialreasoner.judges.rewards import grader

        rewards: dict[str, Reward] = {
            name: GeometricReward(self.scenes, succeeds=succeeds, grader=grader(judge), kept=KEPT_SCENES)
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
    named = zip(policies, models, strict=True)
    limits = {model.name: limits_of(name, concurrency=concurrency, writing=writing) for name, model in named}
    config, grading = replace(config, limits=limits), {grader.name: grader.limits for grader in graders.values()}
    refuse_unknown_prices(config.max_cost, {name: limit.price for name, limit in (limits | grading).items()})
    if not agree(forecast(len(asked.questions), list(limits), config, list(grading.values()))):
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
        result = _search_on_cluster(work, workforce, cluster)
    else:
        with display() as show:
            reward = workforce.make_reward(graders)
            result = run_search(**work, policies=models, reward=reward, judges=list(graders.values()), progress=show)
    for line in result.lines(writing.max_new_tokens):
        say(line)
    return result


def _search_on_cluster(work: dict[str, Any], workforce: Workforce, cluster: ClusterConfig) -> RunResult:
    from spatialreasoner.search.cluster import run_cluster

    total = len(work["questions"])
    with stage(f"search {total} questions on {cluster.shards} shards", total) as advance:
        return run_cluster(**work, workforce=workforce, num_shards=cluster.shards, address=cluster.address, progress=advance)


@dataclass(frozen=True, kw_only=True)
class JudgesConfig:
    """Which models judge responses, and what that may cost.

    Attributes:
        names: Names of the models, `api:MODEL@BASE_URL`; several count as their mean.
        concurrency: Most requests in flight to each of them.
        key_variable: Environment variable that holds the key.
        max_calls: Most requests sent, over all processes that worked on the same output; None is no limit.
        max_tokens: Most tokens, likewise.
        max_cost: Most money, likewise.
    """

    names: tuple[str, ...]
    concurrency: int = 16
    key_variable: str = "OPENAI_API_KEY"
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None

    def judges(self) -> dict[str, JournalledJudge]:
        """The judges by name.

        Raises:
            ConfigError: If a name has another form, comes twice, or money is limited and no price is known.
            MissingExtraError: If what endpoints need is not installed.
        """
        from spatialreasoner.judges.rewards import ApiJudge, JudgeConfig

        if len(set(self.names)) < len(self.names):
            raise ConfigError(f"expected judges of different names; got {', '.join(self.names)}")
        config = JudgeConfig(key_variable=self.key_variable)
        judges = {name: ApiJudge(name, config) for name in self.names}
        limits = {name: _judge_limits(name, concurrency=self.concurrency) for name in judges}
        refuse_unknown_prices(self.max_cost, {name: limit.price for name, limit in limits.items()})
        return {name: JournalledJudge(judge, limits[name]) for name, judge in judges.items()}

    def budget(self) -> Budget:
        """What may be spent."""
        return Budget(max_calls=self.max_calls, max_tokens=self.max_tokens, max_cost=self.max_cost)


def _judge_limits(name: str, *, concurrency: int = 16) -> Limits:
    """How a judge by name may be used: its requests in flight, the most tokens of one, and their price where it is known."""
    from spatialreasoner.judges.rewards import MOST_TOKENS

    return replace(limits_of(name, concurrency=concurrency), max_tokens=MOST_TOKENS)


def reward(
    config: RewardConfig,
    out: Path,
    *,
    judging: JudgesConfig | None = None,
    embeddings: str | None = None,
    agree: Callable[[Forecast], bool] = lambda forecast: True,
) -> tuple[int, RewardAgreement | None]:
    """Score a file of responses by geometry, and by judges where geometry cannot tell or to compare the two.

    Grades are kept in a hidden journal beside `out`: none is paid for twice, whatever ends a process.

    Args:
        config: The inputs.
        out: The file to write, as `pipeline.reward.run_reward` does; with judges also `STEM.agreement.json`.
        judging: Who judges; None is geometry alone.
        embeddings: A sentence-embedding model, for names that the table of names does not know.
        agree: Shown the forecast before anything is sent; nothing is where it says no.

    Returns:
        How many responses were scored, and how far judges and geometry agree.

    Raises:
        InputError: If an input is missing or broken, a judge's name is wrong, or the forecast is not agreed to.
        WorkError: If a budget is used up, the output cannot be written, or another process writes it.
    """
    scorer = rewarding.open_scorer(config, _embedder(embeddings))
    total = rewarding.check_responses(config, scorer)
    name = f"score {total} responses"
    if judging is None:
        with stage(name, total) as advance:
            return rewarding.score_responses(config, scorer, out, progress=advance), None
    from spatialreasoner.judges.rewards import JudgePanel

    judges = judging.judges()
    _check_pictures(scorer.questions.values(), scorer.scenes)
    if not agree(_judging_forecast(total, config, judges.values())):
        raise ConfigError("nothing was sent; score fewer responses, or set --max-cost")
    with records.writing(out.parent), Journal(out.with_name(f".{out.stem}.judge.journal")) as journal:
        budget = judging.budget()
        charge_past(budget, journal, {judge.identity: judge.limits.price for judge in judges.values()})
        for judge in judges.values():
            judge.bind(journal, budget)
        panel = next(iter(judges.values())) if len(judges) == 1 else JudgePanel(judges)
        with stage(name, total) as advance:
            count = _judged(config, scorer, out, panel, 2 * judging.concurrency, advance)
        if any(judge.failures for judge in judges.values()):  # the same command asks again
            asyncio.run(journal.next_round())
    return count, write_agreement(out)


def _judged(
    config: RewardConfig, scorer: Scorer, out: Path, judge: Judge, in_flight: int, advance: Callable[[int], None]
) -> int:
    try:
        return rewarding.score_responses(config, scorer, out, judge=judge, in_flight=in_flight, progress=advance)
    except BudgetError as error:
        raise WorkError(f"{error}; what was judged is kept, and the same command with a larger limit goes on") from error


def _judging_forecast(total: int, config: RewardConfig, judges: Iterable[JournalledJudge]) -> Forecast:
    """What judging can take, if nothing is in the journal and, unless all is judged, geometry can tell nothing."""
    limits = [judge.limits for judge in judges]
    return Forecast(
        least_calls=total * len(limits) if config.judge_all else 0,
        most_calls=total * len(limits),
        most_tokens=total * sum(limit.max_tokens for limit in limits),
        most_cost=total * sum(limit.price.most(limit.max_tokens) for limit in limits),
    )


def _embedder(source: str | None) -> Embedder | None:
    if source is None:
        return None
    from spatialreasoner.inference.backends.embeddings import TransformersEmbedder

    return TransformersEmbedder(source)


def explain(
    config: RewardConfig, number: int, judging: JudgesConfig | None = None, embeddings: str | None = None
) -> tuple[Question, str, Graded]:
    """Score one response, its row counted from 0; with its question and text.

    Raises:
        InputError: If an input is missing or broken, or there is no such row.
    """
    scorer, row = rewarding.open_scorer(config, _embedder(embeddings)), rewarding.read_response(config, number)
    graded = scorer.grade(row)
    if judging is not None:
        from spatialreasoner.judges.rewards import ApiJudge, JudgeConfig, JudgePanel

        judges = {name: ApiJudge(name, JudgeConfig(key_variable=judging.key_variable)) for name in judging.names}
        graded = asyncio.run(scorer.judge(row, JudgePanel(judges), always=config.judge_all))
    return scorer.questions[row.question_id], row.text, graded


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
    limits = limits_of(
        model, concurrency=max(GENERATE_LIMITS.concurrency, writing.batch_size), writing=writing
    )  # batches are to fill
    with stage(f"answer {len(asked.questions)} questions with {model}", len(asked.questions)) as advance:
        return run_generate(
            asked.questions, asked.scenes, policy, out, seed=seed, regions=regions, limits=limits,
            max_tokens=writing.max_new_tokens, progress=advance,
        )  # fmt: skip
