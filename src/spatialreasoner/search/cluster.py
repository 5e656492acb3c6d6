"""The same search on many machines: questions are dealt to shards, each a Ray task with an engine and a journal of its own.

A shard whose process or machine dies is restarted by Ray and continues from its journal. A question's row depends on nothing
but the question, the models and the settings, so the outputs equal those of one process, byte for byte. The folder must be on
storage that all machines share.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, MissingExtraError, WorkError
from spatialreasoner.core.loops import run_in_new_loop
from spatialreasoner.core.protocols import Judge, Policy, Reward
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.inference.journal import Journal
from spatialreasoner.inference.limits import Limits
from spatialreasoner.search.engine import Engine, RewardMaker, Row, RunConfig
from spatialreasoner.search.run import RunResult, fared, write_outputs, write_settings
from spatialreasoner.search.summary import missing as lacks

WorkforceMaker = Callable[
    [], tuple[Sequence[Policy], Reward] | tuple[Sequence[Policy], Reward | RewardMaker, Mapping[str, Judge]]
]
"""Makes the policies, the reward or its maker, and the judges that it asks, if any, by their names; called in every shard, for
connections do not travel."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One shard's part of a run.

    Attributes:
        questions: Its questions.
        scenes: Their scenes.
        config: The settings, limits and budgets divided.
        folder: Where its journal is.
    """

    questions: list[Question]
    scenes: dict[str, Scene]
    config: RunConfig
    folder: Path


def run_cluster(
    *,
    questions: Sequence[Question],
    scenes: Mapping[str, Scene],
    workforce: WorkforceMaker,
    config: RunConfig,
    out: Path,
    inputs: Mapping[str, str],
    num_shards: int,
    address: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> RunResult:
    """The stage `search` on a Ray cluster; without questions no cluster is needed.

    Args:
        questions: What to answer; ids are unique.
        scenes: Their scenes by id, paths resolved, the same on every machine.
        workforce: Makes policies and reward.
        config: The settings; limits and budgets are those of the whole run, and divided evenly over the shards.
        out: The folder to write, on shared storage.
        inputs: Where questions and scenes came from.
        num_shards: How many shards; each takes one CPU of the cluster. Every shard has its own journal, so a run must continue
            with the same number to find what it has.
        address: The cluster's address, as for `ray.init`; None starts a local one on the loopback address.
        progress: Called with the number of questions of the shards that are done.

    Raises:
        ConfigError: If the number of shards is not positive, or a budget is smaller than it.
        MissingExtraError: If Ray is not installed.
        WorkError: If there is no cluster at the address, or a local one does not start.
    """
    ray, started = _import_ray(), time.monotonic()
    policies, reward, judges = staff(workforce)
    limits = {policy.name: config.limits.get(policy.name, Limits()) for policy in policies}
    judging = {name: config.judge_limits.get(name, Limits()) for name in judges}
    shards = deal(questions, scenes, replace(config, limits=limits, judge_limits=judging), out, num_shards)
    reports: list[dict[str, Any]] = []
    if questions:
        with _connected(ray, address, num_shards):
            reports = _spread(ray, shards, workforce, progress)
    summary = _write(questions, policies, reward, judges, config, out, inputs, shards)
    records.write_json(out / "timing.json", {"seconds": round(time.monotonic() - started, 3), "shards": reports})
    unfinished = {name: why for report in reports for name, why in report["unfinished"].items()}
    stopped = next((report["stopped"] for report in reports if report["stopped"] is not None), None)
    missing: Counter[str] = Counter()
    for report in reports:
        missing += Counter(report["missing"])
    away = {name: why for report in reports for name, why in report["stopped_endpoints"].items()}
    noticed = tuple(dict.fromkeys(line for report in reports for line in report["noticed"]))
    return RunResult(summary=summary, unfinished=unfinished, stopped=stopped, missing=missing, away=away, noticed=noticed)


def _spread(ray: Any, shards: Sequence[Shard], workforce: WorkforceMaker, progress: Callable[[int], None]) -> list[Any]:
    """Run all shards; returns their results, in the order in which they finished."""
    work: Any = ray.remote(num_cpus=1, max_retries=-1)(_work)
    waiting = {work.remote(shard, workforce): len(shard.questions) for shard in shards}
    reports: list[Any] = []
    done = 0
    while waiting:
        (ready,), _ = ray.wait(list(waiting))
        reports.append(ray.get(ready))
        done += waiting.pop(ready)
        progress(done)
    return reports


def staff(workforce: WorkforceMaker) -> tuple[Sequence[Policy], Reward | RewardMaker, Mapping[str, Judge]]:
    """Policies, reward and judges of a workforce."""
    made = workforce()
    return made if len(made) == 3 else (*made, {})


def deal(
    questions: Sequence[Question], scenes: Mapping[str, Scene], config: RunConfig, out: Path, num_shards: int
) -> list[Shard]:
    """Deal the questions, a scene's all to one shard, and divide limits and budgets.

    Raises:
        ConfigError: If the number of shards is not positive, or a budget is smaller than it.
    """
    if num_shards < 1:
        raise ConfigError(f"the number of shards must be at least 1; got {num_shards}")
    order = {scene_id: place for place, scene_id in enumerate(dict.fromkeys(q.scene_id for q in questions))}
    dealt: list[list[Question]] = [[] for _ in range(num_shards)]
    for question in questions:
        dealt[order[question.scene_id] % num_shards].append(question)
    share = _share(config, num_shards)
    return [
        Shard(
            questions=part,
            scenes={question.scene_id: scenes[question.scene_id] for question in part},
            config=share,
            folder=out / "shards" / f"{place:04d}-of-{num_shards:04d}",
        )
        for place, part in enumerate(dealt)
    ]


def _share(config: RunConfig, num_shards: int) -> RunConfig:
    """One shard's part of limits and budgets; together the shards never pass the whole."""
    if any(limit is not None and limit < num_shards for limit in (config.max_calls, config.max_tokens)):
        raise ConfigError(f"expected budgets of at least 1 per shard; {num_shards} shards share them")
    return replace(
        config,
        limits={name: _limits(limits, num_shards) for name, limits in config.limits.items()},
        judge_limits={name: _limits(limits, num_shards) for name, limits in config.judge_limits.items()},
        max_calls=None if config.max_calls is None else config.max_calls // num_shards,
        max_tokens=None if config.max_tokens is None else config.max_tokens // num_shards,
        max_cost=None if config.max_cost is None else config.max_cost / num_shards,
    )


def _limits(limits: Limits, num_shards: int) -> Limits:
    if limits.concurrency < num_shards:
        raise ConfigError(f"expected a concurrency of at least 1 per shard; got {limits.concurrency} for {num_shards} shards")
    per_minute = None if limits.per_minute is None else limits.per_minute / num_shards
    return replace(limits, concurrency=limits.concurrency // num_shards, per_minute=per_minute)


def _work(shard: Shard, workforce: WorkforceMaker) -> dict[str, Any]:
    """One shard, start to end, in a process of the cluster."""
    policies, reward, judges = staff(workforce)
    with Journal(shard.folder / "journal.sqlite") as journal:
        engine = Engine(shard.questions, shard.scenes, policies, reward, shard.config, journal, judges)
        run_in_new_loop(_stand_and_work(engine, shard.folder))
    return fared(engine) | {"missing": dict(engine.missing), "noticed": engine.noticed()}


async def _stand_and_work(engine: Engine, folder: Path) -> None:
    await engine.stand(folder)
    await engine.work()


def _write(
    questions: Sequence[Question],
    policies: Sequence[Policy],
    reward: Reward | RewardMaker,
    judges: Mapping[str, Judge],
    config: RunConfig,
    out: Path,
    inputs: Mapping[str, str],
    shards: Sequence[Shard],
) -> dict[str, Any]:
    """Write the outputs of all shards as one process would have; returns the summary."""
    with ExitStack() as stack:
        every: list[Engine] = []
        engines: dict[str, Engine] = {}
        learned: dict[str, dict[str, Any]] = {}
        for shard in shards:
            journal = stack.enter_context(Journal(shard.folder / "journal.sqlite"))
            engine = Engine(shard.questions, shard.scenes, policies, reward, config, journal, judges)
            every.append(engine)
            engines |= dict.fromkeys(shard.scenes, engine)
            for name, lessons in engine.learned().items():
                learned[name] = learned.get(name, {}) | lessons
        first = every[0]
        write_settings(out, first, inputs)
        lacking: set[Engine] = set()
        summary = write_outputs(out, len(questions), _rows(questions, engines, lacking), first.prices, learned)
        for engine in lacking:
            run_in_new_loop(engine.journal.next_round())
        return summary


def _rows(questions: Sequence[Question], engines: Mapping[str, Engine], lacking: set[Engine]) -> Iterator[Row]:
    """The rows of the finished questions; engines with rows that had to do without replies are added to `lacking`."""
    for question in questions:
        engine = engines[question.scene_id]
        row = engine.row(question)
        if row is not None:
            if lacks(row["counts"]):
                lacking.add(engine)
            yield row


@contextmanager
def _connected(ray: Any, address: str | None, num_shards: int) -> Generator[None]:
    """A cluster to work on; a local one listens on the loopback address alone, and shows no dashboard."""
    local = {"num_cpus": num_shards, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(address=address, log_to_driver=False, **(local if address is None else {}))
    except Exception as error:  # Ray raises a bare one where its own processes do not start in time
        what = f"no Ray cluster answered at {address}" if address else "Ray did not start on this machine"
        raise WorkError(f"{what}: {error}; run the same again to continue with the rest") from error
    try:
        yield
    finally:
        ray.shutdown()


def _import_ray() -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports]  # an optional dependency
    except ImportError:
        raise MissingExtraError("a search on a cluster needs Ray: pip install 'spatialreasoner[ray]'") from None
    return ray
