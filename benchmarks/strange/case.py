"""One thing that a stranger does, the end that they may expect, and a place to try it in."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MEGABYTES = 1500
"""Most memory that a command may hold, whatever it is given."""

PATIENCE = 120.0
"""Seconds after which a command is taken to hang: far more than any takes, since others may be busy."""


class Surprise(Exception):
    """Something came that nobody may expect."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is done.

    Attributes:
        kind: The row of the table of kinds that it belongs to.
        done: What is done.
        expected: What end a user may expect.
        run: Does it in an empty folder; returns what came, or raises `Surprise`.
    """

    kind: str
    done: str
    expected: str
    run: Callable[[Bench], str]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code.
        out: What it printed.
        err: What it told beside.
        seconds: Time on the clock.
        megabytes: The most memory that it held.
    """

    code: int
    out: str
    err: str
    seconds: float
    megabytes: float

    @property
    def error(self) -> str:
        """The message of its end, if there is one."""
        found = [line for line in self.err.splitlines() if line.startswith("error: ")]
        return found[-1] if found else ""

    def expect(self, *codes: int, says: str = "", within: float = PATIENCE) -> Ended:
        """This end, if it is a decent one: a code of these, no traceback, one message where it failed, little memory.

        Raises:
            Surprise: If it is not.
        """
        told = self.err[-300:].strip().replace("\n", " / ")
        need(self.code != -signal.SIGALRM, f"hung for {self.seconds:.0f} s: {told}")
        need("Traceback" not in self.err, f"traceback: {told}")
        need(self.code in codes, f"exit {self.code}: {told}")
        need(self.code == 0 or len(re.findall(r"^error: |─ Error ─", self.err, re.MULTILINE)) == 1, f"not one error: {told}")
        need(self.megabytes < MEGABYTES, f"{self.megabytes:.0f} MB of memory")
        need(self.seconds < within, f"{self.seconds:.0f} s")
        need(re.search(says, self.out + self.err, re.IGNORECASE) is not None, f"does not say {says!r}: {told}")
        return self


def need(holds: bool, problem: str) -> None:
    """Raises `Surprise` with the problem unless it holds."""
    if not holds:
        raise Surprise(problem)


@dataclass(kw_only=True)
class Bench:
    """A place to try a case in.

    Attributes:
        folder: An empty folder for this case.
        inputs: A folder with scenes, questions, pairs and a trained model, made once.
        peaks: The most memory of each command so far, in megabytes, with what it was given.
        case: The name of the case that is tried.
    """

    folder: Path
    inputs: Path
    peaks: dict[str, tuple[float, str]] = field(default_factory=dict[str, tuple[float, str]])
    case: str = ""

    @property
    def questions(self) -> Path:
        """Four questions about two rooms."""
        return self.inputs / "questions.jsonl"

    @property
    def image(self) -> Path:
        """An image of a room."""
        return next((self.inputs / "scenes" / "images").iterdir())

    def spatial(self, *arguments: object, env: Mapping[str, str] | None = None, **options: object) -> Ended:
        """Run a command of the program in a process of its own to its end."""
        return self.run([*PROGRAM, *map(str, arguments)], name=str(arguments[0]), env=env, **options)  # pyright: ignore[reportArgumentType]

    def run(
        self,
        command: list[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
        cwd: Path | None = None,
        stdout: int | None = None,
        until: Callable[[], bool] | None = None,
        patience: float = PATIENCE,
    ) -> Ended:
        """Run a command to its end, or kill it as soon as `until` is true, or when it has hung for `patience` seconds."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            begun = time.monotonic()
            process = subprocess.Popen(
                command,
                env={**os.environ, "OPENAI_API_KEY": "sk-planted", "OMP_NUM_THREADS": "1", "COLUMNS": "200", **(env or {})},
                cwd=cwd or self.folder, stdout=out if stdout is None else stdout, stderr=err, preexec_fn=before,
            )  # fmt: skip
            code, usage = wait(process, until, patience)
            seconds = time.monotonic() - begun
            texts = [_text(file) for file in (out, err)]
        megabytes = usage.ru_maxrss / 1024
        self.note(name, megabytes)
        return Ended(code=code, out=texts[0], err=texts[1], seconds=seconds, megabytes=megabytes)

    def note(self, name: str, megabytes: float) -> None:
        """Keep the most memory that a command held."""
        if megabytes > self.peaks.get(name, (0.0, ""))[0]:
            self.peaks[name] = megabytes, self.case


PROGRAM = [sys.executable, "-m", "spatialreasoner"]


def wait(
    process: subprocess.Popen[bytes], until: Callable[[], bool] | None, patience: float
) -> tuple[int, resource.struct_rusage]:
    """How a process ended, and what it used; -SIGALRM stands for one that hung."""
    end, hung = time.monotonic() + patience, threading.Event()
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return (-signal.SIGALRM if hung.is_set() else process.returncode), usage
        if time.monotonic() > end:
            hung.set()
        if hung.is_set() or (until is not None and until()):
            process.kill()
        time.sleep(0.005)


def _text(file: object) -> str:
    file.seek(0)  # pyright: ignore[reportAttributeAccessIssue]
    return file.read().decode(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
