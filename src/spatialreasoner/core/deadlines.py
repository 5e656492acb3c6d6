"""A deadline for Python code that does not look at a clock itself, in whichever thread it runs.

Signals reach the main thread alone, and a process of its own takes longer than most of what is to be limited. So one thread
watches: when a deadline passes, the interpreter is told to raise an error in the thread that is late (CPython's
`PyThreadState_SetAsyncExc`), between two of its bytecodes. A single operation in C is waited for.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

_LOOK = 0.25
"""Seconds between two looks at the clock, while there is a deadline."""


class DeadlineError(Exception):
    """The deadline of a block has passed."""


class _Watch:
    """The blocks at work by their threads: when each must have ended."""

    def __init__(self) -> None:
        self._ends: dict[int, float] = {}
        self._changes = threading.Condition()
        self._thread: threading.Thread | None = None
        self._idle = False

    def begin(self, thread: int, end: float) -> None:
        with self._changes:
            self._ends[thread] = end
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="deadlines", daemon=True)
                self._thread.start()
            elif self._idle:
                self._idle = False
                self._changes.notify()

    def end(self, thread: int) -> None:
        """Forget a block; an error that has been asked for and has not come yet does not come."""
        with self._changes:
            if self._ends.pop(thread, None) is None:  # else CPython 3.11 would go on looking for it, and profilers hang
                _raise_in(thread, None)

    def _look(self) -> None:
        while True:
            with self._changes:
                while not self._ends:
                    self._idle = True
                    self._changes.wait()
                for thread in [thread for thread, end in self._ends.items() if time.monotonic() > end]:
                    del self._ends[thread]
                    _raise_in(thread, DeadlineError)
            time.sleep(_LOOK)


_WATCH = _Watch()
if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads, and perhaps a lock that one of them held
    os.register_at_fork(after_in_child=_WATCH.__init__)


def _raise_in(thread: int, error: type[Exception] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)


@contextmanager
def deadline(seconds: float) -> Generator[None]:
    """Raise `DeadlineError` in this block if it takes longer; blocks are not put into one another.

    >>> with deadline(60):
    ...     sum(range(1000))
    499500
    """
    thread = threading.get_ident()
    _WATCH.begin(thread, time.monotonic() + seconds)
    try:
        yield
    finally:
        _WATCH.end(thread)
