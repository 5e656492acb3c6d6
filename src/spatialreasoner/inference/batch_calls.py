"""Requests that go into batches: the first of each form is tried alone, all others follow as it was accepted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, TypeVar

from spatialreasoner.core.errors import BusyError, EndpointError, PromptError
from spatialreasoner.inference.batching import Batches
from spatialreasoner.inference.budget import Budget
from spatialreasoner.inference.calls import Answer, Caller, PlannedCall
from spatialreasoner.inference.journal import Journal, Spent, encoded
from spatialreasoner.inference.limits import Limits

_R = TypeVar("_R")

MOST_TRIALS = 3
"""So many requests in a row are tried alone in vain; then the next ones go into a batch as they are."""


class BatchCaller(Caller):
    """Sends the requests of one model in batches.

    A parameter that an endpoint refuses would be refused in every line of a batch. So a request that holds something which the
    endpoint has not accepted yet is tried alone first, at once and at its full price, while others of its form wait; what it
    teaches holds for the batch. Where the endpoint does not answer at once, as some deployments for batches, it is a batch of
    its own.

    Budgets hold as for others. A request is noted in the journal when its batch is submitted, all of a batch at once; one whose
    batch was not accepted was not sent. Time is the server's.

    Args:
        batches: The model's batches.
        model: The model. Its `accepted`, where it has one, names what its endpoint has accepted, and its `accept` takes over
            what it accepted from an earlier process.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        journal: Journal,
        budget: Budget,
        learned: Callable[[], Mapping[str, Any]],
        batches: Batches,
        model: object,
    ) -> None:
        patient = replace(limits, timeout=inf, patience=inf, backoff=0.1, failure_threshold=10**9)
        super().__init__(name, patient, journal, budget, learned)
        self._batches, self._model = batches, model
        self._alone = Caller(name, replace(limits, price=limits.price.at_once()), journal, budget, learned)
        self._alone.failures = self.failures
        self._trying, self._trials_left = asyncio.Lock(), MOST_TRIALS
        self._kept = _accepted(journal, name)
        if self._kept:
            getattr(model, "accept", _nothing)(self._kept)

    @property
    def in_flight(self) -> int:
        """Requests sent and not ended, but those in batches."""
        return self._alone.in_flight

    def longest_wait(self) -> float:
        """Seconds since the oldest of them was sent; 0 if there is none."""
        return self._alone.longest_wait()

    async def call(self, call: PlannedCall[_R]) -> Answer[_R]:
        """Ask, and ask again where that may help.

        Raises:
            PromptError: If this prompt is not answered.
            UnavailableError: If the request failed all its tries.
            EndpointError: If the endpoint can no longer be used.
            BudgetError: If the request would go beyond a budget.
        """
        if self._is_trial(call):
            async with self._trying:
                if self._is_trial(call):  # else another was accepted meanwhile
                    return await self._try(call)
        return await super().call(call)

    def _is_trial(self, call: PlannedCall[_R]) -> bool:
        return self._trials_left > 0 and self.stopped is None and not self._batches.holds(call.key) and call.untried()

    async def _try(self, call: PlannedCall[_R]) -> Answer[_R]:
        self._trials_left -= 1
        answer = await self._at_once(call) if self._alone.answers else None
        if answer is None:
            answer = await super().call(call)
        self._trials_left = MOST_TRIALS
        accepted = frozenset[str](getattr(self._model, "accepted", ()))
        if accepted != self._kept:
            self._kept = accepted
            await self._journal.put_fact(_fact(self.name), encoded(sorted(accepted)))
        return answer

    async def _at_once(self, call: PlannedCall[_R]) -> Answer[_R] | None:
        """The answer to a request that is sent at once; None if the endpoint does not answer so."""
        try:
            return await self._alone.call(call)
        except PromptError:
            raise
        except EndpointError:
            del self.failures["stopped"]  # a batch may still be taken
            return None
        finally:
            self.calls, self._alone.calls = self.calls + self._alone.calls, 0

    def _tried(self, key: str) -> int:
        return max(0, super()._tried(key) - self._batches.holds(key))

    async def _send(self, call: PlannedCall[_R], give_up: float | None) -> Answer[_R]:
        self._raise_if_stopped()
        key, reserved, held = call.key, self.reserved(call.shares), self._batches.holds(call.key)
        if held:  # it was counted when the run began
            self._budget.expect(*reserved)
        else:
            await self._budget.hold(*reserved)
        spent = Spent(calls=0, prompt_tokens=0, completion_tokens=0)
        try:
            self._raise_if_stopped()
            reply = await call.send(partial(self._batches.post, key, reserved[0]))
            spent = call.used(reply)
        except EndpointError as error:
            raise self._failed(key, error, held) from error
        finally:
            sent = self._batches.attempt(key) is not None
            self.calls += sent
            self._budget.calls -= not sent
            self._settle(spent, reserved)
        attempt = self._batches.attempt(key)
        assert attempt is not None, "what was answered was submitted"
        return Answer(reply=reply, attempt=attempt)

    def _failed(self, key: str, error: EndpointError, held: bool) -> EndpointError:
        attempt = self._batches.attempt(key)
        if attempt is not None:
            self._journal.fail(attempt)
        if held and isinstance(error, PromptError) and not error.final:  # it was put otherwise than it would be now
            return BusyError(str(error), kind=error.kind)
        self._count(error)
        return error


def _fact(name: str) -> str:
    return f"accepted {name}"


def _accepted(journal: Journal, name: str) -> frozenset[str]:
    """What an endpoint accepted from an earlier process."""
    try:
        found = json.loads(journal.fact(_fact(name)) or "[]")
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(map(str, found)) if isinstance(found, list) else frozenset()


def _nothing(names: frozenset[str]) -> None:
    """Models of other kinds remember nothing."""
