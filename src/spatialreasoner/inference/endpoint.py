"""A policy as the engine uses it: answered from the journal where it can be, else limited, retried and paid for."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.digests import file_digest
from spatialreasoner.core.errors import EndpointError, PromptError, RecordError
from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Completion, Prompt, Region
from spatialreasoner.inference.backends.replies import ended
from spatialreasoner.inference.budget import Budget
from spatialreasoner.inference.calls import Caller, UnavailableError, kept_lessons
from spatialreasoner.inference.journal import ANSWER, Journal, Kept, Spent, encoded
from spatialreasoner.inference.limits import Limits

FINAL = frozenset({ANSWER, "cut off", "refusal"})
"""Kinds of replies that another request of the same words would not change."""

_NOTHING = Spent(calls=0, prompt_tokens=0, completion_tokens=0)


class Endpoint:
    """A `Policy` around a policy.

    Args:
        policy: The model. Its attribute `identity`, where it has one, names all that decides its replies beside prompt and
            seed (revision, sampling settings, prompt version); else its name does. Its `attempt`, where it has one, sends one
            request. Its `aclose`, where it has one, closes its connections when the run ends.
        journal: Where replies are kept.
        budget: What all policies together may spend.
        limits: How this one may be used.
    """

    def __init__(self, policy: Policy, *, journal: Journal, budget: Budget, limits: Limits) -> None:
        self.name = policy.name
        self.identity = identity(policy)
        self.limits = limits
        self._policy, self._journal = policy, journal
        restore = getattr(policy, "restore", None)
        if restore is not None:
            restore(kept_lessons(journal, self.name))
        self._caller = Caller(self.name, limits, journal, budget, lambda: self.learned)
        self._refused = journal.refused(self.name)

    @property
    def learned(self) -> Mapping[str, Any]:
        """What the endpoint taught of how it is to be asked."""
        return getattr(self._policy, "learned", {})

    @property
    def stopped(self) -> EndpointError | None:
        """Why it is not asked any more, or None."""
        return self._caller.stopped

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
        """Requests sent and not ended."""
        return self._caller.in_flight

    def longest_wait(self) -> float:
        """Seconds since the oldest request in flight was sent; 0 where there is none."""
        return self._caller.longest_wait()

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        """The journal's reply, or else the policy's, which is in the journal before it is returned.

        Raises:
            PromptError: If the policy does not answer this prompt; it is not asked a second time.
            EndpointError: If the policy cannot be used (any more).
            BudgetError: If the request would go beyond a budget.
        """
        shown = prompt_key(self.identity, prompt)
        key = _reply_key(shown, n, seed)
        known = self._known(key, shown)
        if known is not None:
            return known
        if n > 1 and getattr(self._policy, "most_choices", None) == 1:
            singles = await asyncio.gather(*(self.complete(prompt, n=1, seed=seed + index) for index in range(n)))
            return [completion for single in singles for completion in single]
        try:
            answer = await self._caller.call(key, lambda: self._sent(prompt, n, seed), _spent, shares=n)
        except PromptError as error:
            await self._keep_refusal(shown, error)
            raise
        except UnavailableError as error:
            value = encoded({"kind": error.kind, "said": str(error)})
            await self._journal.put_reply(key, value, policy=self.name, spent=_NOTHING, kind="unavailable")
            raise
        completions = answer.reply
        value = json.dumps([vars(completion) for completion in completions])
        await self._journal.put_reply(
            key, value, policy=self.name, spent=_spent(completions), kind=ended(completions), attempt=answer.attempt
        )
        return completions

    async def _sent(self, prompt: Prompt, n: int, seed: int) -> Sequence[Completion]:
        """One request, where the policy can send one; else it may send several in its own way."""
        attempt: Callable[..., Awaitable[Sequence[Completion]]] | None = getattr(self._policy, "attempt", None)
        return await (attempt or self._policy.complete)(prompt, n=n, seed=seed)

    async def aclose(self) -> None:
        """Close the policy's connections, if it has any."""
        close = getattr(self._policy, "aclose", None)
        if close is not None:
            await close()

    def _known(self, key: str, shown: str) -> Sequence[Completion] | None:
        """What the journal holds of a request, or None where it must be sent.

        Raises:
            PromptError: If the prompt was refused.
            UnavailableError: If the request failed for good in this round.
        """
        if shown in self._refused and (kept := self._journal.reply(shown)) is not None:
            raise _refusal(kept)
        kept = self._journal.reply(key)
        if kept is None or not (kept.current or kept.kind in FINAL):
            return None
        if kept.kind == "unavailable":
            raise UnavailableError(str(_read(kept).get("said", "")), kind=str(_read(kept).get("kind", "")))
        try:
            return records.parse_record(kept.value, tuple[Completion, ...], where="journal")
        except RecordError:  # torn or tampered with: ask again
            self.failures["unreadable journal row"] += 1
            return None

    async def _keep_refusal(self, shown: str, error: PromptError) -> None:
        """Keep that a prompt was refused, whatever its seed."""
        value = encoded({"kind": error.kind, "said": str(error), "final": error.final})
        kind = "refused" if error.final else "refused once"
        await self._journal.put_reply(shown, value, policy=self.name, spent=_NOTHING, kind=kind)
        self._refused.add(shown)


def _refusal(kept: Kept) -> PromptError:
    value = _read(kept)
    return PromptError(str(value.get("said", "")), kind=str(value.get("kind", "")), final=kept.kind == "refused")


def _read(kept: Kept) -> Mapping[str, Any]:
    try:
        return records.parse_record(kept.value, dict[str, Any], where="journal")
    except RecordError:
        return {}


def identity(model: object) -> str:
    """All that decides a model's replies beside its input: its `identity`, or its name, or its class."""
    return getattr(model, "identity", None) or getattr(model, "name", None) or type(model).__qualname__


def reply_key(model: str, prompt: Prompt, *, n: int, seed: int) -> str:
    """The journal's key of a request: a digest of everything that decides the reply, the image's bytes included."""
    return _reply_key(prompt_key(model, prompt), n, seed)


def _reply_key(shown: str, n: int, seed: int) -> str:
    return hashlib.sha256(f"{shown} {n} {seed}".encode()).hexdigest()


def prompt_key(model: str, prompt: Prompt) -> str:
    """A digest of all that a model is shown: a refusal holds for it, whatever the seed."""
    image = prompt.image and file_digest(prompt.image)
    parts = [model, image, _regions_digest(prompt.regions), prompt.request, prompt.prefix]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@lru_cache(maxsize=1024)
def _regions_digest(regions: tuple[Region, ...]) -> str:
    """A digest of what a model sees of regions; all requests of a question share it."""
    seen = [[region.label, region.mask.size, region.mask.counts] for region in regions]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _spent(completions: Sequence[Completion]) -> Spent:
    return Spent(
        calls=0,  # counted when it was sent
        prompt_tokens=sum(completion.prompt_tokens for completion in completions),
        completion_tokens=sum(completion.completion_tokens for completion in completions),
        cached_tokens=sum(completion.cached_tokens for completion in completions),
    )
