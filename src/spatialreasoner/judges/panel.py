"""Several evaluators as one: the paper rates every step by M = 2 of them (appendix C)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from spatialreasoner.core.errors import ConfigError, EndpointError
from spatialreasoner.core.protocols import Reward
from spatialreasoner.core.types import Question, RewardBreakdown
from spatialreasoner.inference.endpoint import identity


class Panel:
    """A `Reward` whose ratings are those of several evaluators side by side.

    A step's mean rating is then the mean over evaluators and criteria, as the paper prunes by. An evaluator that fails is left
    out of that step; whole answers are scored, and right told from wrong, by the first.

    Args:
        evaluators: The evaluators by name; names precede their criteria, as in "qwen: spatial".

    Raises:
        ConfigError: If there is none.
    """

    def __init__(self, evaluators: Mapping[str, Reward]) -> None:
        if not evaluators:
            raise ConfigError("a panel needs at least one evaluator")
        self._evaluators = dict(evaluators)
        self._first = next(iter(self._evaluators.values()))
        self.identity = f"panel {[(name, identity(evaluator)) for name, evaluator in self._evaluators.items()]}"

    async def rate(self, question: Question, prefix: str, step: str) -> Mapping[str, float]:
        """The ratings of all evaluators that do not fail.

        Raises:
            EndpointError: If all of them fail.
        """
        given = await asyncio.gather(
            *(evaluator.rate(question, prefix, step) for evaluator in self._evaluators.values()), return_exceptions=True
        )
        ratings: dict[str, float] = {}
        for name, rated in zip(self._evaluators, given, strict=True):
            if isinstance(rated, BaseException):
                if not isinstance(rated, EndpointError):
                    raise rated
                continue
            ratings |= {f"{name}: {criterion}": rating for criterion, rating in rated.items()}
        _refuse_if_all_failed(given)
        return ratings

    async def score(self, question: Question, text: str) -> RewardBreakdown:
        """The first evaluator's score."""
        return await self._first.score(question, text)

    def succeeds(self, question: Question, text: str) -> bool | None:
        """The first evaluator's verdict."""
        return self._first.succeeds(question, text)


def _refuse_if_all_failed(given: Sequence[Mapping[str, float] | BaseException]) -> None:
    failures = [rated for rated in given if isinstance(rated, EndpointError)]
    if len(failures) == len(given):
        raise EndpointError(f"no evaluator could rate the step; the first error: {failures[0]}")
