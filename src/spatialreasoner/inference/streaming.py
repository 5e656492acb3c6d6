"""Reading an answer while it is written."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from spatialreasoner.core.protocols import Policy, StreamingPolicy
from spatialreasoner.core.types import Prompt


async def stream(policy: Policy, prompt: Prompt, *, seed: int = 0) -> AsyncGenerator[str]:
    """The continuation of `prompt.prefix` piece by piece; from a model that cannot stream, in one piece.

    Closing the generator ends the writing.

    Raises:
        EndpointError: If the model cannot be used, or fails on the way.
    """
    if not isinstance(policy, StreamingPolicy):
        (completion,) = await policy.complete(prompt, n=1, seed=seed)
        yield completion.text
        return
    pieces = policy.stream(prompt, seed=seed)
    async with aclosing(pieces):  # pyright: ignore[reportArgumentType]  # the protocol asks for no more than an iterator
        async for piece in pieces:
            yield piece
