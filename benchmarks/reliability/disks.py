"""Folders that cannot be written, full disks, clocks that jump: a clear failure, nothing lost, and the same end later."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from reliability.killing import CODES, differences, ended, half_written, listing, wait_for_change, was_leaving
from reliability.places import Stage

PAGE = 4096
"""Bytes in which a tmpfs counts."""

ROOMY = "size=2g"

YEARS, HOUR = 10 * 365 * 86400, 3600

ROOT = os.geteuid() == 0
"""Root mounts disks of its own: modes do not bind it. Others change modes, and limit the size of files."""


class Harm:
    """One run of a stage that meets every trouble in turn, and must end as the undisturbed one did.

    Args:
        stage: The stage.
        folder: Holds `inputs`, and the undisturbed run.
        clock: The library that makes clocks wrong; None leaves them as they are.
    """

    def __init__(self, stage: Stage, folder: Path, clock: Path | None) -> None:
        self.stage, self.inputs, self.clock, self.dial = stage, folder / "inputs", clock, folder / "clock.txt"
        self.whole, self.out = (stage.place(folder, run) for run in ("whole", "harmed"))
        self.room = half_of(self.whole)
        self.codes: list[int] = []
        self.problems: list[str] = []

    def run(self) -> None:
        """Meet a folder that cannot be written, a disk that is full half-way, and clocks that are wrong."""
        self.out.mkdir(parents=True)
        with _disk(self.out):
            with _read_only(self.out):
                self._fails("read-only folder")
            with _room(self.out, self.room):
                self._fails("full disk")
            self._stopped(-YEARS, -YEARS - HOUR)
            self._goes_on(YEARS)
            self.problems += differences(self.whole, self.out)

    TITLES = f"{'read-only':>9} {'room':>9} {'full':>4} {'slow':>4} {'fast':>4}"

    def row(self) -> str:
        """Its part of a line of the table: the codes that it ended with."""
        read_only, full, slow, fast = self.codes
        return f"{read_only:>9} {self.room // 1024:>6} KB {full:>4} {slow:>4} {fast:>4}"

    def _fails(self, trouble: str) -> None:
        said = self._ended(self._start(), {1}, trouble)
        told = len(re.findall(r"^error: .*(?:cannot|jobs failed)", said, re.MULTILINE)) == 1 and "Traceback" not in said
        self._expect(told, f"{trouble}: expected one error; it said {said[-300:]}")
        self.problems += half_written(self.out)

    def _stopped(self, slow: int, slower: int) -> None:
        """Continue with a slow clock, which jumps back while it works; then it is stopped."""
        before = listing(self.out)
        process = self._start(slow)
        wait_for_change(process, self.out, before)
        self._set(slower)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
        self._ended(process, {0, 143}, "slow clock")

    def _goes_on(self, fast: int) -> None:
        self._ended(self._start(fast), {0}, "fast clock")

    def _start(self, wrong_by: int = 0) -> subprocess.Popen[str]:
        if not wrong_by or self.clock is None:
            return self.stage.start(self.inputs, self.out)
        self._set(wrong_by)
        return self.stage.start(
            self.inputs, self.out, environment={"LD_PRELOAD": str(self.clock), "WRONG_CLOCK": str(self.dial)}
        )

    def _set(self, wrong_by: int) -> None:
        """Turn the clock, at once for all who read it: by seconds."""
        fresh = self.dial.with_suffix(".part")
        fresh.write_text(str(wrong_by))
        fresh.replace(self.dial)

    def _ended(self, process: subprocess.Popen[str], codes: set[int], trouble: str) -> str:
        code, said = ended(process)
        if was_leaving(code, signal.SIGTERM, self.whole, self.out):
            code = CODES[signal.SIGTERM]  # as shells call it, too
        self.codes.append(code)
        self._expect(code in codes, f"{trouble}: it ended with {code}: {said[-300:]}")
        return said

    def _expect(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(" ".join(problem.split()))


def half_of(whole: Path) -> int:
    """Half the room that the files of an undisturbed run take (its largest, without root), bytes in whole pages."""
    pages = [-(-path.lstat().st_size // PAGE) for path in whole.rglob("*") if path.is_file() and not path.is_symlink()]
    return PAGE * max(1, (sum if ROOT else max)(pages) // 2)


def wrong_clock(folder: Path) -> Path | None:
    """The library that makes clocks wrong, built from the source beside this file; None, said aloud, without a compiler."""
    built = folder / "clock.so"
    compiler = shutil.which("cc")
    if compiler is None:
        print("the clocks are true ones: no C compiler was found")
        return None
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(built), str(Path(__file__).with_name("clock.c"))], check=True)
    return built


@contextmanager
def _disk(out: Path) -> Generator[None]:
    """A disk of its own, for root."""
    if not ROOT:
        yield
        return
    _mount("-t", "tmpfs", "-o", ROOMY, "tmpfs", str(out))
    try:
        yield
    finally:
        subprocess.run(["umount", str(out)], check=True)


@contextmanager
def _read_only(out: Path) -> Generator[None]:
    if ROOT:
        _mount("-o", "remount,ro", str(out))
        yield
        _mount("-o", "remount,rw", str(out))
    else:
        out.chmod(0o555)
        yield
        out.chmod(0o755)


@contextmanager
def _room(out: Path, room: int) -> Generator[None]:
    """So much room on the disk; without root, no file may be larger than that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if ROOT:
        _mount("-o", f"remount,size={room}", str(out))
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        if ROOT:
            _mount("-o", f"remount,{ROOMY}", str(out))
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
