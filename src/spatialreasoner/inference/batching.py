"""Requests gathered into batches: all that can be asked now is in one, and everybody waits for its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from spatialreasoner.core.errors import BusyError, EndpointError, WorkError
from spatialreasoner.inference.backends.batch_api import BatchApi, row
from spatialreasoner.inference.backends.http import Answered
from spatialreasoner.inference.journal import Journal, OpenBatch
from spatialreasoner.inference.promised import fulfil
from spatialreasoner.inference.submitting import BatchConfig, CrowdedError, Spool, Submitter, Tell, UnsentError


class Batches:
    """The batches of one model.

    Args:
        api: The endpoint's batch API.
        journal: Where batches are noted before they are submitted.
        name: The model, as in the journal.
        tell: Called with a line when a batch is submitted, makes progress, and ends.
        busy: Whether somebody else is at work whose result will lead to more requests soon.
        config: How requests are gathered.
    """

    def __init__(
        self,
        api: BatchApi,
        journal: Journal,
        name: str,
        *,
        tell: Tell,
        busy: Callable[[], bool] = lambda: False,
        config: BatchConfig | None = None,
    ) -> None:
        self._journal, self._name, self._tell, self._busy = journal, name, tell, busy
        self._config = config or BatchConfig()
        self._submitter = Submitter(api, journal, name, tell, self._config)
        self._waiting: dict[str, asyncio.Future[Answered]] = {}
        self._results: dict[str, Answered | WorkError] = {}
        self._held: dict[str, OpenBatch] = {}
        self._attempts: dict[str, int] = {}
        self._spool: Spool | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._at_work: set[asyncio.Task[None]] = set()
        self._collecting: set[str] = set()
        self._in_turn, self._one_ended, self._submitted = asyncio.Lock(), asyncio.Event(), 0
        self._refused: EndpointError | None = None

    async def open(self) -> None:
        """Find the batches of earlier processes; an error in doing so is raised to those who ask."""
        for left in Spool.leftovers(self._journal.path):
            left.unlink(missing_ok=True)
        try:
            for found in self._journal.open_batches(self._name).values():
                taken = await self._submitter.take_over(found)
                if taken is not None:
                    self._held |= dict.fromkeys(taken.attempts, taken)
                    self._attempts |= taken.attempts
        except EndpointError as error:
            self._refused = error

    async def close(self) -> None:
        """Leave the batches to the server; the same command collects them."""
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._at_work):
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        if self._spool is not None:
            self._spool.close()

    def holds(self, key: str) -> bool:
        """Whether an earlier process submitted a request that has not been collected."""
        return key in self._held

    def attempt(self, key: str) -> int | None:
        """The number of a request in the journal; None if it was not submitted."""
        return self._attempts.get(key)

    async def post(self, key: str, tokens: int, body: Mapping[str, object]) -> Answered:
        """Put a request into the next batch, and wait for its answer.

        Args:
            key: The request's key in the journal.
            tokens: The most that it can take.
            body: Its JSON.

        Raises:
            BusyError: If it has no answer, and asking again may help.
            EndpointError: If batches can no longer be used.
        """
        if key in self._results:
            return self._taken(key)
        if self._refused is not None:
            raise self._refused
        if key not in self._waiting:
            if key not in self._held:
                self._gather(key, tokens, body)
            self._waiting[key] = asyncio.get_running_loop().create_future()
            if key in self._held and self._held[key].token not in self._collecting:
                self._collecting.add(self._held[key].token)
                self._begin(self._collect(self._held[key]), self._held[key].attempts)
        return await asyncio.shield(self._waiting[key])

    def _gather(self, key: str, tokens: int, body: Mapping[str, object]) -> None:
        line = row(key, body)
        self._attempts.pop(key, None)
        spool = self._spool
        full = spool is not None and spool.size + len(line) > self._config.most_bytes
        if full or (spool is not None and len(spool.requests) >= self._config.most_requests):
            self._submit()
        self._spool = self._spool or Spool(beside=self._journal.path)
        try:
            self._spool.add(key, tokens, line)
        except OSError as error:
            raise WorkError(f"cannot write {self._spool.file}: {error}; check the disk's free space") from error
        self._wait_for_quiet()

    def _wait_for_quiet(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._config.quiet, self._quiet)

    def _quiet(self) -> None:
        if self._busy():
            self._wait_for_quiet()
        else:
            self._submit()

    def _submit(self) -> None:
        spool, self._spool = self._spool, None
        if spool is not None:
            self._begin(self._run(spool), spool.requests)

    def _begin(self, work: Awaitable[None], requests: Mapping[str, int]) -> None:
        """Do something for requests; an error is passed to them."""
        task = asyncio.ensure_future(self._told(work, requests))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _told(self, work: Awaitable[None], requests: Mapping[str, int]) -> None:
        try:
            await work
        except WorkError as error:
            if isinstance(error, EndpointError) and not isinstance(error, BusyError):
                self._refused = error
            for key in requests:
                self._settle(key, error)

    async def _run(self, spool: Spool) -> None:
        """Submit requests and collect their answers; where too much is queued, one batch after the other, and smaller ones."""
        if not await self._fits(spool):
            async with self._in_turn:
                await self._run_in_turn(spool)

    async def _run_in_turn(self, spool: Spool) -> None:
        while not await self._fits(spool):
            if self._submitted:
                await self._one_ended.wait()
                continue
            if len(spool.requests) == 1:
                raise EndpointError(f"{self._name}: the account may not queue even one more request now")
            self._tell(f"{self._name}: {len(spool.requests)} requests are more than may be queued; submitted in halves")
            for half in spool.halves():
                await self._run_in_turn(half)
            return

    async def _fits(self, spool: Spool) -> bool:
        """Submit a batch and collect it; False if more would be queued then than the account may."""
        submitted = await self._submitter.submit(spool)
        self._attempts |= submitted.attempts
        self._submitted += 1
        try:
            await self._collect(submitted)
        except CrowdedError:
            return False
        finally:
            self._submitted -= 1
            self._one_ended.set()
            self._one_ended = asyncio.Event()
        spool.close()
        return True

    async def _collect(self, submitted: OpenBatch) -> None:
        try:
            results, missing = await self._submitter.collect(submitted)
        except UnsentError as error:
            for key in submitted.attempts:
                self._attempts.pop(key, None)
            held = [key for key in submitted.attempts if self._held.pop(key, None) is not None]
            if isinstance(error, CrowdedError) and held:  # of an earlier process: they are gathered again
                raise BusyError(str(error), kind="rate limit") from error
            raise
        if not isinstance(missing, BusyError) and len(results) < len(submitted.attempts):
            self._refused = missing
        for key in submitted.attempts:
            self._settle(key, results.get(key, missing))

    def _settle(self, key: str, result: Answered | WorkError) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            if key in self._held:
                self._results[key] = result
            return
        self._held.pop(key, None)
        fulfil(waiting, result)

    def _taken(self, key: str) -> Answered:
        """What was collected of an earlier batch before anybody asked for it."""
        self._held.pop(key, None)
        result = self._results.pop(key)
        if isinstance(result, Answered):
            return result
        raise result
