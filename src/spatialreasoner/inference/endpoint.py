"""A policy as the engine uses it: answered from the journal where it can be, else limited, retried and paid for."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

from spatialreasoner.core import records
from spatialreasoner.core.digests import file_digest
from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Completion, Prompt, Region
from spatialreasoner.inference.backends.replies import ended
from spatialreasoner.inference.batching import Batches
from spatialreasoner.inference.budget import Budget
from spatialreasoner.inference.desk import Desk, Form, Post
from spatialreasoner.inference.journal import ANSWER, Journal, Spent
from spatialreasoner.inference.limits import Limits

FINAL = frozenset({ANSWER, "cut off", "refusal"})
"""Kinds of replies that another request of the same words would not change."""


class Endpoint(Desk[Sequence[Completion]]):
    """A `Policy` around a policy.

    Args:
        policy: The model. Its attribute `identity`, where it has one, names all that decides its replies beside prompt and
            seed (revision, sampling settings, prompt version); else its name does. Its `attempt`, where it has one, sends one
            request. Its `aclose`, where it has one, closes its connections when the run ends.
        journal: Where replies are kept.
        budget: What all policies together may spend.
        limits: Its limits.
        batches: Its batches, where it is asked in batches.
    """

    def __init__(
        self, policy: Policy, *, journal: Journal, budget: Budget, limits: Limits, batches: Batches | None = None
    ) -> None:
        super().__init__(policy.name, policy, _FORM, journal=journal, budget=budget, limits=limits, batches=batches)
        self.identity = identity(policy)
        self._policy = policy

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        """The journal's reply, or else the policy's, which is in the journal before it is returned.

        Raises:
            PromptError: If the policy does not answer this prompt; it is not asked a second time.
            EndpointError: If the policy cannot be used, or no longer.
            BudgetError: If the request would go beyond a budget.
        """
        shown = prompt_key(self.identity, prompt)
        key = _reply_key(shown, n, seed)
        known = self.known(key, shown)
        if known is not None:
            return known
        if n > 1 and getattr(self._policy, "most_choices", None) == 1:
            singles = await asyncio.gather(*(self.complete(prompt, n=1, seed=seed + index) for index in range(n)))
            return [completion for single in singles for completion in single]
        return await self.ask(
            key, shown, lambda post: self._sent(prompt, n, seed, post), shares=n, untried=lambda: self._untried(prompt, n)
        )

    def _untried(self, prompt: Prompt, n: int) -> bool:
        untried: Callable[..., bool] | None = getattr(self._policy, "untried", None)
        return untried is not None and untried(prompt, n=n)

    async def _sent(self, prompt: Prompt, n: int, seed: int, post: Post | None) -> Sequence[Completion]:
        """One request, where the policy can send one; else it may send several in its own way."""
        attempt: Callable[..., Awaitable[Sequence[Completion]]] | None = getattr(self._policy, "attempt", None)
        if post is not None and attempt is not None:
            return await attempt(prompt, n=n, seed=seed, post=post)
        return await (attempt or self._policy.complete)(prompt, n=n, seed=seed)


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


def _written(completions: Sequence[Completion]) -> str:
    return json.dumps([vars(completion) for completion in completions])


def _read(text: str) -> Sequence[Completion]:
    return records.parse_record(text, tuple[Completion, ...], where="journal")


def _spent(completions: Sequence[Completion]) -> Spent:
    return Spent(
        calls=0,  # counted when it was sent
        prompt_tokens=sum(completion.prompt_tokens for completion in completions),
        completion_tokens=sum(completion.completion_tokens for completion in completions),
        cached_tokens=sum(completion.cached_tokens for completion in completions),
    )


_FORM = Form[Sequence[Completion]](write=_written, read=_read, kind=ended, spent=_spent, final=FINAL)
