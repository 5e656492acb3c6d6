"""Models at work side by side: one journal and one budget for all of them, and one way to work through many pieces.

Search, generate, judging and reward each open a pool, put their models into it, and give it their questions, predictions or
responses. What earlier processes spent is charged when the work begins, batches that they submitted are found then, and
connections are closed when it ends. What a model did not reply while it was away is asked for once it answers again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from math import inf
from types import TracebackType
from typing import Any, TypeVar

from spatialreasoner.core.progress import say
from spatialreasoner.core.protocols import Policy
from spatialreasoner.inference.batching import Batches
from spatialreasoner.inference.budget import Budget, charge_past, refuse_unknown_prices
from spatialreasoner.inference.desk import Desk
from spatialreasoner.inference.endpoint import Endpoint
from spatialreasoner.inference.journal import Journal
from spatialreasoner.inference.limits import Limits
from spatialreasoner.inference.submitting import BatchConfig
from spatialreasoner.inference.waiting import watched

_T = TypeVar("_T")
_R = TypeVar("_R")
_D = TypeVar("_D", bound=Desk[Any])


class Pool:
    """An asynchronous context manager around the work.

    Args:
        journal: Where requests and replies are kept.
        budget: What all models together may spend.
        batching: Ask models whose endpoints have a batch API in batches; None asks them at once.
        tell: Called with a line when something takes long.
    """

    def __init__(
        self,
        journal: Journal,
        budget: Budget,
        *,
        batching: BatchConfig | None = None,
        tell: Callable[[str], None] = say,
    ) -> None:
        self.journal, self.budget, self.tell = journal, budget, tell
        self._batching = batching
        self._desks: list[Desk[Any]] = []
        self._ending = False
        self._lacked = inf

    def endpoint(self, policy: Policy, limits: Limits) -> Endpoint:
        """A policy at work in this pool."""
        return self.add(
            Endpoint(policy, journal=self.journal, budget=self.budget, limits=limits, batches=self._batches(policy))
        )

    def add(self, desk: _D) -> _D:
        """A model whose desk was made with this pool's journal and budget."""
        self._desks.append(desk)
        return desk

    def _batches(self, policy: Policy) -> Batches | None:
        api = getattr(policy, "batches", None)
        if self._batching is None or api is None:
            return None
        return Batches(
            api(),
            self.journal,
            policy.name,
            tell=self.tell,
            busy=lambda: any(desk.in_flight for desk in self._desks if desk.batches is None),
            config=self._batching,
        )

    async def __aenter__(self) -> Pool:
        """Find the batches of earlier processes, and charge what these spent.

        Raises:
            ConfigError: If the cost is limited and a price unknown.
        """
        prices = {desk.name: desk.limits.price for desk in self._desks}
        refuse_unknown_prices(self.budget.max_cost, prices)
        for desk in self._desks:
            if desk.batches is not None:
                await desk.batches.open()
        batched = {desk.name for desk in self._desks if desk.batches is not None}
        charge_past(self.budget, self.journal, prices, batched)
        self._watching = watched(self._desks, self.tell)
        await self._watching.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._watching.__aexit__(kind, error, trace)
        await asyncio.gather(*(desk.aclose() for desk in self._desks))

    def each(self, pieces: Iterable[_T], work: Callable[[_T], Awaitable[_R]], *, in_flight: int) -> AsyncGenerator[_R]:
        """Work on many pieces, as `work_through` does, until `end`."""
        return work_through(pieces, work, in_flight=in_flight, ending=lambda: self._ending)

    def end(self) -> None:
        """Begin no more pieces."""
        self._ending = True

    async def filled(self, work: Callable[[], Awaitable[_R]], lacking: Callable[[_R], Mapping[str, int]]) -> _R:
        """What the work gives; it is done once more whenever it lacks replies of a model that answers again.

        Args:
            work: Works on all pieces.
            lacking: Number of replies that its pieces had to do without, by model; those of earlier processes included.
        """
        found = await work()
        while await self._can_fill(lacking(found)):
            found = await work()
        return found

    async def _can_fill(self, lacking: Mapping[str, int]) -> bool:
        """Whether a model that was away answers again; what failed is forgotten then, so that it is asked for.

        Each time, less must be lacking than the time before.
        """
        total = sum(lacking.values())
        if total >= self._lacked or not any(desk.answers and lacking.get(desk.name) for desk in self._desks):
            return False
        self._lacked, self._ending = total, False
        await self.journal.forget_unavailable()
        return True


async def work_through(
    pieces: Iterable[_T],
    work: Callable[[_T], Awaitable[_R]],
    *,
    in_flight: int,
    ahead: int | None = None,
    ending: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[_R]:
    """Work on many pieces, a limited number at a time; returns their results in order.

    Where one fails, no other is begun, those at work are waited for, since what they asked is paid for, and then its error
    is raised. `ending` ends the work in the same way, without an error.

    Args:
        pieces: What is worked on; taken one by one.
        work: Works on one.
        in_flight: Maximum number of pieces at work.
        ahead: Maximum number of pieces that may be done while an earlier one is not; None means no limit.
        ending: Whether no other piece is to be begun.
    """
    numbered, given, failed = iter(enumerate(pieces)), 0, None
    ended: asyncio.Queue[asyncio.Task[_R]] = asyncio.Queue()
    at_work: dict[asyncio.Task[_R], int] = {}
    done: dict[int, _R] = {}
    most_held = inf if ahead is None else in_flight + ahead
    try:
        while True:
            while len(at_work) < in_flight and len(at_work) + len(done) < most_held:
                taken = None if ending() or failed else next(numbered, None)
                if taken is None:
                    break
                task = asyncio.ensure_future(work(taken[1]))
                at_work[task] = taken[0]
                task.add_done_callback(ended.put_nowait)
            if not at_work:
                break
            task = await ended.get()
            place, error = at_work.pop(task), task.exception()
            if error is None:
                done[place] = task.result()
            failed = failed or error
            while given in done:
                yield done.pop(given)
                given += 1
    finally:
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
    if failed is not None:
        raise failed
