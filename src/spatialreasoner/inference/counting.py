"""What happens deep below is counted by whoever is responsible for a `with` block above; the two know nothing of each other.

Requests beyond the first that a single try sends, such as after a redirect, are counted before they are sent. Replies that
something had to do without are counted by model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

Count = Callable[[], Awaitable[None]]
"""Counts one more request; raises if that would go beyond a budget, and then it must not be sent."""

_COUNT: ContextVar[Count | None] = ContextVar("count", default=None)


@contextmanager
def counting(count: Count) -> Generator[None]:
    """Further requests that are sent in this block are counted by `count`."""
    token = _COUNT.set(count)
    try:
        yield
    finally:
        _COUNT.reset(token)


async def count_another() -> None:
    """Count one more request of the same try, about to be sent; without anybody who counts, nothing happens."""
    count = _COUNT.get()
    if count is not None:
        await count()


_LACKING: ContextVar[Counter[str] | None] = ContextVar("lacking", default=None)


@contextmanager
def lacking() -> Generator[Counter[str]]:
    """How many replies the work of this block had to do without, by model, as `note_lacking` tells."""
    counts = Counter[str]()
    token = _LACKING.set(counts)
    try:
        yield counts
    finally:
        _LACKING.reset(token)


def note_lacking(model: str) -> None:
    """Note that the work has to do without a reply of a model."""
    counts = _LACKING.get()
    if counts is not None:
        counts[model] += 1
