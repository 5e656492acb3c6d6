"""Doing jobs: as many at a time as there are cores, each in a process of its own, none twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from research.fdpo_study.jobs import Job, log_of, marker

from spatialreasoner.core import progress
from spatialreasoner.core.errors import WorkError

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

CHECKOUT = Path(__file__).parents[2]
"""Where `research` is."""
PAUSE = 0.2


def forecast_seconds(jobs: Sequence[Job], out: Path, workers: int) -> float:
    """About how long the jobs that are not done will take, seconds: no less than the longest chain of them."""
    left = [job for job in jobs if not marker(out, job).exists()]
    ends: dict[str, float] = {}
    for job in left:
        ends[job.name] = job.seconds + max((ends.get(name, 0.0) for name in job.needs), default=0.0)
    return max(sum(job.seconds for job in left) / workers, *ends.values(), 0.0)


@dataclass(kw_only=True)
class Board:
    """Where the jobs stand.

    Attributes:
        jobs: All of them.
        out: The study's folder.
        done: Names of those that are done.
        failed: Names of those that failed.
        running: The processes at work.
    """

    jobs: Sequence[Job]
    out: Path
    done: set[str] = field(default_factory=set[str])
    failed: set[str] = field(default_factory=set[str])
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict[str, "subprocess.Popen[bytes]"])

    def __post_init__(self) -> None:
        self.done = {job.name for job in self.jobs if marker(self.out, job).exists()}

    def next(self) -> Job | None:
        """The first job that can begin."""
        taken = self.done | self.failed | self.running.keys()
        return next((job for job in self.jobs if job.name not in taken and self.done.issuperset(job.needs)), None)

    def collect(self) -> bool:
        """Note which processes have ended; returns whether any has."""
        ended = {name: process for name, process in self.running.items() if process.poll() is not None}
        for name, process in ended.items():
            del self.running[name]
            (self.failed if process.returncode else self.done).add(name)
        return bool(ended)


def run_jobs(jobs: Sequence[Job], out: Path, seeds: int, workers: int) -> Board:
    """Do all jobs that are not done; those whose needs have failed are left.

    Raises:
        WorkError: If jobs failed; all others are done, and the same command tries these again.
    """
    board = Board(jobs=jobs, out=out)
    with _bar(board) as show, _ending(board):
        while True:
            while len(board.running) < workers and (job := board.next()) is not None:
                board.running[job.name] = start_job(job, out, seeds)
            show()
            if not board.running:
                break
            while not board.collect():
                time.sleep(PAUSE)
                show()
    if board.failed:
        first = next(job for job in jobs if job.name in board.failed)
        raise WorkError(
            f"{len(board.failed)} of {len(jobs)} jobs failed, {first.name!r} first; what it said is in {log_of(out, first)}. "
            "The same command tries them again and repeats nothing that is done"
        )
    return board


def start_job(job: Job, out: Path, seeds: int) -> subprocess.Popen[bytes]:
    """Start a job in a process of its own, which ends when this one does."""
    command = [sys.executable, "-m", "research.fdpo_study.work", str(out), job.name, str(seeds)]
    log_of(out, job).parent.mkdir(parents=True, exist_ok=True)
    with log_of(out, job).open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=_environment())


def _environment() -> dict[str, str]:
    """One thread per job, and the checkout on the path: `research` is not installed, and this process may work elsewhere."""
    path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": path}


@contextmanager
def _ending(board: Board) -> Generator[None]:
    """End the processes at work, whatever ends this one in order."""
    try:
        yield
    finally:
        for process in board.running.values():
            process.terminate()
        for process in board.running.values():
            process.wait()


@contextmanager
def _bar(board: Board) -> Generator[Callable[[], None]]:
    """The work done, with the jobs at work and the time left."""
    began, first = time.monotonic(), set(board.done)
    with progress.progress_bar("study", round(sum(job.seconds for job in board.jobs))) as advance:

        def show() -> None:
            ended = board.done | board.failed
            left = time_left(board, first, time.monotonic() - began)
            advance(round(sum(job.seconds for job in board.jobs if job.name in ended)), f"{', '.join(board.running)}; {left}")

        yield show


def time_left(board: Board, first: set[str], elapsed: float) -> str:
    """The time left in words: the forecast of what is left, stretched by how the forecast fared so far."""
    ended = board.done | board.failed
    worked = sum(job.seconds for job in board.jobs if job.name in ended - first)
    waiting = sum(job.seconds for job in board.jobs if job.name not in ended)
    jobs = f"{len(ended)} of {len(board.jobs)} jobs"
    return jobs if not worked else f"{jobs}, about {elapsed * waiting / worked / 60:.0f} min left"
