"""A policy as the engine uses it: answered from the journal where it can be, else limited, retried and paid for."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from random import Random

from spatialreasoner.core import records
from spatialreasoner.core.digests import file_digest
from spatialreasoner.core.errors import BusyError, ConfigError, EndpointError, RecordError
from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Completion, Prompt
from spatialreasoner.inference.budget import Budget, Price
from spatialreasoner.inference.journal import Journal, Spent


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How one policy may be used.

    Attributes:
        concurrency: Most requests in flight.
        per_minute: Most requests sent a minute, or None.
        attempts: Most tries of one request, the first included.
        patience: Longest time that one request and its retries may take, seconds.
        timeout: Longest wait for one reply, seconds.
        backoff: Wait before the first retry, seconds; it doubles with every try up to a minute, with jitter.
        park_after: So many requests in a row that fail all their tries park the policy for the rest of the run.
        max_tokens: Most tokens that one request can take, read and written; set aside while it is in flight.
        price: What its tokens cost.
    """

    concurrency: int = 16
    per_minute: float | None = None
    attempts: int = 6
    patience: float = 3600.0
    timeout: float = 3600.0
    backoff: float = 1.0
    park_after: int = 5
    max_tokens: int = 8192
    price: Price = field(default_factory=Price)

    def __post_init__(self) -> None:
        for name in ("concurrency", "attempts", "park_after", "max_tokens", "patience", "timeout"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive; got {getattr(self, name)}")


class Endpoint:
    """A `Policy` around a policy.

    Args:
        policy: The model. Its attribute `identity`, where it has one, names all that decides its replies beside prompt and
            seed (revision, sampling settings, prompt version); else its name does. Its `aclose`, where it has one, closes its
            connections when the run ends.
        journal: Where replies are kept.
        budget: What all policies together may spend.
        limits: How this one may be used.
    """

    def __init__(self, policy: Policy, *, journal: Journal, budget: Budget, limits: Limits) -> None:
        self.name = policy.name
        self.identity = identity(policy)
        self.limits = limits
        self.stopped: EndpointError | None = None
        self.failures: Counter[str] = Counter()
        self.calls = 0
        self.in_flight = 0
        self._policy, self._journal, self._budget = policy, journal, budget
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._pace = _Pace(limits.per_minute)
        self._jitter = Random()
        self._failed_in_a_row = 0

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        """The journal's reply, or else the policy's, which is in the journal before it is returned.

        Raises:
            EndpointError: If the policy cannot be used (any more).
            BudgetError: If the request would go beyond a budget.
        """
        key = reply_key(self.identity, prompt, n=n, seed=seed)
        known = self._journal.get("replies", key)
        if known is not None:
            try:
                return records.parse_record(known, tuple[Completion, ...], where="journal")
            except RecordError:  # torn or tampered with: ask again
                self.failures["unreadable journal row"] += 1
        completions, calls = await self._call(prompt, n, seed)
        tokens = _tokens(completions)
        spent = Spent(calls=calls, prompt_tokens=tokens[0], completion_tokens=tokens[1])
        value = records.dumps([asdict(completion) for completion in completions])
        await self._journal.put_reply(key, value, policy=self.name, spent=spent)
        return completions

    async def aclose(self) -> None:
        """Close the policy's connections, if it has any."""
        close = getattr(self._policy, "aclose", None)
        if close is not None:
            await close()

    async def _call(self, prompt: Prompt, n: int, seed: int) -> tuple[Sequence[Completion], int]:
        """Ask, and ask again where that may help; the reply, and how many requests it took."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + self.limits.patience
        for attempt in range(1, self.limits.attempts + 1):
            try:
                completions = await self._send(prompt, n, seed)
            except BusyError as error:
                self.failures[error.kind] += 1
                wait = self._wait(attempt, error)
                if attempt == self.limits.attempts or clock() + wait > give_up:
                    raise self._give_up(error) from error
                await asyncio.sleep(wait)
            else:
                self._failed_in_a_row = 0
                return completions, attempt
        raise AssertionError("the last attempt returns or raises")

    async def _send(self, prompt: Prompt, n: int, seed: int) -> Sequence[Completion]:
        """One request, within the limits and the budget."""
        async with self._slots:
            await self._pace.wait()
            if self.stopped is not None:
                raise self.stopped
            reserved = (self.limits.max_tokens * n, self.limits.price.most(self.limits.max_tokens * n))
            self._budget.reserve(*reserved)
            self.calls += 1
            self.in_flight += 1
            used = (0, 0)
            try:
                async with asyncio.timeout(self.limits.timeout):
                    completions = await self._policy.complete(prompt, n=n, seed=seed)
                used = _tokens(completions)
            except TimeoutError as error:
                raise BusyError(f"{self.name} did not reply within {self.limits.timeout:g} s", kind="timeout") from error
            except BusyError:
                raise
            except EndpointError as error:
                self.failures["stopped"] += 1
                self.stopped = error
                raise
            finally:
                self.in_flight -= 1
                self._budget.settle(sum(used), self.limits.price.cost(*used), reserved=reserved)
        return completions

    def _wait(self, attempt: int, error: BusyError) -> float:
        """Seconds before the next try: what the endpoint says, or a doubling wait with jitter."""
        if error.retry_after is not None:
            return error.retry_after
        return min(60.0, self.limits.backoff * 2 ** (attempt - 1)) * self._jitter.uniform(0.5, 1.0)

    def _give_up(self, error: BusyError) -> EndpointError:
        """Count a request that failed for good; park the policy if that keeps happening."""
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self.limits.park_after:
            self.stopped = EndpointError(f"{self.name} is parked: {self._failed_in_a_row} requests in a row failed; {error}")
        return EndpointError(f"{self.name} failed {self.limits.attempts} times: {error}")


class _Pace:
    """Spreads requests evenly over the minute."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def wait(self) -> None:
        if not self._gap:
            return
        now = asyncio.get_running_loop().time()
        start, self._next = max(now, self._next), max(now, self._next) + self._gap
        await asyncio.sleep(start - now)


def identity(model: object) -> str:
    """All that decides a model's replies beside its input: its `identity`, or its name, or its class."""
    return getattr(model, "identity", None) or getattr(model, "name", None) or type(model).__qualname__


def reply_key(model: str, prompt: Prompt, *, n: int, seed: int) -> str:
    """The journal's key of a request: a digest of everything that decides the reply, the image's bytes included."""
    regions = [[region.label, region.mask.size, region.mask.counts] for region in prompt.regions]
    parts = [model, prompt.image and file_digest(prompt.image), regions, prompt.request, prompt.prefix, n, seed]
    return hashlib.sha256(records.dumps(parts).encode()).hexdigest()


def _tokens(completions: Sequence[Completion]) -> tuple[int, int]:
    return sum(c.prompt_tokens for c in completions), sum(c.completion_tokens for c in completions)
