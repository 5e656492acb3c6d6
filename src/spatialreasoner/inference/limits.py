"""The limits of one policy: requests in flight and per minute, tries, time, tokens and their price."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.old_names import accepts_old_names, to_new_names
from spatialreasoner.inference.prices import Price


@accepts_old_names(partial(to_new_names, names={"park_after": "failure_threshold"}))
@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one policy.

    Attributes:
        concurrency: Maximum concurrent requests.
        per_minute: Maximum number of requests sent per minute, or None for no limit.
        attempts: Maximum number of tries of one request, the first included.
        patience: Timeout of a request, retries included, in seconds.
        timeout: Timeout of one try, in seconds.
        backoff: Wait before the first retry, seconds; it doubles with every try up to a minute, with jitter.
        failure_threshold: The circuit breaker: after this many requests in a row have failed all their tries, the policy is not
            called again in this run.
        max_tokens: Maximum number of tokens that one request can take, read and written; reserved while it is in flight.
        price: The price of its tokens.
    """

    concurrency: int = 16
    per_minute: float | None = None
    attempts: int = 6
    patience: float = 3600.0
    timeout: float = 3600.0
    backoff: float = 1.0
    failure_threshold: int = 5
    max_tokens: int = 8192
    price: Price = field(default_factory=Price)

    def __post_init__(self) -> None:
        for name in ("concurrency", "attempts", "failure_threshold", "max_tokens", "patience", "timeout"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive; got {getattr(self, name)}")


class Pace:
    """Spreads requests evenly over the minute.

    Args:
        per_minute: Maximum number of requests per minute, or None for no limit.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def wait(self) -> None:
        """Wait for the next place."""
        if not self._gap:
            return
        now = asyncio.get_running_loop().time()
        start, self._next = max(now, self._next), max(now, self._next) + self._gap
        await asyncio.sleep(start - now)


def unpriced(limits: Mapping[str, Limits]) -> tuple[str, ...]:
    """The names of those whose cost cannot be told, for the price of their tokens is unknown."""
    return tuple(name for name, limit in limits.items() if not limit.price.known)
