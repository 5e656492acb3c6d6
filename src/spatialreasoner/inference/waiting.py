"""What is being waited for: a line now and then while nothing comes back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

PATIENCE = 10.0
"""Seconds of silence before it is said what is waited for, and between two lines."""


class Waiting(Protocol):
    """Something that has requests in flight."""

    name: str

    @property
    def in_flight(self) -> int:
        """Requests sent and not ended."""
        ...

    def longest_wait(self) -> float:
        """Seconds since the oldest of them was sent."""
        ...


@asynccontextmanager
async def watched(
    waiting: Sequence[Waiting], tell: Callable[[str], None], *, patience: float = PATIENCE
) -> AsyncGenerator[None]:
    """Report what is waited for while the block runs.

    Args:
        waiting: Who has requests in flight.
        tell: Called with a line.
        patience: Seconds of waiting before the first line, and between two.
    """
    watching = asyncio.create_task(_watch(waiting, tell, patience))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(waiting: Sequence[Waiting], tell: Callable[[str], None], patience: float) -> None:
    clock = asyncio.get_running_loop().time
    told = {one.name: -math.inf for one in waiting}
    while True:
        await asyncio.sleep(patience / 10)  # a request that is sent between two looks is not overlooked for long
        for one in waiting:
            seconds = one.longest_wait()
            if seconds >= patience and clock() - told[one.name] >= patience:
                told[one.name] = clock()
                tell(f"waiting for {one.name}: {one.in_flight} requests in flight, the oldest for {seconds:.0f} s")
