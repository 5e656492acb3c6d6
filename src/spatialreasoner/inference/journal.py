"""The journal of a run: requests are on disk before they are sent, replies before they are used, finished questions once.

A SQLite file in write-ahead mode. Writes that wait are committed together, each commit one fsync, so a thousand calls in
flight cost no more than the disk and a core can bear; a killed process loses nothing that was acknowledged. No pickle is ever
read: values are JSON text, validated by their readers.

A reply has a kind. Answers are final. Anything else (an empty reply, a request that failed all its tries) counts for the
round in which it happened: a process that was killed continues in its round, and ends as if it had not been; a command that is
given again when all is done begins a new round, and asks for what is missing.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from spatialreasoner.core.errors import WorkError
from spatialreasoner.core.resume import hold
from spatialreasoner.inference.journal_tables import MAX_ROW, open_tables

Table = Literal["replies", "questions"]

ANSWER = "answer"
"""The kind of a reply that is one."""

_BEGIN = "INSERT INTO attempts (id, key, policy, tokens, round, open, batch) VALUES (?, ?, ?, ?, ?, 1, ?)"

_GAP = 0.005
"""Seconds between two commits at least: one costs as much as ten rows, and what is written meanwhile goes into the next."""

_COUNTED = ("calls", "prompt_tokens", "completion_tokens", "cached_tokens")
_REPLY = (  # what an earlier reply to the same request took was spent, too
    "INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, "
    f"kind = excluded.kind, round = excluded.round, {', '.join(f'{name} = {name} + excluded.{name}' for name in _COUNTED)}"
)

_AFRESH = "delete it to start afresh, replies are then asked again"


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a policy's requests took: calls sent (retries included), tokens read, written, and read from the server's cache."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply as it is kept: its value, its kind, and whether it belongs to this round."""

    value: str
    kind: str
    current: bool


@dataclass(frozen=True, kw_only=True)
class OpenBatch:
    """A batch whose end is not known.

    Attributes:
        token: Sent with it.
        file: The id of its file.
        id: Its own, "" until it is known.
        submitted: When, seconds since 1970.
        attempts: The numbers of its requests by their keys.
    """

    token: str
    file: str
    id: str
    submitted: float
    attempts: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class _Write:
    statements: Sequence[tuple[str, tuple[str | int | float, ...]]]
    done: asyncio.Future[None] | None


class Journal:
    """A journal on disk, held by one process at a time; a context manager.

    Args:
        path: The file; it and its folder are made if there are none.

    Raises:
        WorkError: If it cannot be opened, is not a journal, or another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[_Write] = []
        self._committing: asyncio.Task[None] | None = None
        self._committed = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._opened = ExitStack()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._opened.enter_context(hold(path.with_suffix(".lock"), path.parent))
            self._writer = self._opened.enter_context(closing(open_tables(path)))
            self._reader = self._opened.enter_context(closing(open_tables(path)))
            self.round = int(self.fact("round") or 0)
            self._next_attempt = self._reader.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM attempts").fetchone()[0]
            self._begun = self._tried_in_vain()
        except (sqlite3.DatabaseError, ValueError) as error:
            self._opened.close()
            raise WorkError(f"cannot open the journal {path}: {error}; {_advice(error)}") from error
        except OSError as error:
            self._opened.close()
            raise WorkError(f"cannot open the journal {path}: {error}; check the folder and the disk's free space") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
        if self._waiting:  # such as a request's end, for which nobody waited
            waiting, self._waiting = self._waiting, []
            try:
                self._commit(waiting)
            except (sqlite3.Error, ValueError, OverflowError):
                self._writer.rollback()
        self._opened.close()

    def get(self, table: Table, key: str) -> str | None:
        """The value of a key, or None."""
        row = self._row(f"SELECT value FROM {table} WHERE key = ?", (key,))
        return None if row is None else row[0]

    def reply(self, key: str) -> Kept | None:
        """What is kept under a key, or None."""
        row = self._row("SELECT value, kind, round FROM replies WHERE key = ?", (key,))
        return None if row is None else Kept(row[0], row[1], row[2] == self.round)

    def question(self, key: str) -> Kept | None:
        """The row of a finished question, or None."""
        row = self._row("SELECT value, round FROM questions WHERE key = ?", (key,))
        return None if row is None else Kept(row[0], ANSWER, row[1] == self.round)

    def refused(self, policy: str) -> set[str]:
        """The keys under which a policy's refusals are kept that still hold."""
        with self._reading():
            rows = self._reader.execute(
                "SELECT key FROM replies WHERE policy = ? AND (kind = 'refused' OR kind = 'refused once' AND round = ?)",
                (policy, self.round),
            ).fetchall()
        return {key for (key,) in rows}

    def tried(self, key: str) -> int:
        """How often a request without a reply was sent by earlier processes, in this round."""
        return self._begun[key]

    async def begin(self, key: str, policy: str, tokens: int) -> int:
        """Note that a request is about to be sent, and the most tokens it can take; returns its number when that is on disk."""
        number = self._next_attempt
        self._next_attempt += 1
        await self._put((_BEGIN, (number, key, policy, tokens, self.round, "")))
        return number

    def fail(self, attempt: int) -> None:
        """Note that a request has ended without a reply; written with what is written next."""
        self._waiting.append(_Write([("UPDATE attempts SET open = 0 WHERE id = ?", (attempt,))], None))

    async def begin_batch(self, token: str, policy: str, file: str, requests: Mapping[str, int]) -> dict[str, int]:
        """Note that a batch is about to be submitted, with all its requests.

        Args:
            token: By which it can be found at the server.
            policy: Who is asked.
            file: The id of its file.
            requests: The most tokens that each can take, by its key.

        Returns:
            The requests' numbers by their keys, when they are on disk.
        """
        numbers = {key: self._next_attempt + place for place, key in enumerate(requests)}
        self._next_attempt += len(numbers)
        rows = [(_BEGIN, (numbers[key], key, policy, most, self.round, token)) for key, most in requests.items()]
        await self._put(("INSERT INTO batches VALUES (?, ?, ?, '', ?)", (token, policy, file, time.time())), *rows)
        return numbers

    async def name_batch(self, token: str, batch: str) -> None:
        """Write a batch's id; returns when it is on disk."""
        await self._put(("UPDATE batches SET batch = ? WHERE token = ?", (batch, token)))

    async def forget_batch(self, token: str) -> None:
        """Forget a batch that was not accepted, and its requests: they were not sent."""
        await self._put(("DELETE FROM batches WHERE token = ?", (token,)), ("DELETE FROM attempts WHERE batch = ?", (token,)))

    def open_batches(self, policy: str) -> dict[str, OpenBatch]:
        """Batches with requests whose end is not known, by their tokens."""
        with self._reading():
            rows = self._reader.execute(
                "SELECT token, file, batches.batch, submitted, key, id FROM attempts JOIN batches "
                "ON attempts.batch = token WHERE open = 1 AND batches.policy = ? ORDER BY id",
                (policy,),
            ).fetchall()
        found: dict[str, OpenBatch] = {}
        for token, file, batch, submitted, key, number in rows:
            known = found.setdefault(token, OpenBatch(token=token, file=file, id=batch, submitted=submitted))
            known.attempts[key] = number
        return found

    async def put_reply(
        self, key: str, value: str, *, policy: str, spent: Spent, kind: str = ANSWER, attempt: int | None = None
    ) -> None:
        """Write one reply, and that its request has ended; returns when it is on disk."""
        taken = spent.calls, spent.prompt_tokens, spent.completion_tokens
        row = (key, policy, *taken, value, kind, spent.cached_tokens, self.round)
        statements: list[tuple[str, tuple[str | int | float, ...]]] = [(_REPLY, row)]
        if attempt is not None:
            statements.append(("UPDATE attempts SET open = 0 WHERE id = ?", (attempt,)))
        await self._put(*statements)

    async def put_question(self, key: str, value: str) -> None:
        """Write one finished question; returns when it is on disk."""
        await self._put(("INSERT OR REPLACE INTO questions VALUES (?, ?, ?)", (key, value, self.round)))

    def fact(self, name: str) -> str | None:
        """Something that is known of the run, such as what an endpoint taught, or None."""
        row = self._row("SELECT value FROM facts WHERE name = ?", (name,))
        return None if row is None else row[0]

    async def put_fact(self, name: str, value: str) -> None:
        """Write what is known of the run; returns when it is on disk."""
        await self._put(("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value)))

    def grounds(self) -> dict[str, dict[str, str]]:
        """What the outputs rest on: digests of parts by the name of the thing."""
        found: dict[str, dict[str, str]] = {}
        with self._reading():
            for name, part, digest in self._reader.execute("SELECT name, part, digest FROM grounds"):
                found.setdefault(name, {})[part] = digest
        return found

    def has_replies(self) -> bool:
        """Whether anything came of what was asked."""
        return self._row("SELECT 1 FROM replies WHERE kind <> 'unavailable' LIMIT 1", ()) is not None

    async def add_grounds(self, grounds: Mapping[str, Mapping[str, str]]) -> None:
        """Write what the outputs rest on; returns when it is on disk."""
        rows = [(name, part, digest) for name, parts in grounds.items() for part, digest in parts.items()]
        if rows:
            await self._put(*(("INSERT OR REPLACE INTO grounds VALUES (?, ?, ?)", row) for row in rows))

    async def forget_unavailable(self) -> None:
        """Forget requests that failed all their tries, so that they may be sent again, as often as new ones; they still count.

        What else is no answer, such as an empty reply, came and was paid for: it holds for its round.
        """
        unavailable = "kind = 'unavailable' AND round = ?"
        of_this_round = f"round = ? AND key IN (SELECT key FROM replies WHERE {unavailable})"
        await self._put(
            (f"UPDATE attempts SET round = -1 - round WHERE {of_this_round}", (self.round, self.round)),
            (f"DELETE FROM replies WHERE {unavailable} AND prompt_tokens + completion_tokens = 0", (self.round,)),
            (f"UPDATE replies SET round = -1 WHERE {unavailable}", (self.round,)),
        )
        with self._reading():
            self._begun = self._tried_in_vain()

    def _tried_in_vain(self) -> Counter[str]:
        """How often requests that have no reply of this round were sent in it."""
        found = self._reader.execute(
            "SELECT key, COUNT(*) FROM attempts WHERE round = ? "
            "AND key NOT IN (SELECT key FROM replies WHERE round = ?) GROUP BY key",
            (self.round, self.round),
        )
        return Counter(dict(found.fetchall()))

    async def next_round(self) -> None:
        """End the round: requests without an answer are repeated by the next process that opens the journal."""
        await self.put_fact("round", str(self.round + 1))

    def spent(self) -> Iterator[tuple[str, Spent]]:
        """What all requests so far took, policy by policy; requests with an unknown end count as their maximum."""
        sums: dict[str, list[int]] = {}
        with self._reading():
            rows = self._reader.execute(
                "SELECT policy, TOTAL(calls), TOTAL(prompt_tokens), TOTAL(completion_tokens), TOTAL(cached_tokens) "
                "FROM replies GROUP BY policy UNION ALL "
                "SELECT policy, COUNT(*), 0, TOTAL(tokens * open), 0 FROM attempts GROUP BY policy"
            ).fetchall()
        for policy, *numbers in rows:
            known = sums.setdefault(policy, [0, 0, 0, 0])
            sums[policy] = [old + int(new) for old, new in zip(known, numbers, strict=True)]
        for policy, (calls, read, written, cached) in sums.items():
            yield policy, Spent(calls=calls, prompt_tokens=read, completion_tokens=written, cached_tokens=cached)

    def usages(self) -> Iterator[tuple[str, int, int, int, int]]:
        """Policy, tokens read, written, and from a cache, and whether in a batch, of each request that took any or is open."""
        last = "SELECT key, batch, MAX(id) FROM attempts GROUP BY key"
        with self._reading():
            yield from self._reader.execute(
                "SELECT policy, prompt_tokens, completion_tokens, cached_tokens, COALESCE(batch, '') <> '' FROM replies "
                f"LEFT JOIN ({last}) AS last ON last.key = replies.key WHERE prompt_tokens + completion_tokens > 0 "
                "UNION ALL SELECT policy, 0, tokens, 0, batch <> '' FROM attempts WHERE open = 1"
            )

    def _row(self, statement: str, values: tuple[str, ...]) -> Any:
        with self._reading():
            return self._reader.execute(statement, values).fetchone()

    @contextmanager
    def _reading(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise WorkError(f"cannot read the journal {self.path}: {error}; {_AFRESH}") from error

    async def _put(self, *statements: tuple[str, tuple[str | int | float, ...]]) -> None:
        loop = asyncio.get_running_loop()
        write = _Write(statements, loop.create_future())
        self._waiting.append(write)
        if self._committing is None or self._committing.done():
            self._committing = loop.create_task(self._commit_all())
        assert write.done is not None
        await write.done

    async def _commit_all(self) -> None:
        """Commit what waits, and what is added meanwhile, until nothing does; every caller gets a result or an error."""
        batch: list[_Write] = []
        try:
            while self._waiting:
                await asyncio.sleep(max(0.0, self._committed + _GAP - time.monotonic()))
                batch, self._waiting = self._waiting, []
                await self._commit_batch(batch)
                self._committed = time.monotonic()
                _settle(batch, None)
        finally:
            _settle(
                [*batch, *self._waiting],
                WorkError(f"the journal {self.path} was not written; run the same command again to resume"),
            )

    async def _commit_batch(self, batch: Sequence[_Write]) -> None:
        """Commit together; where that fails, one by one, for one row that cannot be kept is not a reason to lose the others."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._commit, batch)
        except (sqlite3.Error, ValueError, OverflowError):
            await loop.run_in_executor(self._thread, self._commit_one_by_one, batch, loop)

    def _failure(self, error: Exception) -> WorkError:
        of_disk = isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.DataError)
        what = "check the disk's free space" if of_disk else f"expected values of at most {MAX_ROW} bytes that can be kept"
        return WorkError(f"cannot write the journal {self.path}: {error}; {what}")

    def _commit(self, batch: Sequence[_Write]) -> None:
        with self._writer:
            for write in batch:
                for statement, values in write.statements:
                    self._writer.execute(statement, values)

    def _commit_one_by_one(self, batch: Sequence[_Write], loop: asyncio.AbstractEventLoop) -> None:
        for write in batch:
            try:
                self._commit([write])
            except (sqlite3.Error, ValueError, OverflowError) as error:
                if write.done is not None:
                    loop.call_soon_threadsafe(_fail, write.done, self._failure(error))


def _fail(done: asyncio.Future[None], failure: WorkError) -> None:
    if not done.done():
        done.set_exception(failure)


def _settle(batch: Sequence[_Write], failure: WorkError | None) -> None:
    for write in batch:
        if write.done is None or write.done.done():  # nobody waits, or whoever waited was cancelled or told
            continue
        if failure is None:
            write.done.set_result(None)
        else:
            write.done.set_exception(failure)


def _advice(error: Exception) -> str:
    """A file that is not a journal is to be deleted; a disk that is full is not its fault."""
    if isinstance(error, sqlite3.OperationalError):
        return "check the folder and the disk's free space; the journal holds replies that were paid for"
    return _AFRESH


def encoded(value: object) -> str:
    """A value as JSON that every file can hold."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, sort_keys=True)
