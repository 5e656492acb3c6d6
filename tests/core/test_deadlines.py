"""Deadlines end what does not look at a clock, in its own thread, and nothing else."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from spatialreasoner.core.deadlines import DeadlineError, deadline


def endless():
    while True:
        pass


def late(seconds=0.1):
    """The seconds after which an endless loop ends."""
    begun = time.monotonic()
    with pytest.raises(DeadlineError), deadline(seconds):
        endless()
    return time.monotonic() - begun


def test_an_endless_loop_ends():
    assert 0.1 <= late() < 20


def test_each_thread_has_a_deadline_of_its_own():
    done = threading.Event()

    def patient():
        with deadline(60):
            return done.wait(50)

    with ThreadPoolExecutor(5) as pool:
        waiting = pool.submit(patient)
        assert max(pool.map(late, [0.1, 0.2, 0.3])) < 20
        done.set()
        assert waiting.result()


def test_what_ends_in_time_is_left_alone():
    for _ in range(2000):
        with deadline(0.0001):
            pass
    time.sleep(0.6)  # nothing comes late


def test_a_block_that_ends_at_its_deadline_gets_the_error_there_or_not_at_all():
    for _ in range(20):
        try:
            with deadline(0.0):
                time.sleep(0.02)
                sum(range(20000))
        except DeadlineError:
            continue
    sum(range(10**6))


def test_a_forked_child_has_deadlines_too():
    with deadline(60):
        child = os.fork()
        if child == 0:
            try:
                with deadline(0.05):
                    endless()
            except DeadlineError:
                os._exit(7)
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_profiler_goes_on_after_a_deadline_that_was_met():
    """CPython 3.11 looks for an error that it was asked for once, wherever there is none, and a profiler never gets past it."""
    program = """
import cProfile
from spatialreasoner.core.deadlines import deadline

def work():
    with deadline(60):
        sum(range(9))
    return [len(str(each)) for each in range(9)]

print(sum(cProfile.Profile().runcall(work)))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == "9\n"


def test_it_costs_next_to_nothing():
    begun = time.perf_counter()
    for _ in range(10_000):
        with deadline(60):
            pass
    assert (time.perf_counter() - begun) / 10_000 < 1e-3  # a rendering takes about that; measured: some microseconds
