"""Hard stops: calls, tokens and money, each checked before a request is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spatialreasoner.core.errors import ConfigError, WorkError
from spatialreasoner.inference.journal import Journal
from spatialreasoner.inference.prices import UNKNOWN_PRICE, Price


class BudgetError(WorkError):
    """The next request would go beyond a budget; everything finished so far is kept."""


@dataclass(kw_only=True)
class Budget:
    """What may be spent in all, and what is spent; None means no limit.

    Tokens and money of a request are known only when its reply is there, so the most it can take is set aside when it is
    sent, and the difference given back.

    Attributes:
        max_calls: Maximum number of requests sent, retries included.
        max_tokens: Maximum number of tokens read and written.
        max_cost: Most money, in the currency of the prices.
        calls: Requests sent.
        tokens: Tokens read and written, or set aside.
        cost: Money spent, or set aside.
    """

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    calls: int = 0
    tokens: int = 0
    cost: float = field(default=0.0)

    def __post_init__(self) -> None:
        for name in ("max_calls", "max_tokens", "max_cost"):
            limit = getattr(self, name)
            if limit is not None and limit <= 0:
                raise ConfigError(f"`{name}` must be positive; got {limit}")

    def reserve(self, tokens: int, cost: float) -> None:
        """Set aside the most that one request can take.

        Raises:
            BudgetError: If that goes beyond a limit; nothing is set aside then, and the request must not be sent.
        """
        wanted = {"calls": self.calls + 1, "tokens": self.tokens + tokens, "cost": self.cost + cost}
        for name, amount in wanted.items():
            limit = getattr(self, f"max_{name}")
            if limit is not None and amount > limit:
                raise BudgetError(f"the next request could need {amount:.6g} {name} in all; `max_{name}` allows {limit:.6g}")
        self.calls, self.tokens, self.cost = self.calls + 1, self.tokens + tokens, self.cost + cost

    def settle(self, tokens: int, cost: float, *, reserved: tuple[int, float]) -> None:
        """Replace what was set aside for a request by what it took (nothing for one that failed)."""
        self.tokens += tokens - reserved[0]
        self.cost += cost - reserved[1]


def charge_past(budget: Budget, journal: Journal, prices: Mapping[str, Price]) -> None:
    """Count what earlier processes spent by the same journal; a request without an end counts as the most it can take."""
    for _, spent in journal.spent():
        budget.calls += spent.calls
        budget.tokens += spent.prompt_tokens + spent.completion_tokens
    if any(price.prompt or price.completion for price in prices.values()):
        for policy, read, written, cached in journal.usages():
            price = prices.get(policy, UNKNOWN_PRICE)
            budget.cost += price.cost(read, written, cached) if read else price.most(written)


def refuse_unknown_prices(max_cost: float | None, prices: Mapping[str, Price]) -> None:
    """Refuse a limit of money that cannot be kept.

    Raises:
        ConfigError: If money is limited and the price of a policy is unknown.
    """
    unknown = [name for name, price in prices.items() if not price.known]
    if max_cost is not None and unknown:
        raise ConfigError(
            f"`max_cost` needs every model's price; unknown: {', '.join(unknown)}. Give it in the name, money "
            f"per million tokens read and written, as in {unknown[0]}{'&' if '?' in unknown[0] else '?'}price=1.25/10, or use "
            "`max_tokens`"
        )
