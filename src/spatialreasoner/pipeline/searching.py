"""The stage `search`: several models write in one tree per question, rated by geometry, and by judges where it cannot tell."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.loops import asynchronous, synchronous
from spatialreasoner.core.progress import ShowProgress, progress_bar, quiet, say
from spatialreasoner.core.protocols import Policy, Reward
from spatialreasoner.inference.budget import refuse_unknown_prices
from spatialreasoner.inference.registry import WritingConfig, limits_of
from spatialreasoner.pipeline.inputs import PathLike, QuestionsInScenes, read_inputs
from spatialreasoner.pipeline.result import Result
from spatialreasoner.pipeline.workforce import Workforce, judge_limits
from spatialreasoner.search.display import Show, display
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.run import Forecast, RunConfig, RunResult, forecast, run_search_async

WRITING = WritingConfig(temperature=0.9)
"""How policies write unless told otherwise: candidates must differ."""


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """Where a search runs when not in this process: shards on the Ray cluster of an address, or on a local one."""

    shards: int
    address: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Search:
    """One search, ready to begin."""

    asked: QuestionsInScenes
    workforce: Workforce
    config: RunConfig
    out: Path
    inputs: Mapping[str, str]


async def search_async(
    questions: PathLike,
    *,
    policies: Sequence[str | Policy],
    out: PathLike,
    judges: Sequence[str] = (),
    reward: Reward | None = None,
    scenes: PathLike | None = None,
    config: RunConfig | SearchConfig | None = None,
    writing: WritingConfig = WRITING,
    concurrency: int = 16,
    cluster: ClusterConfig | None = None,
    confirm: Callable[[Forecast], bool] = lambda forecast: True,
    progress: ShowProgress | None = progress_bar,
) -> Result:
    """Search a questions file with several models: one tree per question, every candidate scored.

    Called again, it continues where it was; replies are kept in a journal and never paid for twice.

    Args:
        questions: The questions file.
        policies: The models that write, by name or as objects.
        out: The folder to write: `trajectories.jsonl`, `trees.jsonl`, `summary.json`.
        judges: Models, `api:MODEL@BASE_URL`, that grade what geometry cannot; each is one evaluator of the panel.
        reward: What rates steps and scores answers; None is geometry with the judges.
        scenes: The scenes folder, if the path stored with the questions is out of date.
        config: How trees grow (`SearchConfig`), or that with samples, candidates and budgets (`RunConfig`).
        writing: How policies given by name write.
        concurrency: Maximum requests in flight to each model.
        cluster: Where to run; None is this process.
        confirm: Shown the forecast before anything is sent; nothing is sent if it returns False.
        progress: Shows the stage; None shows nothing.

    Returns:
        The result; `details` is the `RunResult`.

    Raises:
        InputError: If questions, scenes or a model's name are wrong, or the forecast is not confirmed.
        WorkError: If the output cannot be written, or another process works on it.
    """
    if isinstance(policies, str):
        raise ConfigError(f"`policies` takes a list of models; got {policies!r}; write policies=[{policies!r}]")
    folder = Path(out)
    asked = read_inputs(questions, scenes, progress=progress or quiet)
    workforce = Workforce(policies=tuple(policies), judges=tuple(judges), scenes=asked.scenes, writing=writing, reward=reward)
    inputs = {"questions": os.path.relpath(questions, folder), "scenes": os.path.relpath(asked.folder, folder)}
    run = config if isinstance(config, RunConfig) else RunConfig(search=config or SearchConfig())
    job = _Search(asked=asked, workforce=workforce, config=run, out=folder, inputs=inputs)
    if cluster is None:
        found = await _here(job, concurrency, confirm, progress)
    else:
        found = await _on_cluster(job, cluster, concurrency, confirm, progress)
    if progress is not None:
        for line in found.lines(writing.max_new_tokens):
            say(line)
    return _result(folder, found)


search = synchronous(search_async)
"""`search_async`, run to its end."""


async def _here(
    job: _Search, concurrency: int, confirm: Callable[[Forecast], bool], progress: ShowProgress | None
) -> RunResult:
    models, reward, judges = job.workforce()
    config = _limited(job, models, concurrency)
    _confirm(job, config, confirm)
    with _shown(len(job.asked.questions), progress) as show:
        return await run_search_async(
            questions=job.asked.questions,
            scenes=job.asked.scenes,
            policies=models,
            reward=reward,
            config=config,
            out=job.out,
            inputs=job.inputs,
            judges=judges,
            progress=show,
        )


async def _on_cluster(
    job: _Search,
    cluster: ClusterConfig,
    concurrency: int,
    confirm: Callable[[Forecast], bool],
    progress: ShowProgress | None,
) -> RunResult:
    from spatialreasoner.search.cluster import run_cluster

    config = _limited(job, job.workforce.make_policies(), concurrency)
    _confirm(job, config, confirm)
    total = len(job.asked.questions)
    with (progress or quiet)(f"search {total} questions on {cluster.shards} shards", total) as advance:
        return await asynchronous(run_cluster)(
            questions=job.asked.questions,
            scenes=job.asked.scenes,
            workforce=job.workforce,
            config=config,
            out=job.out,
            inputs=job.inputs,
            num_shards=cluster.shards,
            address=cluster.address,
            progress=advance,
        )


def _limited(job: _Search, models: Sequence[Policy], concurrency: int) -> RunConfig:
    """The settings with how each model may be used; what the caller says of a model counts more."""
    writing, batch = job.workforce.writing, bool(job.config.batch)
    limits = {
        model.name: limits_of(
            given if isinstance(given, str) else model.name, concurrency=concurrency, writing=writing, batch=batch
        )
        for given, model in zip(job.workforce.policies, models, strict=True)
    }
    judging = {name: judge_limits(name, concurrency=concurrency) for name in job.workforce.judges}
    return replace(job.config, limits={**limits, **job.config.limits}, judge_limits={**judging, **job.config.judge_limits})


def _confirm(job: _Search, config: RunConfig, confirm: Callable[[Forecast], bool]) -> None:
    """Refuse what cannot be limited, and what the caller does not want.

    Raises:
        ConfigError: If money is limited and a price unknown, or the forecast is not confirmed.
    """
    limits, judges = config.limits, config.judge_limits
    refuse_unknown_prices(config.max_cost, {name: limit.price for name, limit in {**limits, **judges}.items()})
    expected = forecast(len(job.asked.questions), list(limits), config, list(judges.values()))
    if not confirm(expected):
        raise ConfigError(
            "nothing was sent; lower `max_model_rounds`, `samples_per_policy` or the number of questions, or set `max_cost`"
        )


@contextmanager
def _shown(total: int, progress: ShowProgress | None) -> Generator[Show]:
    """The display of a search; another's progress is told how many questions are done."""
    if progress is progress_bar:
        with display() as show:
            yield show
        return
    with (progress or quiet)(f"search {total} questions", total) as advance:
        yield lambda now: advance(now.finished + len(now.unfinished))


def _result(out: Path, found: RunResult) -> Result:
    files = tuple(out / name for name in ("trajectories.jsonl", "trees.jsonl", "summary.json"))
    return Result(
        stage="search",
        out=out,
        files=files,
        count=found.summary["trajectories"],
        summary=found.summary,
        details=found,
        unfinished=found.unfinished,
        stopped=found.stopped,
    )
