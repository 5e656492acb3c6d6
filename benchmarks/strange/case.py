"""One thing that a stranger does, the end that they may expect, and a place to try it in."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from strange.zygote import HEAVY, LIGHT, Zygote

MEGABYTES = 1500
"""Most memory that a command may hold, whatever it is given."""

PATIENCE = 600.0
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

    def spatial(
        self,
        *arguments: object,
        env: Mapping[str, str] | None = None,
        before: Callable[[], object] | None = None,
        until: Callable[[], bool] | None = None,
        fresh: bool = False,
        stdout: int | None = None,
    ) -> Ended:
        """Run a command of the program to its end, or kill it as soon as `until` is true, or when it has hung.

        Args:
            arguments: Its arguments; the first is its name.
            env: Variables of its environment beside this process's.
            before: What it does first.
            until: When it is to be killed.
            fresh: Whether it starts from the interpreter, and not from a process that has imported what it needs.
            stdout: Where its output goes.
        """
        words = [str(argument) for argument in arguments]
        variables = {"OPENAI_API_KEY": "sk-planted", "OMP_NUM_THREADS": "1", "COLUMNS": "200", **(env or {})}
        with tempfile.TemporaryDirectory() as folder:
            files = (str(Path(folder) / "out"), str(Path(folder) / "err"))
            if fresh:
                code, kilobytes, seconds = _fresh(words, files, self.folder, variables, before, until, stdout)
            else:
                code, kilobytes, seconds = _forked(words, files, self.folder, variables, before, until)
            texts = [Path(file).read_bytes().decode(errors="replace") if Path(file).exists() else "" for file in files]
        self.note(words[0], kilobytes / 1024)
        return Ended(code=code, out=texts[0], err=texts[1], seconds=seconds, megabytes=kilobytes / 1024)

    def note(self, name: str, megabytes: float) -> None:
        """Keep the most memory that a command held."""
        if megabytes > self.peaks.get(name, (0.0, ""))[0]:
            self.peaks[name] = megabytes, self.case


SMALL_SEARCH = ("--samples", 1, "--candidates", 2, "--yes")
"""Options of a search that asks for as little as one can."""

PROGRAM = [sys.executable, "-m", "spatialreasoner"]
_ZYGOTES: dict[bool, Zygote] = {}


def _zygote(words: list[str]) -> Zygote:
    """One that has imported what a command needs: models of its own are slow to import."""
    heavy = words[0] == "train" or any(word.endswith("/model") for word in words)
    if heavy not in _ZYGOTES:
        _ZYGOTES[heavy] = Zygote(HEAVY if heavy else LIGHT)
    return _ZYGOTES[heavy]


class _Watch:
    """Tells when a command that has just begun is to be killed: as soon as `until` is true, or once it has hung."""

    def __init__(self, until: Callable[[], bool] | None) -> None:
        self._until, self._begun, self._hung = until, time.monotonic(), False

    def is_over(self) -> bool:
        """Whether it is to be killed now."""
        self._hung = self._hung or time.monotonic() > self._begun + PATIENCE
        return self._hung or (self._until is not None and self._until())

    def ended(self, code: int, kilobytes: int) -> tuple[int, int, float]:
        """How it ended, the kilobytes it held, and its seconds; -SIGALRM stands for one that hung."""
        return (-signal.SIGALRM if self._hung else code), kilobytes, time.monotonic() - self._begun


def _forked(
    words: list[str],
    files: tuple[str, str],
    cwd: Path,
    env: Mapping[str, str],
    before: Callable[[], object] | None,
    until: Callable[[], bool] | None,
) -> tuple[int, int, float]:
    """How a forked command ended, the kilobytes it held, and its seconds; -SIGALRM stands for one that hung."""
    zygote = _zygote(words)
    process = zygote.start(words, files, cwd, env, before)
    watch = _Watch(until)
    while (ended := zygote.ended(0.005)) is None:
        if watch.is_over():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    return watch.ended(*ended)


def _fresh(
    words: list[str],
    files: tuple[str, str],
    cwd: Path,
    env: Mapping[str, str],
    before: Callable[[], object] | None,
    until: Callable[[], bool] | None,
    stdout: int | None,
) -> tuple[int, int, float]:
    """The same of a command that starts from the interpreter."""
    with open(files[0], "wb") as out, open(files[1], "wb") as err:
        process = subprocess.Popen(
            [*PROGRAM, *words], stdout=out if stdout is None else stdout, stderr=err, cwd=cwd, env={**os.environ, **env},
            preexec_fn=before,
        )  # fmt: skip
        watch = _Watch(until)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return watch.ended(process.returncode, usage.ru_maxrss)
            if watch.is_over():
                process.kill()
            time.sleep(0.005)
