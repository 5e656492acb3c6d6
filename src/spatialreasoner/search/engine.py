"""The engine: many questions at work at once, on policies that they share, from one journal."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from spatialreasoner import __version__
from spatialreasoner.core import records
from spatialreasoner.core.digests import file_digest
from spatialreasoner.core.errors import ConfigError, EndpointError, InputError
from spatialreasoner.core.progress import say
from spatialreasoner.core.protocols import Judge, Policy, Reward
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.inference.budget import Budget, BudgetError, refuse_unknown_prices
from spatialreasoner.inference.counting import ReplyTally, tallying
from spatialreasoner.inference.endpoint import Endpoint, identity
from spatialreasoner.inference.grounds import asked_grounds, judge_grounds, model_grounds, stand_on
from spatialreasoner.inference.journal import Journal
from spatialreasoner.inference.limits import Limits
from spatialreasoner.inference.pool import Pool
from spatialreasoner.inference.submitting import BatchConfig, batch_config
from spatialreasoner.judges.journalled import JournalledJudge
from spatialreasoner.questions.files import prompt as show
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.solve import solve
from spatialreasoner.search.summary import count, missing
from spatialreasoner.search.tree import tree_to_json

Row = Mapping[str, Any]
"""All that is kept of a finished question: its trajectories, its tree and its counts, as plain JSON."""


RewardMaker = Callable[[Mapping[str, Judge]], Reward]
"""Makes a reward of the judges that it asks, by their names: judges need the journal of the run."""

BATCHED_TREES = 10_000
"""Trees at work at a time where requests are gathered into batches: each batch takes up to a day."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Settings of a search: its trees, samples, candidates and budgets.

    Attributes:
        search: Settings of each tree.
        samples_per_policy: Plain samples per policy and question, in addition to the tree (the paper: 2).
        candidates: Number of different complete answers per question. Where paths and samples give fewer, more samples are
            drawn, one policy after another, up to twice the number that is missing.
        trees_in_flight: Maximum number of questions searched concurrently.
        limits: Limits of each policy, by its name; `Limits()` for those not named.
        max_calls: Maximum number of requests sent, over all processes that work on this folder; None means no limit.
        max_tokens: Maximum number of tokens, counted in the same way.
        max_cost: Maximum cost, counted in the same way, in the currency of the prices.
        judge_limits: Limits of each judge, by its name; `Limits()` for those not named.
        batch: Send requests to endpoints through their batch API: each round of all trees is one batch.
    """

    search: SearchConfig = field(default_factory=SearchConfig)
    samples_per_policy: int = 2
    candidates: int = 8
    trees_in_flight: int = 128
    limits: Mapping[str, Limits] = field(default_factory=dict[str, Limits])
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    judge_limits: Mapping[str, Limits] = field(default_factory=dict[str, Limits])
    batch: bool | BatchConfig = False

    def __post_init__(self) -> None:
        for name, least in (("samples_per_policy", 0), ("candidates", 0), ("trees_in_flight", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}; got {getattr(self, name)}")


@dataclass(kw_only=True)
class Progress:
    """The progress of a run, for displays.

    Attributes:
        questions: Questions in all.
        finished: Questions done, those of earlier processes included.
        found: Questions done with a right path.
        trajectories: Candidates written for them.
        right: Those of them that are right.
        budget: What is spent.
        endpoints: The policies, with their calls, failures and what stopped them.
        unfinished: Why questions were given up, by their id.
    """

    questions: int
    finished: int = 0
    found: int = 0
    trajectories: int = 0
    right: int = 0
    budget: Budget
    endpoints: Sequence[Endpoint]
    unfinished: dict[str, str] = field(default_factory=dict[str, str])


class Engine:
    """One process at work on a run.

    Args:
        questions: What to answer.
        scenes: Their scenes by id, paths resolved.
        policies: The models; names are unique.
        reward: Rates steps, scores answers; or makes such a reward of the judges at work.
        config: The settings.
        journal: Where replies and finished questions are kept.
        judges: The judges that the reward asks, if any, by their names.
        report: Called at the start and whenever a question is done.
        tell: Called with a line when something takes long.

    Raises:
        ConfigError: If policies share a name, or there is none, or limits are given for another.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        scenes: Mapping[str, Scene],
        policies: Sequence[Policy],
        reward: Reward | RewardMaker,
        config: RunConfig,
        journal: Journal,
        judges: Mapping[str, Judge] | None = None,
        report: Callable[[Progress], None] = lambda progress: None,
        tell: Callable[[str], None] = say,
    ) -> None:
        _check(policies, config)
        self.questions, self.scenes, self.config = questions, scenes, config
        self.journal, self.report = journal, report
        budget = Budget(max_calls=config.max_calls, max_tokens=config.max_tokens, max_cost=config.max_cost)
        self.pool = Pool(journal, budget, batching=batch_config(config.batch), tell=tell)
        self.endpoints = [self.pool.endpoint(policy, config.limits.get(policy.name, Limits())) for policy in policies]
        if config.batch and not any(endpoint.batches for endpoint in self.endpoints):
            raise ConfigError(f"`batch` needs a policy behind an endpoint, api:MODEL@BASE_URL; got {', '.join(self._names())}")
        self.judges = {name: self._at_work(name, judge) for name, judge in (judges or {}).items()}
        self.reward = cast("Reward", reward) if hasattr(reward, "rate") else cast("RewardMaker", reward)(self.judges)
        self.prices = {endpoint.name: endpoint.limits.price for endpoint in self.endpoints}
        refuse_unknown_prices(config.max_cost, self.prices | {name: judge.limits.price for name, judge in self.judges.items()})
        self.prices |= {judge.name: judge.limits.price for judge in self.judges.values()}
        self._models = model_grounds(policies) | judge_grounds(judges or {})
        self.progress = Progress(questions=len(questions), budget=budget, endpoints=self.endpoints)
        self.stopped: str | None = None
        self.spent_up = False
        self._lacking: dict[str, Counter[str]] = {}
        self._counted: dict[str, tuple[int, int, int]] = {}
        self._filling = False
        parts = [config.search.journalled(), config.samples_per_policy, config.candidates, identity(self.reward), __version__]
        models = [model.identity for model in (*self.endpoints, *self.judges.values())]
        self._settings = records.dumps([*parts, models])

    def _names(self) -> list[str]:
        return [endpoint.name for endpoint in self.endpoints]

    def _at_work(self, name: str, judge: Judge) -> JournalledJudge:
        """A judge of this run's journal and budget."""
        limits = self.config.judge_limits.get(name)
        return self.pool.add(JournalledJudge(judge, journal=self.journal, budget=self.pool.budget, limits=limits))

    @property
    def missing(self) -> Counter[str]:
        """Number of replies that finished trees had to do without, by policy, or by judge."""
        return sum(self._lacking.values(), Counter[str]())

    async def stand(self, out: Path) -> None:
        """Refuse to continue in a folder whose models, scenes or questions of the same names are not what they were.

        Raises:
            ConfigError: If one is another.
        """
        await stand_on(self.journal, self._models | asked_grounds(self.questions, self.scenes, truth=True), out)

    async def work(self) -> None:
        """Finish every question that is not done; trees that lack replies of a policy that answers again grow anew."""
        self.report(self.progress)
        async with self.pool as pool:
            await pool.filled(partial(self._work_on_all, pool), lambda _: {} if self.spent_up else self._lacked())

    async def _work_on_all(self, pool: Pool) -> None:
        trees, self.stopped = self.config.trees_in_flight, None
        each = pool.each(self.questions, self._work_on, in_flight=max(trees, BATCHED_TREES) if self.config.batch else trees)
        async for _ in each:
            pass
        self._filling = True  # whatever is worked on after this lacked replies

    def _lacked(self) -> Counter[str]:
        """Number of replies that are missing, by policy; a question that is not finished lacks one of each."""
        return self.missing + Counter({name: len(self.progress.unfinished) for name in self._names()})

    def row(self, question: Question) -> Row | None:
        """All that is kept of a question, or None if it is not finished."""
        try:
            return self._known(self._key(question))
        except InputError:  # its image is not there
            return None

    async def _work_on(self, question: Question) -> None:
        try:
            await self._finish(question)
        except BudgetError as error:
            self.stopped, self.spent_up = str(error), True
        except (EndpointError, InputError) as error:
            self.progress.unfinished[question.id] = str(error)
            if all(endpoint.stopped is not None for endpoint in self.endpoints):
                self.stopped = f"no policy can be used any longer; the last error: {error}"
        if self.stopped is not None:
            self.pool.end()
        self.report(self.progress)

    async def _finish(self, question: Question) -> None:
        key = self._key(question)
        row = self._known(key)
        if row is None or (self._filling and missing(row["counts"])):
            row = await self._solve(question)
            await self.journal.put_question(key, records.dumps(row))
        self._count(question, row["counts"])

    def _count(self, question: Question, counts: Mapping[str, Any]) -> None:
        """Count a finished question, perhaps in place of an earlier tree of it."""
        before = self._counted.get(question.id)
        found, trajectories, right = before or (0, 0, 0)
        now = int(counts["outcome"] == "found"), counts["trajectories"], counts["right"]
        self.progress.finished += before is None
        self.progress.found += now[0] - found
        self.progress.trajectories += now[1] - trajectories
        self.progress.right += now[2] - right
        self.progress.unfinished.pop(question.id, None)
        self._counted[question.id], self._lacking[question.id] = now, missing(counts)

    async def end(self) -> None:
        """End the round, unless a budget ended it before its time: the same command requests the missing replies again."""
        if not self.spent_up and (self.missing or self.progress.unfinished):
            await self.journal.next_round()

    def learned(self) -> dict[str, dict[str, Any]]:
        """What was learned about how to send requests to endpoints, those of judges included, by their names."""
        named = {endpoint.name: endpoint.learned for endpoint in self.endpoints}
        named |= {judge.name: judge.learned for judge in self.judges.values()}
        return {name: dict(learned) for name, learned in named.items() if learned}

    def noticed(self) -> list[str]:
        """What the policies' replies show that their endpoints do not say, one per line."""
        return [line for endpoint in self.endpoints for line in endpoint.noticed()]

    def away(self) -> dict[str, str]:
        """Why policies and judges can no longer be called, by their names."""
        desks = (*self.endpoints, *self.judges.values())
        return {desk.name: str(desk.stopped) for desk in desks if desk.stopped is not None}

    def _known(self, key: str) -> Row | None:
        """The row of a key, or None if there is none that can be read, or it lacks replies since an earlier round."""
        kept = self.journal.question(key)
        try:
            row = json.loads(kept.value) if kept is not None else None
        except (ValueError, RecursionError):
            return None
        if kept is None or not isinstance(row, dict) or row.keys() != {"trajectories", "tree", "counts"}:
            return None
        return row if kept.current or not missing(row["counts"]) else None

    async def _solve(self, question: Question) -> Row:
        with tallying() as judges:
            solved = await solve(
                question,
                show(question, self.scenes[question.scene_id]),
                self.endpoints,
                self.reward,
                self.config.search,
                samples_per_policy=self.config.samples_per_policy,
                candidates=self.config.candidates,
            )
        return {
            "trajectories": [records.as_plain(trajectory) for trajectory in solved.trajectories],
            "tree": tree_to_json(solved.tree),
            "counts": count(question, solved) | _judging(judges),
        }

    def _key(self, question: Question) -> str:
        """The journal's key of a finished question: a digest of all that decides its rows."""
        image = file_digest(self.scenes[question.scene_id].image)
        return hashlib.sha256(f"{self._settings}\n{image}\n{records.dumps(question)}".encode()).hexdigest()


def _judging(judges: ReplyTally) -> dict[str, Any]:
    """The counts of judges, where any was asked: replies that are missing, and what the others took."""
    found = {"judges": dict(judges.lacking), "judging": judges.counts()}
    return {name: counts for name, counts in found.items() if counts}


def _check(policies: Sequence[Policy], config: RunConfig) -> None:
    names = [policy.name for policy in policies]
    if not names:
        raise ConfigError("a search needs at least one model in `policies`")
    if len(set(names)) < len(names):
        raise ConfigError(f"expected policies of different names; got {', '.join(names)}")
    if unknown := set(config.limits) - set(names):
        raise ConfigError(f"limits are given for {', '.join(sorted(unknown))}; the policies are {', '.join(names)}")
