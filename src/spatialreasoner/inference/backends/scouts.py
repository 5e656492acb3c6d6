"""Who goes first: what an endpoint has not accepted yet is tried by one request at a time, so that no refusal is repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from spatialreasoner.inference.backends.chat import ChatRequest


class Scouts:
    """Lets requests go side by side once all that they hold has been accepted, and one after the other before.

    Attributes:
        proven: What has been accepted.
    """

    def __init__(self) -> None:
        self.proven: frozenset[str] = frozenset()
        self._lock: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def prove(self, sent: frozenset[str]) -> None:
        """Note what has been accepted."""
        if not sent <= self.proven:
            self.proven |= sent

    @asynccontextmanager
    async def turn(self, make: Callable[[], ChatRequest]) -> AsyncGenerator[ChatRequest]:
        """Wait until a request may be sent.

        Args:
            make: Makes the request as it is to be put now; what others learned meanwhile changes it.
        """
        request = make()
        if request.sent <= self.proven:
            yield request
            return
        async with self._locked():
            request = make()
            if not request.sent <= self.proven:
                yield request
                return
        yield request

    def _locked(self) -> asyncio.Lock:
        """The lock of the running event loop; a lock cannot outlive the loop it was used in."""
        loop = asyncio.get_running_loop()
        if self._lock is None or self._lock[0] is not loop:
            self._lock = (loop, asyncio.Lock())
        return self._lock[1]
