"""Asynchronous work from synchronous code, with and without a running loop."""

import asyncio
import contextvars
import inspect
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from spatialreasoner.core.errors import WorkError
from spatialreasoner.core.loops import asynchronous, run_in_new_loop, synchronous

WORD = contextvars.ContextVar("WORD", default="unset")


async def thread_name():
    await asyncio.sleep(0)
    return threading.current_thread().name


async def fail():
    await asyncio.sleep(0)
    raise WorkError("no")


def test_without_a_loop_the_work_runs_in_the_thread_that_calls():
    assert run_in_new_loop(thread_name()) == threading.current_thread().name


def test_within_a_running_loop_the_work_gets_a_thread_and_a_loop_of_its_own():
    async def notebook():
        return run_in_new_loop(thread_name())

    assert asyncio.run(notebook()) == "spatialreasoner"


def test_errors_and_context_pass_through():
    async def word():
        return WORD.get()

    async def notebook():
        WORD.set("said")
        with pytest.raises(WorkError, match="no"):
            run_in_new_loop(fail())
        return run_in_new_loop(word())

    assert asyncio.run(notebook()) == "said"


def test_heavy_work_leaves_the_loop_free():
    async def main():
        begun, let = threading.Event(), threading.Event()

        def heavy():
            begun.set()
            return let.wait(10)

        task = asyncio.ensure_future(asynchronous(heavy)())
        while not begun.is_set():
            await asyncio.sleep(0.01)
        let.set()
        return await task

    assert asyncio.run(main())


def test_both_kinds_of_function_keep_what_tells_of_them():
    async def double_async(number: int) -> int:
        """Twice a number."""
        return 2 * number

    double = synchronous(double_async)
    assert (double(4), double.__name__, double.__doc__) == (8, "double", "Twice a number.")
    assert list(inspect.signature(double).parameters) == ["number"]
    again = asynchronous(double)
    assert inspect.iscoroutinefunction(again)
    assert asyncio.run(again(4)) == 8


INTERRUPTED = """
import asyncio
from spatialreasoner.core.loops import run_in_new_loop

async def endless():
    try:
        print("begun", flush=True)
        await asyncio.sleep(600)
    finally:
        print("ended", flush=True)

async def notebook():
    try:
        run_in_new_loop(endless())
    except KeyboardInterrupt:
        print("interrupted", flush=True)

asyncio.new_event_loop().run_until_complete(notebook())
"""


@pytest.fixture
def interrupts():
    """As Python handles them: a command that ran in this process before may have taken them over."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("seconds", [0, 60])
def test_an_interrupt_that_does_not_wake_the_waiting_thread_is_noticed(seconds):
    """As one does that comes just before the waiting; it may then be seen when the work has ended, too."""

    async def work():
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        await asyncio.sleep(seconds)

    async def notebook():
        with pytest.raises(KeyboardInterrupt):
            run_in_new_loop(work())

    loop, begun = asyncio.new_event_loop(), time.monotonic()
    loop.run_until_complete(notebook())
    loop.close()
    assert time.monotonic() - begun < 30


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_as_soon_as_the_work_begins_ends_it():
    """Wherever the waiting thread is then: often it is still starting the other."""
    ended = []

    async def work():
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def notebook():
        with pytest.raises(KeyboardInterrupt):
            run_in_new_loop(work())

    loop = asyncio.new_event_loop()
    for _ in range(20):
        loop.run_until_complete(notebook())
    loop.close()
    assert ended == [True] * 20


def test_an_interrupt_of_a_notebook_ends_the_work():
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert out.split() == ["ended", "interrupted"]
