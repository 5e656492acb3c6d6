"""One batch from its file to its answers, each step on disk before the next one.

A file is uploaded, which costs nothing; then the batch, its file and all its requests are noted in the journal, and only then
it is submitted, with a token of its own; then its id is noted. A process that dies in between is followed by one that looks for
the token, or the file, in the server's list of batches. So a batch that was submitted is collected, whichever process submitted
it, and one that was not is gathered again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

from spatialreasoner.core.errors import BusyError, EndpointError
from spatialreasoner.inference.backends.batch_api import MOST_FILE_BYTES, MOST_REQUESTS, Batch, BatchApi, NoBatchError
from spatialreasoner.inference.backends.http import Answered
from spatialreasoner.inference.journal import Journal, OpenBatch

_R = TypeVar("_R")

Tell = Callable[[str], None]
_Results = dict[str, Answered | EndpointError]

_GONE_AFTER = 48 * 3600.0
"""Seconds after its submission from which on a batch that the server no longer knows has no replies to collect."""

_TELL_EVERY = 30.0
"""Seconds between two lines about a batch whose status is the same."""

_CROWDED = frozenset({"token_limit_exceeded", "enqueued_token_limit_exceeded", "batch_limit_exceeded"})


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How requests are collected into batches, and how often the status of batches is checked.

    Attributes:
        quiet: Submit a batch after this many seconds without a new request.
        most_requests: Maximum number of requests in one batch.
        most_bytes: Maximum size of the file of one batch, bytes.
        first_look: Time until the first status check, seconds; later intervals are a tenth of the batch's age.
        slowest_look: Maximum interval between status checks, seconds.
        patience: Give up on the endpoint after status requests have failed for this long, seconds.
        listed_after: Time after submission during which the server may not list the batch yet, seconds.
    """

    quiet: float = 2.0
    most_requests: int = MOST_REQUESTS
    most_bytes: int = MOST_FILE_BYTES
    first_look: float = 1.0
    slowest_look: float = 60.0
    patience: float = 3600.0
    listed_after: float = 15.0


def batch_config(batch: bool | BatchConfig) -> BatchConfig | None:
    """The settings of batches; None if requests are not sent in batches."""
    return batch if isinstance(batch, BatchConfig) else BatchConfig() if batch else None


@dataclass(kw_only=True)
class Spool:
    """Requests on their way into a batch; their bodies are on disk, for images are long.

    Attributes:
        beside: The journal; the file is hidden beside it.
        token: By which the batch can be found at the server.
        requests: The most tokens that each request can take, by its key.
        size: Length of the file, bytes.
        uploaded: The file's id at the server, once it is there.
    """

    beside: Path
    token: str = field(default_factory=lambda: token_hex(16))
    requests: dict[str, int] = field(default_factory=dict[str, int])
    size: int = 0
    uploaded: str = ""

    def __post_init__(self) -> None:
        self.file = self.beside.with_name(f".{self.beside.name.lstrip('.')}.{self.token}.batch")

    def add(self, key: str, tokens: int, line: bytes) -> None:
        """Write a request."""
        with self.file.open("ab") as file:
            file.write(line)
        self.requests[key] = tokens
        self.size += len(line)

    def halves(self) -> tuple[Spool, Spool]:
        """The same requests in two files."""
        first, second = Spool(beside=self.beside), Spool(beside=self.beside)
        with self.file.open("rb") as lines:
            for place, (line, (key, tokens)) in enumerate(zip(lines, self.requests.items(), strict=True)):
                (first if place < len(self.requests) // 2 else second).add(key, tokens, line)
        self.close()
        return first, second

    @staticmethod
    def leftovers(beside: Path) -> Iterator[Path]:
        """Files of processes that died."""
        return beside.parent.glob(f".{escape(beside.name.lstrip('.'))}.*.batch")

    def close(self) -> None:
        """Delete the file."""
        self.file.unlink(missing_ok=True)


class UnsentError(EndpointError):
    """A batch failed as a whole; none of its requests was sent to the model."""


class CrowdedError(UnsentError):
    """A batch was refused for what the account has queued."""


class Submitter:
    """Submits and collects the batches of one model.

    Args:
        api: The endpoint's batch API.
        journal: Where batches are noted before they are submitted.
        name: The model, as in the journal.
        tell: Called with a line when a batch is submitted, makes progress, and ends.
        config: How patiently.
    """

    def __init__(self, api: BatchApi, journal: Journal, name: str, tell: Tell, config: BatchConfig) -> None:
        self._api, self._journal, self._name, self._tell, self._config = api, journal, name, tell, config

    async def submit(self, spool: Spool) -> OpenBatch:
        """Upload, note, submit, note the id.

        Raises:
            EndpointError: If that cannot be done, or it is not known whether it was.
        """
        if spool.uploaded:  # and refused: another batch of the same file
            spool.token = token_hex(16)
        else:
            spool.uploaded = await self._patiently(lambda: self._api.upload(spool.file))
        attempts = await self._journal.begin_batch(spool.token, self._name, spool.uploaded, spool.requests)
        noted = OpenBatch(token=spool.token, file=spool.uploaded, id="", submitted=time.time(), attempts=attempts)
        try:
            batch = await self._created(noted)
        except _UnknownEndError:
            raise
        except EndpointError:
            await self._journal.forget_batch(noted.token)
            raise
        await self._journal.name_batch(noted.token, batch.id)
        self._tell(f"{self._name}: batch {batch.id} submitted with {len(spool.requests)} requests")
        return replace(noted, id=batch.id)

    async def take_over(self, found: OpenBatch) -> OpenBatch | None:
        """A batch of an earlier process, with its id; None if it never reached the server.

        Raises:
            EndpointError: If that cannot be known.
        """
        if not found.id:
            batch = await self._found(found)
            if batch is None:
                await self._journal.forget_batch(found.token)
                return None
            await self._journal.name_batch(found.token, batch.id)
            found = replace(found, id=batch.id)
        self._tell(f"{self._name}: batch {found.id} was submitted before; its {len(found.attempts)} requests are collected")
        return found

    async def collect(self, submitted: OpenBatch) -> tuple[_Results, EndpointError]:
        """Wait for a batch's end: the results by request, and why the others have none.

        Raises:
            UnsentError: If it failed as a whole.
            EndpointError: If it cannot be collected.
        """
        try:
            batch = await self._end(submitted)
        except NoBatchError as error:
            if time.time() - submitted.submitted < _GONE_AFTER:
                raise EndpointError(
                    f"{error}; it was submitted over 48 hours ago, so it is abandoned and its requests are sent again"
                ) from error
            batch = Batch(id=submitted.id, status="expired")
        results = await self._patiently(lambda: self._read(batch))
        if batch.ended == "failed" and not results:
            await self._journal.forget_batch(submitted.token)
            crowded = batch.codes & _CROWDED or "enqueued token limit" in batch.errors.lower()
            kind = CrowdedError if crowded else UnsentError
            raise kind(f"{self._name}: batch {batch.id} failed: {batch.errors or 'it does not say why'}")
        return results, self._missing(batch)

    def _missing(self, batch: Batch) -> EndpointError:
        if batch.ended == "cancelled":
            return EndpointError(f"{self._name}: batch {batch.id} was cancelled; the same command asks for what is missing")
        return BusyError(f"{self._name}: batch {batch.id} {batch.status} without an answer to this request", kind="expired")

    async def _found(self, lost: OpenBatch) -> Batch | None:
        """A batch whose id was not noted; the server's list may be a little behind."""
        while True:
            found = await self._patiently(lambda: self._api.find(lost.file, lost.token))
            age = time.time() - lost.submitted
            if found is not None or not 0 <= age < self._config.listed_after:
                return found
            await asyncio.sleep(min(2.0, self._config.listed_after - age))

    async def _created(self, noted: OpenBatch) -> Batch:
        """Submit; where it is not known whether that was heard, look first, for a batch must not be paid for twice."""
        begun, tries = time.monotonic(), 0
        while True:
            try:
                return await self._api.create(noted.file, noted.token)
            except BusyError as error:
                if time.monotonic() - begun > self._config.patience:
                    raise _UnknownEndError(f"{error}; run the same again to check whether the batch was submitted") from error
                await asyncio.sleep(_wait(error, tries))
                tries += 1
            try:
                found = await self._patiently(lambda: self._api.find(noted.file, noted.token))
            except EndpointError as error:
                raise _UnknownEndError(str(error)) from error
            if found is not None:
                return found

    async def _end(self, submitted: OpenBatch) -> Batch:
        """The batch, when it has ended."""
        status, told, when = "", "", 0.0
        while True:
            batch = await self._patiently(lambda: self._api.get(submitted.id))
            now = f"{batch.status}, {batch.completed} of {batch.total or len(submitted.attempts)} requests answered"
            if batch.status != status or (now != told and time.monotonic() - when > _TELL_EVERY):
                self._tell(f"{self._name}: batch {submitted.id}: {now}{f', {batch.failed} failed' if batch.failed else ''}")
                status, told, when = batch.status, now, time.monotonic()
            if batch.ended:
                return batch
            age = time.time() - submitted.submitted
            await asyncio.sleep(max(self._config.first_look, min(self._config.slowest_look, age / 10)))

    async def _read(self, batch: Batch) -> _Results:
        """The results by request; an answer counts more than an error of the same request."""
        results: _Results = {}
        async for key, result in self._api.results(batch):
            if key not in results or (isinstance(result, Answered) and result.status < 300):
                results[key] = result
        return results

    async def _patiently(self, ask: Callable[[], Awaitable[_R]]) -> _R:
        """What comes of a request about batches, which may fail for a while.

        Raises:
            EndpointError: If it fails for too long, or asking again will not help.
        """
        begun, tries = time.monotonic(), 0
        while True:
            try:
                return await ask()
            except BusyError as error:
                if time.monotonic() - begun > self._config.patience:
                    raise EndpointError(f"{error}; run the same again to continue with its batches") from error
                await asyncio.sleep(_wait(error, tries))
                tries += 1


class _UnknownEndError(EndpointError):
    """Nobody knows whether a batch was submitted."""


def _wait(error: BusyError, tries: int) -> float:
    return min(60.0, max(error.retry_after or 0.0, 0.2 * 2 ** min(tries, 9)))
