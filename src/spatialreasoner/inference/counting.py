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
from typing import Any

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
class ReplyTally:
    """What some work took of models that it knows nothing of, such as the judges behind a reward.

    Attributes:
        lacking: Number of replies that it had to do without, by model.
        used: What each reply took that it used, by model and the request's key: one that is used twice was paid for once.
        failed: Why requests have no reply that it could use, by model and key, beside those of `lacking`.
    """

    lacking: Counter[str] = field(default_factory=Counter[str])
    used: dict[str, dict[str, Mapping[str, int]]] = field(default_factory=dict[str, dict[str, Mapping[str, int]]])
    failed: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def counts(self) -> dict[str, dict[str, Any]]:
        """Requests, replies, what these took in all, and failures by reason, by model."""
        return {model: self._count(model) for model in dict.fromkeys((*self.used, *self.failed))}

    def _count(self, model: str) -> dict[str, Any]:
        used, failed = self.used.get(model, {}), self.failed.get(model, {})
        taken = sum((Counter(one) for one in used.values()), Counter[str]())
        requests, failures = len(used.keys() | failed.keys()), dict(sorted(Counter(failed.values()).items()))
        return {"requests": requests, "calls": len(used), **taken, "failures": failures}


_TALLY: ContextVar[ReplyTally | None] = ContextVar("tally", default=None)


@contextmanager
def tallying() -> Generator[ReplyTally]:
    """What the work of this block took, as `note_lacking` and `note_used` tell."""
    tally = ReplyTally()
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
    """Note that the work has a reply of a model, and what it took, by the names of counts."""
    tally = _TALLY.get()
    if tally is not None:
        tally.used.setdefault(model, {})[key] = taken


def note_failed(model: str, key: str, why: str) -> None:
    """Note that a request to a model came to nothing, for a reason that asking again would not mend."""
    tally = _TALLY.get()
    if tally is not None:
        tally.failed.setdefault(model, {})[key] = why
