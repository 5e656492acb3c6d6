"""One request to a model: within the limits and the budget, journalled before it is sent, sent again where that may help."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Generic, TypeVar

from spatialreasoner.core.errors import AdaptedError, BusyError, EndpointError, PromptError
from spatialreasoner.inference.backends.http import Post
from spatialreasoner.inference.budget import Budget
from spatialreasoner.inference.counting import counting
from spatialreasoner.inference.journal import Journal, Spent
from spatialreasoner.inference.limits import Limits, Pace

_R = TypeVar("_R")

MOST_LESSONS_PER_CALL = 20
"""So often one request may be put otherwise; more refusals than that teach nothing."""


class UnavailableError(EndpointError):
    """A request failed all its tries.

    Args:
        message: What happened.
        kind: The class of the last failure.
    """

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[_R]):
    """The result of a request: its reply, and the number under which it was journalled."""

    reply: _R
    attempt: int


@dataclass(frozen=True, kw_only=True)
class PlannedCall(Generic[_R]):
    """A request to a model.

    Attributes:
        key: The request's key in the journal.
        send: Sends one request, in the way that it is given, or at once.
        used: What a reply took.
        shares: Replies asked for at once; each can take the limits' most tokens.
        untried: Whether the endpoint has not accepted a request of this form yet.
    """

    key: str
    send: Callable[[Post | None], Awaitable[_R]]
    used: Callable[[_R], Spent]
    shares: int = 1
    untried: Callable[[], bool] = lambda: False


class Caller:
    """Sends the requests of one model.

    Args:
        name: What to call it in errors, budgets and the journal.
        limits: Its limits.
        journal: Where requests are noted before they are sent.
        budget: What all models together may spend.
        learned: Tells what the model's endpoint has taught so far; kept in the journal.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        journal: Journal,
        budget: Budget,
        learned: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.name, self.limits = name, limits
        self.stopped: EndpointError | None = None
        self.failures: Counter[str] = Counter()
        self.calls = 0
        self._journal, self._budget, self._learned = journal, budget, learned
        self._known = dict(learned())
        self._slots = asyncio.Semaphore(limits.concurrency)
        # A few more than are in flight are noted in the journal meanwhile, so that no slot waits for the disk.
        self._boarding = asyncio.Semaphore(limits.concurrency + max(2, limits.concurrency // 4))
        self._pace = Pace(limits.per_minute)
        self._jitter = Random()
        self._failed_in_a_row = 0
        self._since: dict[int, float] = {}

    @property
    def answers(self) -> bool:
        """Whether the model can be asked and, as far as is known, replies: its last request did not fail all its tries."""
        return self.stopped is None and self._failed_in_a_row == 0

    @property
    def in_flight(self) -> int:
        """Requests sent and not ended."""
        return len(self._since)

    def longest_wait(self) -> float:
        """Seconds since the oldest request in flight was sent; 0 if there is none."""
        return time.monotonic() - min(self._since.values()) if self._since else 0.0

    async def call(self, call: PlannedCall[_R]) -> Answer[_R]:
        """Ask, and ask again where that may help.

        Raises:
            PromptError: If this prompt is not answered.
            UnavailableError: If the request failed all its tries.
            EndpointError: If the endpoint can no longer be used.
            BudgetError: If the request would go beyond a budget.
        """
        clock = asyncio.get_running_loop().time
        give_up: float | None = None
        attempt, lessons = min(self._tried(call.key), self.limits.attempts - 1), 0
        while True:
            attempt += 1
            try:
                answer = await self._send(call, give_up)
            except AdaptedError as error:
                lessons += 1
                attempt -= 1
                await self._keep_lessons()
                if lessons > MOST_LESSONS_PER_CALL:
                    raise UnavailableError(f"{error}; it refused {lessons} forms of the request", kind=error.kind) from None
            except BusyError as error:
                self.failures[error.kind] += 1
                give_up = give_up or clock() + self.limits.patience
                wait = self._wait(attempt, error)
                self._stop_if_too_long(error, wait)
                if attempt >= self.limits.attempts or clock() + wait > give_up:
                    raise self._give_up(error, attempt) from error
                await asyncio.sleep(wait)
            else:
                self._failed_in_a_row = 0
                return answer

    def _tried(self, key: str) -> int:
        """How often earlier processes sent the request in vain."""
        return self._journal.tried(key)

    async def _send(self, call: PlannedCall[_R], give_up: float | None) -> Answer[_R]:
        """One request, within the limits and the budget, noted on disk before it is sent."""
        async with self._boarding:
            self._raise_if_stopped()
            reserved = self.reserved(call.shares)
            await self._budget.hold(*reserved)
            spent = Spent(calls=0, prompt_tokens=0, completion_tokens=0)
            try:
                self._raise_if_stopped()
                attempt = await self._journal.begin(call.key, self.name, reserved[0])
                try:
                    async with self._sending(attempt, give_up):
                        with counting(partial(self._count_another, call.key)):
                            reply = await call.send(None)
                except BaseException:
                    self._journal.fail(attempt)
                    raise
                spent = call.used(reply)
            finally:
                self._settle(spent, reserved)
        return Answer(reply=reply, attempt=attempt)

    async def _count_another(self, key: str) -> None:
        """Count a further request of the same try, after a redirect say; it takes no tokens beside those that are reserved.

        Raises:
            BudgetError: If it would go beyond a budget.
        """
        self._budget.reserve(0, 0.0)
        self.calls += 1
        # under another key: how often the request itself was tried is counted by its own
        self._journal.fail(await self._journal.begin(f"{key} sent on", self.name, 0))

    def reserved(self, shares: int) -> tuple[int, float]:
        """The maximum tokens and cost of a request for `shares` replies."""
        return self.limits.max_tokens * shares, shares * self.limits.price.most(self.limits.max_tokens)

    def _settle(self, spent: Spent, reserved: tuple[int, float]) -> None:
        cost = self.limits.price.cost(spent.prompt_tokens, spent.completion_tokens, spent.cached_tokens)
        self._budget.settle(spent.prompt_tokens + spent.completion_tokens, cost, reserved=reserved)

    @asynccontextmanager
    async def _sending(self, attempt: int, give_up: float | None) -> AsyncGenerator[None]:
        """A place among the requests in flight; what goes wrong there is counted."""
        async with self._slots:
            await self._pace.wait()
            self._raise_if_stopped()
            self.calls += 1
            self._since[attempt] = time.monotonic()
            left = self.limits.timeout
            if give_up is not None:
                left = min(left, max(1.0, give_up - asyncio.get_running_loop().time()))
            try:
                async with asyncio.timeout(left):
                    yield
            except TimeoutError as error:
                raise BusyError(f"{self.name} did not reply within {left:.3g} s", kind="timeout") from error
            except EndpointError as error:
                self._count(error)
                raise
            finally:
                del self._since[attempt]

    def _count(self, error: EndpointError) -> None:
        """Count what went wrong; what asking again will not mend is the end of it. A busy endpoint is counted elsewhere."""
        if isinstance(error, PromptError):
            self.failures[error.kind] += 1
        elif not isinstance(error, BusyError):
            self.failures["stopped"] += 1
            self.stopped = error

    def _raise_if_stopped(self) -> None:
        if self.stopped is not None:
            raise self.stopped

    async def _keep_lessons(self) -> None:
        """Write down what the endpoint has taught, so that no later process has to be told again."""
        learned = dict(self._learned())
        if learned != self._known:
            self._known = learned
            await keep_lessons(self._journal, self.name, learned)

    def _wait(self, attempt: int, error: BusyError) -> float:
        """Seconds before the next try: what the endpoint says, or a doubling wait with jitter."""
        if error.retry_after is not None:
            return error.retry_after
        return min(60.0, self.limits.backoff * 2 ** min(attempt - 1, 12)) * self._jitter.uniform(0.5, 1.0)

    def _stop_if_too_long(self, error: BusyError, wait: float) -> None:
        """An endpoint that asks to wait for longer than the timeout allows is no longer called."""
        if error.retry_after is not None and wait > self.limits.patience:
            self.failures["stopped"] += 1
            self.stopped = EndpointError(
                f"{error}; it asks for a wait of {_long(wait)}; run the same again after that to resume"
            )
            raise self.stopped from error

    def _give_up(self, error: BusyError, attempts: int) -> EndpointError:
        """Count a request that failed for good; open the circuit breaker if that keeps happening."""
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self.limits.failure_threshold:
            self.stopped = EndpointError(
                f"the circuit breaker of {self.name} is open: {self._failed_in_a_row} requests in a row failed; {error}"
            )
        times = f"{attempts} times" if attempts > 1 else "once"
        limit = "" if attempts >= self.limits.attempts else f", for {self.limits.patience:g} s in all"
        return UnavailableError(f"{self.name} failed {times}{limit}: {error}", kind=error.kind)


def _long(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds > 5400 else f"{seconds / 60:.0f} minutes"


async def keep_lessons(journal: Journal, name: str, learned: Mapping[str, Any]) -> None:
    """Keep what an endpoint has taught in the journal."""
    from spatialreasoner.inference.journal import encoded

    await journal.put_fact(f"learned {name}", encoded(dict(learned)))


def kept_lessons(journal: Journal, name: str) -> Any:
    """What an endpoint taught an earlier process; None if there is nothing that can be read."""
    import json

    try:
        return json.loads(journal.fact(f"learned {name}") or "null")
    except (ValueError, RecursionError):
        return None
