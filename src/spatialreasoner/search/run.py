"""Search many questions at once, so that nothing is lost and nothing is paid for twice.

A run writes into its folder:

- `trajectories.jsonl`: every question's candidates with their rewards: the tree's whole paths, then plain samples;
- `trees.jsonl`: one tree per line (`tree.tree_to_json`), with all that a viewer needs;
- `summary.json`: success by category and by policy, calls, tokens, cost, replies by kind, what endpoints taught;
- `config.json`: the settings, the versions, and where questions and scenes are;
- `timing.json`: how long this process took and how its endpoints fared; the only file that differs from run to run;
- `journal.sqlite`: replies and finished questions; the same command continues from it, whatever ended the process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.loops import synchronous
from spatialreasoner.core.protocols import Judge, Policy, Reward
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.inference import advice
from spatialreasoner.inference.endpoint import identity
from spatialreasoner.inference.journal import Journal
from spatialreasoner.inference.limits import Limits, unpriced
from spatialreasoner.inference.prices import Price
from spatialreasoner.search.engine import Engine, Progress, RewardMaker, Row, RunConfig
from spatialreasoner.search.summary import Totals

__all__ = ["Forecast", "Progress", "RewardMaker", "RunConfig", "RunResult", "forecast", "run_search", "run_search_async"]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The forecast of a run, before anything is sent; retries and replies already in the journal are not counted.

    Attributes:
        least_calls: Minimum number of requests: every first round finds a right answer.
        most_calls: Maximum number of requests: none is found, and every sample must be drawn again.
        most_tokens: Maximum number of tokens, by the limit of a request.
        most_cost: Maximum cost.
        unknown_prices: Policies whose cost is not included because their price is unknown.
    """

    least_calls: int
    most_calls: int
    most_tokens: int
    most_cost: float
    unknown_prices: tuple[str, ...] = ()


def forecast(num_questions: int, policies: Sequence[str], config: RunConfig, judges: Sequence[Limits] = ()) -> Forecast:
    """The forecast of a run of these policies, and of judges that may be asked about every complete answer.

    >>> forecast(10, ["a", "b"], RunConfig(candidates=0)).most_calls  # 20 model-rounds, 2 samples of each policy
    240
    """
    limits = [config.limits.get(name, Limits()) for name in policies]
    sampling = len(limits) * config.samples_per_policy
    replies = num_questions * (config.search.max_model_rounds * config.search.samples + sampling + 2 * config.candidates)
    first = min(len(limits), config.search.max_model_rounds)
    asked = judges[:1]  # a panel's first scores whole answers
    return Forecast(
        least_calls=num_questions * (first + sampling),
        most_calls=num_questions * (config.search.max_model_rounds + sampling + 2 * config.candidates) + len(asked) * replies,
        most_tokens=replies * (max(limit.max_tokens for limit in limits) + sum(judge.max_tokens for judge in asked)),
        most_cost=replies * (max(map(_most_cost, limits)) + sum(map(_most_cost, asked))),
        unknown_prices=unpriced(dict(zip(policies, limits, strict=True))),
    )


def _most_cost(limits: Limits) -> float:
    return limits.price.most(limits.max_tokens)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of a run.

    Attributes:
        summary: The content of `summary.json`.
        unfinished: Why questions are not done, by their id; the same command tries them again.
        stopped: What ended the run early (a budget, or that no policy can be used any longer), or None.
        missing: Number of replies missing from trees, by policy or judge; the same command requests them and grows these trees
            again.
        away: Why policies and judges could no longer be called, by their name.
        noticed: What the policies' replies show that their endpoints do not say, one per line.
    """

    summary: Mapping[str, Any]
    unfinished: Mapping[str, str]
    stopped: str | None
    missing: Mapping[str, int] = field(default_factory=dict[str, int])
    away: Mapping[str, str] = field(default_factory=dict[str, str])
    noticed: tuple[str, ...] = ()

    def lines(self, max_tokens: int) -> Iterator[str]:
        """The outcome of the run for its policies: one line for each thing that went wrong.

        Args:
            max_tokens: Maximum reply length that was requested.
        """
        policies, learned = self.summary["by_policy"], self.summary["learned"]
        yield from advice.search_lines(policies, learned, self.missing, self.away, max_tokens=max_tokens)
        yield from advice.judge_lines(self.summary.get("by_judge", {}))
        yield from self.noticed
        yield from advice.unanswered_lines(self.summary["unanswered"], self.summary["questions"])


async def run_search_async(
    *,
    questions: Sequence[Question],
    scenes: Mapping[str, Scene],
    policies: Sequence[Policy],
    reward: Reward | RewardMaker,
    config: RunConfig,
    out: Path,
    inputs: Mapping[str, str],
    judges: Mapping[str, Judge] | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> RunResult:
    """The stage `search`: questions in, scored trajectories and trees out.

    Args:
        questions: What to answer; ids are unique.
        scenes: Their scenes by id, paths resolved.
        policies: The models; names are unique.
        reward: Rates steps, scores answers; or makes such a reward of the judges, whose grades are then journalled too.
        config: The settings.
        out: The folder to write; where a run with these settings was interrupted in it, that run continues.
        inputs: Where questions and scenes came from, kept in `config.json` for the stages after this one.
        judges: The judges that the reward asks, if any, by their names.
        progress: Called at the start and whenever a question is done.

    Raises:
        ConfigError: If policies share a name, or there is none, or the folder rests on other inputs of the same names.
        WorkError: If the folder cannot be written, or another process works in it.
    """
    started = time.monotonic()
    with Journal(out / "journal.sqlite") as journal:
        for torn in out.glob(".*.part*"):  # what a process that was killed while it wrote left behind
            torn.unlink()
        engine = Engine(questions, scenes, policies, reward, config, journal, judges, progress)
        await engine.stand(out)
        write_settings(out, engine, inputs)
        await engine.work()
        rows = (row for row in map(engine.row, questions) if row is not None)
        summary = write_outputs(out, len(questions), rows, engine.prices, engine.learned())
        await engine.end()
    records.write_json(out / "timing.json", {"seconds": round(time.monotonic() - started, 3), **fared(engine)})
    return RunResult(
        summary=summary,
        unfinished=engine.progress.unfinished,
        stopped=engine.stopped,
        missing=engine.missing,
        away=engine.away(),
        noticed=tuple(engine.noticed()),
    )


run_search = synchronous(run_search_async)
"""`run_search_async`, run to its end."""


def write_settings(out: Path, engine: Engine, inputs: Mapping[str, str]) -> None:
    """Write `config.json`."""
    models = {
        "policies": [endpoint.identity for endpoint in engine.endpoints],
        "reward": identity(engine.reward),
        "judges": [judge.identity for judge in engine.judges.values()],
    }
    records.write_config(out, "search", {**asdict(engine.config), "inputs": dict(inputs), **models})


def write_outputs(
    out: Path, num_asked: int, rows: Iterable[Row], prices: Mapping[str, Price], learned: Mapping[str, Any]
) -> dict[str, Any]:
    """Write trajectories, trees and summary of the finished questions, one in memory at a time; returns the summary."""
    totals = Totals(prices=prices)
    with (
        records.atomic_write(out / "trajectories.jsonl") as trajectories,
        records.atomic_write(out / "trees.jsonl") as trees,
    ):
        for row in rows:
            trajectories.writelines(records.dumps(trajectory) + "\n" for trajectory in row["trajectories"])
            trees.write(records.dumps(row["tree"]) + "\n")
            totals.add(row["counts"])
    summary = {"asked": num_asked, **totals.summary(), "learned": dict(learned)}
    records.write_json(out / "summary.json", summary)
    return summary


def fared(engine: Engine) -> dict[str, Any]:
    """How the endpoints of this process fared: requests, failures by class, and what stopped them."""
    return {
        "requests": {endpoint.name: endpoint.calls for endpoint in engine.endpoints},
        "failures": {endpoint.name: dict(endpoint.failures) for endpoint in engine.endpoints},
        "judges": {
            judge.identity: {"requests": judge.calls, "failures": dict(judge.failures)} for judge in engine.judges.values()
        },
        "stopped_endpoints": engine.away(),
        "stopped": engine.stopped,
        "unfinished": engine.progress.unfinished,
    }
