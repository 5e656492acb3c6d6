"""Calls to a model that does its own batching (`vlm.writing`): each answer is passed on as soon as it ends."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from spatialreasoner.core.types import Completion
from spatialreasoner.inference.promised import fulfil
from spatialreasoner.vlm.writing import LendsWriters, Manner, WantedAnswer, Written

Promised = asyncio.Future[Completion]
FAILURES = (RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError, MemoryError)
"""What libraries raise where memory runs out, or a folder's settings do not fit its weights; whoever made it, not this program,
has to mend it."""

_BUNDLED, _LATEST = 16, 0.1
"""Most answers, and most seconds that the first of them waits, until they are handed on; only while others wait to be begun."""

Queued = deque[tuple[WantedAnswer, Promised]]


@dataclass(frozen=True)
class RowWriting:
    """Writes what waits, in threads.

    Attributes:
        writers: The model's.
        completion: What the model wrote as a completion.
        failure: What is said of an error of its own.
    """

    writers: LendsWriters
    completion: Callable[[Written], Completion]
    failure: Callable[[Exception], Exception]

    def write(self, waiting: Queued, share: Callable[[], int], loop: asyncio.AbstractEventLoop, how: Manner) -> None:
        """Write until no call is waiting.

        Args:
            waiting: Who waits; other threads take from there at the same time.
            share: How many take from there.
            loop: Where the answers are waited for.
            how: How it writes.
        """
        taken: dict[WantedAnswer, Promised] = {}
        bundle = _Bundle(loop)

        def take(most: int) -> list[WantedAnswer]:
            begun = dict(_taken(waiting, min(most, math.ceil(len(waiting) / max(1, share())))))
            taken.update(begun)
            if not waiting:  # who has an answer may ask for the next
                bundle.hand_on()
            return list(begun)

        ended: Exception = self.failure(RuntimeError("its thread ended early"))
        try:
            with self.writers.lent() as writer:
                for written in writer.write(take, how):
                    result = written.refusal or self.completion(written)
                    bundle.add(taken.pop(written.wanted), result)
                    if not waiting or bundle.is_due():
                        bundle.hand_on()
        except FAILURES as error:
            ended = self.failure(error)
        except Exception as error:  # noqa: BLE001  (it is raised in the waiting calls)
            ended = error
        finally:  # whatever went wrong, no call waits for ever
            for promised in taken.values():
                bundle.add(promised, ended)
            bundle.hand_on()

    def tell(self, wanted: WantedAnswer, goes_on: Callable[[int], bool], how: Manner) -> Completion:
        """Write one answer, whose tokens are passed on as they come.

        Args:
            wanted: What is wanted.
            goes_on: Called with each token; False ends the answer there.
            how: How it writes.

        Raises:
            SceneError: If the image or a region is unusable.
        """
        waiting = [replace(wanted, goes_on=goes_on)]
        with self.writers.lent() as writer:
            (written,) = writer.write(lambda most: [waiting.pop()] if waiting else [], how)
        if written.refusal is not None:
            raise written.refusal
        return self.completion(written)


class _Bundle:
    """Answers that the event loop is told of at once: it is woken for each bundle, and takes the processor from who writes.

    Args:
        loop: Where the answers are waited for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._due = loop, 0.0
        self._results: list[tuple[Promised, Completion | Exception]] = []

    def add(self, promised: Promised, result: Completion | Exception) -> None:
        """Take an answer in."""
        if not self._results:
            self._due = time.monotonic() + _LATEST
        self._results.append((promised, result))

    def is_due(self) -> bool:
        """Whether it is full, or its first answer has waited for long enough."""
        return len(self._results) >= _BUNDLED or time.monotonic() >= self._due

    def hand_on(self) -> None:
        """Tell the event loop of all that was taken in."""
        results, self._results = self._results, []
        if results:
            self._loop.call_soon_threadsafe(_fulfil_all, results)


def _fulfil_all(results: Sequence[tuple[Promised, Completion | Exception]]) -> None:
    for promised, result in results:
        fulfil(promised, result)


def _taken(waiting: Queued, most: int) -> Generator[tuple[WantedAnswer, Promised]]:
    for _ in range(most):
        with suppress(IndexError):  # another thread was faster
            wanted, answer = waiting.popleft()
            if not answer.done():
                yield wanted, answer
