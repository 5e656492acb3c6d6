"""The interfaces to the outside, in one module.

Models are asynchronous because teachers are remote and many trees are in flight at once; a local model gathers the calls
that wait into batches of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from spatialreasoner.core.types import Completion, Intrinsics, Prompt, Question, RewardBreakdown


class Policy(Protocol):
    """A model that continues an answer."""

    @property
    def name(self) -> str:
        """Its name on the command line and in records, such as `scripted:careful`."""
        ...

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        """Write `n` continuations of `prompt.prefix`, up to the end of the answer.

        The same prompt, `n` and `seed` give the same completions where the model allows it.

        Raises:
            EndpointError: If the model cannot be used.
        """
        ...


@runtime_checkable
class StreamingPolicy(Policy, Protocol):
    """A model that can be read while it writes."""

    def stream(self, prompt: Prompt, *, seed: int) -> AsyncIterator[str]:
        """Write one continuation piece by piece; the pieces joined are what `complete` would give.

        Raises:
            EndpointError: If the model cannot be used, or fails on the way.
        """
        ...


class Reward(Protocol):
    """What the search knows of right and wrong."""

    async def rate(self, question: Question, prefix: str, step: str) -> Mapping[str, float]:
        """Rate one new step of an answer, -1..1 per criterion (the three of the paper, appendix C).

        A criterion that says nothing about this step, or could not be scored, is absent.

        Args:
            question: What is answered.
            prefix: The answer up to this step.
            step: One heading and its text.
        """
        ...

    async def score(self, question: Question, text: str) -> RewardBreakdown:
        """The fine-grained reward of a complete answer."""
        ...

    def succeeds(self, question: Question, text: str) -> bool | None:
        """Whether the conclusion of `text` agrees with the reference; None if it cannot be told."""
        ...


@dataclass(frozen=True, kw_only=True)
class GradeRequest:
    """What a judge is shown: the prompt and the answer to grade, and the depth image where there is one."""

    prompt: Prompt
    text: str
    reference: str | None = None
    depth_image: str | None = None


@dataclass(frozen=True, kw_only=True)
class Grade:
    """A judge's scores by criterion (each 0..1), its reasons, and why it failed if it did; a failed grade has no scores.

    The tokens are what it took, where the judge tells it.
    """

    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])
    failure: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Judge(Protocol):
    """A model that grades answers."""

    async def grade(self, request: GradeRequest) -> Grade:
        """Grade one answer. Never raises for a bad reply: that is a `Grade` with `failure`."""
        ...


class Embedder(Protocol):
    """A model that puts words of like meaning near one another."""

    def embed(self, words: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """One vector of length 1 per text: their inner product is their likeness, -1..1."""
        ...


class DepthEstimator(Protocol):
    """A model that sees depth in an image."""

    @property
    def metric(self) -> bool:
        """Whether its depth is in metres; otherwise it only orders pixels."""
        ...

    def estimate(self, image: str) -> tuple[Float[np.ndarray, "h w"], Intrinsics | None]:
        """Depth along z in metres (NaN where unknown), and the camera where the model tells it."""
        ...
