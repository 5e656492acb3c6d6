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
from spatialreasoner.inference.limits import unpriced
from spatialreasoner.inference.registry import WritingConfig, limits_of
from spatialreasoner.pipeline.inputs import PathLike, QuestionsInScenes, read_inputs
from spatialreasoner.pipeline.result import Result
from spatialreasoner.pipeline.workforce import Workforce, judge_limits
from spatialreasoner.search.display import Show, display
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.run import Forecast, RunConfig, RunResult, forecast, run_search_async

WRITING = WritingConfig(temperature=0.9)
"""Default of how policies generate: candidates must differ."""


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """Settings of a search on Ray: its shards run on the cluster at an address, or on a local one."""

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

    Call it again to resume; replies are kept in a journal and never paid for twice.

    Args:
        questions: The questions file.
        policies: The policy models, by name or as objects.
        out: The folder to write: `trajectories.jsonl`, `trees.jsonl`, `summary.json`.
        judges: Judge models, `api:MODEL@BASE_URL`, for what geometry cannot score; each is one evaluator of the panel.
        reward: Rates steps and scores answers; None uses geometry with the judges.
        scenes: The scenes folder, if the path stored with the questions is out of date.
        config: Settings of the trees (`SearchConfig`), or of the whole run with samples, candidates and budgets (`RunConfig`).
        writing: How policies given by name generate.
        concurrency: Maximum concurrent requests per model.
        cluster: Settings of a run on Ray; None runs in this process.
        confirm: Called with the forecast before anything is sent; nothing is sent if it returns False.
        progress: Displays the progress; None displays nothing.

    Returns:
        The result; `details` is the `RunResult`.

    Raises:
        InputError: If questions, scenes or a model's name are wrong, or the forecast is not confirmed.
        WorkError: If the output cannot be written, or another process works on it.
    """
    if isinstance(policies, str):
        raise ConfigError(f"`policies` takes a list of models; got {policies!r}; write policies=[{policies!r}]")
    if not policies:
        raise ConfigError("`policies` needs at least one model, such as nano or api:MODEL@BASE_URL; got none")
    folder = Path(out)
    asked = read_inputs(questions, scenes, progress=progress or quiet)
    workforce = Workforce(policies=tuple(policies), judges=tuple(judges), scenes=asked.scenes, writing=writing, reward=reward)
    inputs = {"questions": os.path.relpath(questions, folder), "scenes": os.path.relpath(asked.folder, folder)}
    run = _run_config(config)
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


def _run_config(config: object) -> RunConfig:
    """All settings of a search; those that are not given are the defaults.

    Raises:
        ConfigError: If they are of another kind.
    """
    if isinstance(config, RunConfig):
        return config
    if config is None or isinstance(config, SearchConfig):
        return RunConfig(search=config or SearchConfig())
    raise ConfigError(f"`config` takes a SearchConfig or a RunConfig; got {type(config).__name__}")


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
    """The settings with the limits of each model; limits that the caller gives take precedence."""
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
    """Refuse a search whose cost cannot be limited, or whose forecast the caller does not confirm.

    Raises:
        ConfigError: If the cost is limited and a price unknown, or the forecast is not confirmed.
    """
    limits, judges = config.limits, config.judge_limits
    refuse_unknown_prices(config.max_cost, {name: limit.price for name, limit in {**limits, **judges}.items()})
    expected = forecast(len(job.asked.questions), list(limits), config, list(judges.values()))
    expected = replace(expected, unknown_prices=(*expected.unknown_prices, *unpriced(judges)))
    if not confirm(expected):
        raise ConfigError(
            "nothing was sent; lower `max_model_rounds`, `samples_per_policy` or the number of questions, or set `max_cost`"
        )


@contextmanager
def _shown(total: int, progress: ShowProgress | None) -> Generator[Show]:
    """The display of a search; a caller's own display is given the number of questions done."""
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
