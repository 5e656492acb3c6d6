"""What happens deep below is counted by whoever is responsible for a `with` block above; the two know nothing of each other.

Requests beyond the first that a single try sends, such as after a redirect, are counted before they are sent. Replies that
something had to do without are counted by model, and so are those that it used of models that it knows nothing of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Tally:
    """What some work took of models that it knows nothing of, such as the judges behind a reward.

    Attributes:
        lacking: Number of replies that it had to do without, by model.
        used: What each reply took that it used, by model and the request's key: one that is used twice was paid for once.
    """

    lacking: Counter[str] = field(default_factory=Counter[str])
    used: dict[str, dict[str, Mapping[str, int]]] = field(default_factory=dict[str, dict[str, Mapping[str, int]]])

    def counts(self) -> dict[str, dict[str, int]]:
        """The replies that were used, and what they took in all, by model."""
        return {
            model: {"calls": len(taken), **sum((Counter(one) for one in taken.values()), Counter[str]())}
            for model, taken in self.used.items()
        }


_TALLY: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def tallying() -> Generator[Tally]:
    """What the work of this block took, as `note_lacking` and `note_used` tell."""
    tally = Tally()
    token = _TALLY.set(tally)
    try:
        yield tally
    finally:
        _TALLY.reset(token)


def note_lacking(model: str) -> None:
    """Note that the work has to do without a reply of a model."""
    tally = _TALLY.get()
    if tally is not None:
        tally.lacking[model] += 1


def note_used(model: str, key: str, taken: Mapping[str, int]) -> None:
    """Note that the work uses a reply of a model, and what it took, by the names of counts."""
    tally = _TALLY.get()
    if tally is not None:
        tally.used.setdefault(model, {})[key] = taken
