"""Asynchronous work from synchronous code, wherever that runs: a script, a thread, a notebook with a running event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


def run_in_new_loop(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end and return its result.

    Where an event loop runs already, as in Jupyter, the work gets a thread with a loop of its own, since a running loop
    cannot be entered again. An interrupt cancels the work and is raised once it has ended.

    >>> async def answer():
    ...     return 42
    >>> run_in_new_loop(answer())
    42
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return _Thread(work).result()


def synchronous(function: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, _T]:
    """The same function for synchronous code, run to its end as by `run_in_new_loop`."""

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return run_in_new_loop(function(*args, **kwargs))

    return _renamed(call, function.__name__.removesuffix("_async"))


def asynchronous(function: Callable[_P, _T]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """The same function beside an event loop: it computes in a thread, so the loop stays free, and cannot be cancelled."""

    @wraps(function)
    async def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await asyncio.to_thread(function, *args, **kwargs)

    return _renamed(call, f"{function.__name__}_async")


def _renamed(function: Callable[_P, _T], name: str) -> Callable[_P, _T]:
    function.__name__ = function.__qualname__ = name
    return function


_NOTICE = 0.2
"""Seconds after which an interrupt is noticed at the latest: one that comes as the waiting begins does not end it."""


class _Thread(Generic[_T]):
    """One coroutine in a thread with an event loop of its own."""

    def __init__(self, work: Coroutine[Any, Any, _T]) -> None:
        self._work = work
        self._task: asyncio.Task[_T] | None = None
        self._outcome: Future[_T] = Future()
        self._interrupted = False
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="spatialreasoner")

    def result(self) -> _T:
        try:
            self._thread.start()  # an interrupt may come before it returns, when the work has begun
            while not self._outcome.done():  # not by join: interrupted, that takes the thread for ended (CPython 3.11)
                wait([self._outcome], _NOTICE)
            return self._outcome.result()
        except KeyboardInterrupt:  # of the notebook: the work must not continue unseen
            self._cancel()
            if self._thread.ident is not None:
                wait([self._outcome])
            raise

    def _run(self) -> None:
        try:
            self._outcome.set_result(asyncio.run(self._main()))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._outcome.set_exception(error)

    async def _main(self) -> _T:
        self._task = asyncio.ensure_future(self._work)
        if self._interrupted:
            self._task.cancel()
        return await self._task

    def _cancel(self) -> None:
        self._interrupted = True  # before the task is looked for, as `_main` sets the task before it looks for this
        task = self._task
        if task is not None:
            with suppress(RuntimeError):  # the work has just ended, and closed its loop
                task.get_loop().call_soon_threadsafe(task.cancel)
