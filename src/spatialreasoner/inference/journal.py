"""The journal of a run: every reply is on disk before it is used, and every finished question is on disk once.

A SQLite file in write-ahead mode. Writes that wait are committed together, each commit one fsync, so a thousand calls in
flight cost no more than the disk can bear; a killed process loses nothing that was acknowledged. No pickle is ever read:
values are JSON text, validated by whoever asks for them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spatialreasoner.core.errors import WorkError
from spatialreasoner.core.resume import hold

Table = Literal["replies", "questions"]

_TABLES = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, policy TEXT NOT NULL, calls INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS questions (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a policy's replies in the journal took: calls sent (retries included), tokens read and written."""

    calls: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class _Write:
    statement: str
    values: tuple[str | int, ...]
    done: asyncio.Future[None]


class Journal:
    """A journal on disk, held by one process at a time; a context manager.

    Args:
        path: The file; it and its folder are made if there are none.

    Raises:
        WorkError: If it cannot be opened, is no journal, or another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[_Write] = []
        self._committing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._opened = ExitStack()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._opened.enter_context(hold(path.with_suffix(".lock"), path.parent))
            self._writer = self._opened.enter_context(closing(_open(path)))
            self._reader = self._opened.enter_context(closing(_open(path)))
        except (sqlite3.Error, OSError) as error:
            self._opened.close()
            raise WorkError(
                f"cannot open the journal {path}: {error}; delete it to start afresh, replies are then asked again"
            ) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
        self._opened.close()

    def get(self, table: Table, key: str) -> str | None:
        """The value of a key, or None."""
        with self._reading():
            row = self._reader.execute(f"SELECT value FROM {table} WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    async def put_reply(self, key: str, value: str, *, policy: str, spent: Spent) -> None:
        """Write one reply; returns when it is on disk."""
        await self._put(
            "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?, ?)",
            (key, policy, spent.calls, spent.prompt_tokens, spent.completion_tokens, value),
        )

    async def put_question(self, key: str, value: str) -> None:
        """Write one finished question; returns when it is on disk."""
        await self._put("INSERT OR REPLACE INTO questions VALUES (?, ?)", (key, value))

    def spent(self) -> Iterator[tuple[str, Spent]]:
        """What all replies so far took, policy by policy."""
        with self._reading():
            rows = self._reader.execute(
                "SELECT policy, SUM(calls), SUM(prompt_tokens), SUM(completion_tokens) FROM replies GROUP BY policy"
            ).fetchall()
        for policy, calls, prompt_tokens, completion_tokens in rows:
            yield policy, Spent(calls=calls, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)

    @contextmanager
    def _reading(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise WorkError(
                f"cannot read the journal {self._path}: {error}; delete it to start afresh, replies are then asked again"
            ) from error

    async def _put(self, statement: str, values: tuple[str | int, ...]) -> None:
        loop = asyncio.get_running_loop()
        write = _Write(statement, values, loop.create_future())
        self._waiting.append(write)
        if self._committing is None or self._committing.done():
            self._committing = loop.create_task(self._commit_all())
        await write.done

    async def _commit_all(self) -> None:
        """Commit what waits, and what has come to wait meanwhile, until nothing does."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, batch)
            except sqlite3.Error as error:
                failure = WorkError(f"cannot write the journal {self._path}: {error}; check the disk's free space")
                _settle(batch, failure)
            else:
                _settle(batch, None)

    def _commit(self, batch: list[_Write]) -> None:
        with self._writer:
            for write in batch:
                self._writer.execute(write.statement, write.values)


def _settle(batch: list[_Write], failure: WorkError | None) -> None:
    for write in batch:
        if write.done.done():  # whoever waited was cancelled
            continue
        if failure is None:
            write.done.set_result(None)
        else:
            write.done.set_exception(failure)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_TABLES)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
