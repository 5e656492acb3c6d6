"""An output in the making: rows that a killed process wrote are kept, and two processes never write the same output."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from glob import escape
from pathlib import Path
from typing import IO

from spatialreasoner.core.errors import WorkError
from spatialreasoner.core.records import writing


@contextmanager
def hold(lock: Path, work: Path) -> Generator[None]:
    """Hold a file lock on a piece of work; the system releases it however this process ends.

    Args:
        lock: The lock's file; it stays, and is empty.
        work: What other processes must leave alone, for their error.

    Raises:
        WorkError: If another process holds it.
    """
    with ExitStack() as opened:
        try:
            connection = sqlite3.connect(lock, timeout=0, isolation_level=None, check_same_thread=False)
            opened.enter_context(closing(connection))
            connection.execute("BEGIN EXCLUSIVE")  # SQLite has locks on every system, and they end with their process
        except sqlite3.Error as error:
            if error.sqlite_errorname != "SQLITE_BUSY":
                raise WorkError(f"cannot lock {lock}: {error}; check the folder and the disk's free space") from error
            raise WorkError(f"another process works in {work}; wait for it to end, or write somewhere else") from error
        yield


@contextmanager
def unfinished(out: Path, key: str) -> Generator[tuple[IO[str], int]]:
    """A file of lines on its way to `out`: it gets that name when all lines are there, and else stays for the next try.

    Until then it is a hidden file beside `out` whose name carries the key, so lines made of other inputs are never taken for
    these. A line that a dying process left torn is cut off.

    Args:
        out: The file to write.
        key: A digest of all that decides the lines.

    Yields:
        The file, to append the missing lines to, and how many lines it has.

    Raises:
        WorkError: If another process writes `out`, or it cannot be written.
    """
    with writing(out.parent), hold(out.with_name(f".{out.name}.lock"), out):
        hidden = out.with_name(f".{out.name}.{key[:16]}.unfinished")
        done = _whole_lines(hidden)
        with hidden.open("a", encoding="utf-8") as file:
            yield file, done
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(out)
        for other in out.parent.glob(f".{escape(out.name)}.*.unfinished"):
            other.unlink()


def _whole_lines(path: Path) -> int:
    """Cut off what follows the last whole line of a file, if there is one; returns the number of lines."""
    if not path.exists():
        return 0
    count = end = 0
    with path.open("rb+") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            count, end = count + 1, end + len(line)
        file.truncate(end)
    return count
