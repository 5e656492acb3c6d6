"""Who goes first: what an endpoint has not accepted yet is tried by one request at a time, so that no refusal is repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from spatialreasoner.core.errors import EndpointError
from spatialreasoner.inference.backends.chat import ChatRequest


class Scouts:
    """Lets requests go side by side once all that they hold has been accepted, and one after the other before.

    Attributes:
        proven: What has been accepted.
    """

    def __init__(self) -> None:
        self.proven: frozenset[str] = frozenset()
        self._lock: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._stopped: list[EndpointError] = []

    def prove(self, sent: frozenset[str]) -> None:
        """Note what has been accepted."""
        if not sent <= self.proven:
            self.proven |= sent

    @asynccontextmanager
    async def turn(self, make: Callable[[], ChatRequest]) -> AsyncGenerator[ChatRequest]:
        """Wait until a request may be sent.

        Args:
            make: Makes the request as it is to be put now; what others learned meanwhile changes it.

        Raises:
            EndpointError: If the one that was waited for heard that the endpoint cannot be used; it holds for those who waited.
        """
        request, before = make(), len(self._stopped)
        if request.sent <= self.proven:
            yield request
            return
        async with self._locked():
            if len(self._stopped) > before:
                raise self._stopped[-1]
            request = make()
            if not request.sent <= self.proven:
                try:
                    yield request
                except EndpointError as error:
                    if type(error) is EndpointError:  # neither of the moment, nor of the prompt, nor of how it was put
                        self._stopped.append(error)
                    raise
                return
        yield request

    def _locked(self) -> asyncio.Lock:
        """The lock of the running event loop; a lock cannot outlive the loop it was used in."""
        loop = asyncio.get_running_loop()
        if self._lock is None or self._lock[0] is not loop:
            self._lock = (loop, asyncio.Lock())
        return self._lock[1]
