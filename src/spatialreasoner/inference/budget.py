"""Hard limits of calls, tokens and cost, each checked before a request is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from spatialreasoner.core.errors import ConfigError, WorkError
from spatialreasoner.inference.journal import Journal
from spatialreasoner.inference.prices import UNKNOWN_PRICE, Price


class BudgetError(WorkError):
    """The next request would go beyond a budget; everything finished so far is kept."""


@dataclass(kw_only=True)
class Budget:
    """The limits of what may be spent in total, and what has been spent; None means no limit.

    The tokens and cost of a request are known only once its reply is there, so the maximum is reserved when it is sent, and the
    difference is released afterwards; a request that only what is reserved leaves no room for waits until it is released.

    Attributes:
        max_calls: Maximum number of requests sent, retries included.
        max_tokens: Maximum number of tokens read and written.
        max_cost: Maximum cost, in the currency of the prices.
        calls: Requests sent.
        tokens: Tokens read and written, or reserved.
        cost: Cost incurred, or reserved.
    """

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    calls: int = 0
    tokens: int = 0
    cost: float = field(default=0.0)
    _held: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]], repr=False)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]], repr=False)

    def __post_init__(self) -> None:
        for name in ("max_calls", "max_tokens", "max_cost"):
            limit = getattr(self, name)
            if limit is not None and limit <= 0:
                raise ConfigError(f"`{name}` must be positive; got {limit}")

    def reserve(self, tokens: int, cost: float) -> None:
        """Reserve the maximum that one request can take.

        Raises:
            BudgetError: If that would exceed a limit; nothing is reserved then, and the request must not be sent.
        """
        wanted = {"calls": self.calls + 1, "tokens": self.tokens + tokens, "cost": self.cost + cost}
        for name, amount in wanted.items():
            limit = getattr(self, f"max_{name}")
            if limit is not None and amount > limit:
                raise BudgetError(f"the next request could need {amount:.6g} {name} in all; `max_{name}` allows {limit:.6g}")
        self.calls, self.tokens, self.cost = self.calls + 1, self.tokens + tokens, self.cost + cost

    async def hold(self, tokens: int, cost: float) -> None:
        """Reserve the maximum that one request can take, as soon as requests in flight have left room for it.

        Raises:
            BudgetError: If it would exceed a limit though all that is in flight took nothing; it must not be sent.
        """
        while True:
            try:
                self.reserve(tokens, cost)
            except BudgetError:
                if not self._may_fit(tokens, cost):
                    raise
                turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
                await turn
            else:
                self._held.append((tokens, cost))
                return

    def expect(self, tokens: int, cost: float) -> None:
        """Await the end of a request of an earlier process, whose reservation was counted when the run began."""
        self._held.append((tokens, cost))

    def _may_fit(self, tokens: int, cost: float) -> bool:
        """Whether a request fits once those in flight have ended, at best."""
        if not self._held or (self.max_calls is not None and self.calls >= self.max_calls):
            return False
        least_tokens = self.tokens - sum(held for held, _ in self._held)
        least_cost = self.cost - sum(held for _, held in self._held)
        enough_tokens = self.max_tokens is None or least_tokens + tokens <= self.max_tokens
        return enough_tokens and (self.max_cost is None or least_cost + cost <= self.max_cost)

    def settle(self, tokens: int, cost: float, *, reserved: tuple[int, float]) -> None:
        """Replace the reservation of a request by what it took (nothing for one that failed)."""
        self.tokens += tokens - reserved[0]
        self.cost += cost - reserved[1]
        if reserved in self._held:
            self._held.remove(reserved)
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)


def charge_past(budget: Budget, journal: Journal, prices: Mapping[str, Price], batched: Collection[str] = frozenset()) -> None:
    """Count what earlier processes spent according to the same journal; an unfinished request counts as its maximum.

    Args:
        budget: What may be spent.
        journal: Where that is kept.
        prices: The price of each policy's tokens, in batches for those of `batched`.
        batched: Policies that are asked in batches now; what they were asked at once cost twice as much, and the other way.
    """
    for _, spent in journal.spent():
        budget.calls += spent.calls
        budget.tokens += spent.prompt_tokens + spent.completion_tokens
    if any(price.prompt or price.completion for price in prices.values()):
        for policy, read, written, cached, in_batch in journal.usages():
            price = prices.get(policy, UNKNOWN_PRICE)
            if bool(in_batch) != (policy in batched):
                price = price.in_batches() if in_batch else price.at_once()
            budget.cost += price.cost(read, written, cached) if read else price.most(written)


def refuse_unknown_prices(max_cost: float | None, prices: Mapping[str, Price]) -> None:
    """Refuse a cost limit that cannot be enforced.

    Raises:
        ConfigError: If the cost is limited and the price of a policy is unknown.
    """
    unknown = [name for name, price in prices.items() if not price.known]
    if max_cost is not None and unknown:
        raise ConfigError(
            f"`max_cost` needs every model's price; unknown: {', '.join(unknown)}. Give it in the name, money "
            f"per million tokens read and written, as in {unknown[0]}{'&' if '?' in unknown[0] else '?'}price=1.25/10, or use "
            "`max_tokens`"
        )
