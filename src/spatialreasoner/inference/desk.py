"""One model at work: what the journal knows is not asked again, and what is asked is in the journal before it is used.

Policies and judges, whatever they reply, go through the same desk: one look-up, one way to reserve, send and settle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from spatialreasoner.core import records
from spatialreasoner.core.errors import EndpointError, PromptError, RecordError
from spatialreasoner.inference.backends.http import Post
from spatialreasoner.inference.batch_calls import BatchCaller
from spatialreasoner.inference.batching import Batches
from spatialreasoner.inference.budget import Budget
from spatialreasoner.inference.calls import Caller, PlannedCall, UnavailableError, kept_lessons
from spatialreasoner.inference.journal import Journal, Kept, Spent, encoded
from spatialreasoner.inference.limits import Limits
from spatialreasoner.inference.noticing import Noticing

_R = TypeVar("_R")

NOTHING = Spent(calls=0, prompt_tokens=0, completion_tokens=0)


@dataclass(frozen=True, kw_only=True)
class Form(Generic[_R]):
    """How the replies of a kind of model are kept.

    Attributes:
        write: A reply as JSON.
        read: The reply of a JSON; raises `RecordError` for another.
        kind: What a reply counts as: "answer", or why it is not one.
        spent: What it took; calls are counted when they are sent.
        final: Kinds that another request of the same words would not change.
    """

    write: Callable[[_R], str]
    read: Callable[[str], _R]
    kind: Callable[[_R], str]
    spent: Callable[[_R], Spent]
    final: frozenset[str]


class Desk(Generic[_R]):
    """Asks one model.

    Args:
        name: The model, in errors, budgets and the journal.
        model: The model. Its `learned` and `restore`, where it has them, say how its endpoint is to be asked; its `aclose`
            closes its connections when the run ends.
        form: How its replies are kept.
        journal: Where they are kept.
        budget: What all models together may spend.
        limits: Its limits.
        batches: Its batches, where it is asked in batches.
    """

    def __init__(
        self,
        name: str,
        model: object,
        form: Form[_R],
        *,
        journal: Journal,
        budget: Budget,
        limits: Limits,
        batches: Batches | None = None,
    ) -> None:
        self.name, self.limits, self.batches = name, limits, batches
        self._model, self._form, self._journal = model, form, journal
        restore = getattr(model, "restore", None)
        if restore is not None:
            restore(kept_lessons(journal, name))
        if batches is None:
            self._caller = Caller(name, limits, journal, budget, lambda: self.learned)
        else:
            self._caller = BatchCaller(name, limits, journal, budget, lambda: self.learned, batches, model)
        self._refused = journal.refused(name)

    @property
    def learned(self) -> Mapping[str, Any]:
        """What was learned about how to send requests to the endpoint."""
        return getattr(self._model, "learned", {})

    def noticed(self) -> Iterator[str]:
        """What its replies show that its endpoint does not say, one per line."""
        noticing: Noticing | None = getattr(self._model, "noticing", None)
        return noticing.lines(self.name) if noticing is not None else iter(())

    @property
    def stopped(self) -> EndpointError | None:
        """Why it is no longer called, or None."""
        return self._caller.stopped

    @property
    def answers(self) -> bool:
        """Whether it can be called, and replied to its last request."""
        return self._caller.answers

    @property
    def failures(self) -> Counter[str]:
        """Failed requests of this process, by kind."""
        return self._caller.failures

    @property
    def calls(self) -> int:
        """Requests of this process."""
        return self._caller.calls

    @property
    def in_flight(self) -> int:
        """Requests sent and not ended, but those in batches."""
        return self._caller.in_flight

    def longest_wait(self) -> float:
        """Seconds since the oldest request in flight was sent; 0 if there is none."""
        return self._caller.longest_wait()

    def known(self, key: str, shown: str) -> _R | None:
        """What the journal holds of a request, or None if it must be sent.

        Args:
            key: The request's key.
            shown: The key of what the model is shown, whatever the seed: a refusal holds for it.

        Raises:
            PromptError: If the prompt was refused.
            UnavailableError: If the request failed for good in this round.
        """
        if shown in self._refused and (kept := self._journal.reply(shown)) is not None:
            raise _refusal(kept)
        kept = self._journal.reply(key)
        if kept is None or not (kept.current or kept.kind in self._form.final):
            return None
        if kept.kind == "unavailable":
            raise UnavailableError(str(_said(kept).get("said", "")), kind=str(_said(kept).get("kind", "")))
        try:
            return self._form.read(kept.value)
        except RecordError:  # torn or tampered with: ask again
            self.failures["unreadable journal row"] += 1
            return None

    async def ask(
        self,
        key: str,
        shown: str,
        send: Callable[[Post | None], Awaitable[_R]],
        *,
        shares: int = 1,
        untried: Callable[[], bool] = lambda: False,
    ) -> _R:
        """Send a request that the journal does not know, and keep what comes of it.

        Args:
            key: The request's key.
            shown: The key of what the model is shown.
            send: Sends one request, in the way that it is given, or in its own.
            shares: Replies asked for at once.
            untried: Whether the endpoint has not accepted a request of this form yet.

        Raises:
            PromptError: If the model does not answer this prompt; it is not asked a second time.
            EndpointError: If it cannot be used, or no longer.
            BudgetError: If the request would go beyond a budget.
        """
        call = PlannedCall(key=key, send=send, used=self._form.spent, shares=shares, untried=untried)
        try:
            answer = await self._caller.call(call)
        except PromptError as error:
            await self._keep_refusal(shown, error)
            raise
        except UnavailableError as error:
            value = encoded({"kind": error.kind, "said": str(error)})
            await self._journal.put_reply(key, value, policy=self.name, spent=NOTHING, kind="unavailable")
            raise
        reply, form = answer.reply, self._form
        await self._journal.put_reply(
            key, form.write(reply), policy=self.name, spent=form.spent(reply), kind=form.kind(reply), attempt=answer.attempt
        )
        return reply

    async def aclose(self) -> None:
        """Close the model's connections, if it has any; batches are left to the server."""
        if self.batches is not None:
            await self.batches.close()
        close = getattr(self._model, "aclose", None)
        if close is not None:
            await close()

    async def _keep_refusal(self, shown: str, error: PromptError) -> None:
        value = encoded({"kind": error.kind, "said": str(error), "final": error.final})
        kind = "refused" if error.final else "refused once"
        await self._journal.put_reply(shown, value, policy=self.name, spent=NOTHING, kind=kind)
        self._refused.add(shown)


def _refusal(kept: Kept) -> PromptError:
    value = _said(kept)
    return PromptError(str(value.get("said", "")), kind=str(value.get("kind", "")), final=kept.kind == "refused")


def _said(kept: Kept) -> Mapping[str, Any]:
    try:
        return records.parse_record(kept.value, dict[str, Any], where="journal")
    except RecordError:
        return {}
