"""One stage killed again and again, and what is left of it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from PIL import Image

from reliability.places import Stage

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
PAUSE = 0.002
LONGEST = 3600.0
"""Seconds after which a stage is taken to hang: many times what any takes on a quiet machine, since others may be busy."""


class Killing:
    """Kills a stage, continues with it, and holds the end against an undisturbed run.

    Args:
        stage: The stage.
        folder: Holds `inputs`; the stage's own folders are made beside it.
        rng: Decides the moments.
    """

    def __init__(self, stage: Stage, folder: Path, rng: Random) -> None:
        self.stage, self.inputs, self.rng = stage, folder / "inputs", rng
        self.whole, self.out = (stage.place(folder, run) for run in ("whole", "again"))
        self.sent: Counter[signal.Signals] = Counter()
        self.at_work = self.starts = 0
        self.problems: list[str] = []
        self._work = 0.0

    @property
    def kills(self) -> int:
        """How often it was killed."""
        return self.sent.total()

    def run(self, kills: int) -> None:
        """Do it in peace, kill it so often, let it end, and let two work in one place."""
        self._in_peace()
        while self.kills < kills and self.starts < 4 * kills:
            self._kill_once()
        self._finish()
        self._two_at_once()

    TITLES = f"{'kills':>5} {'KILL':>4} {'TERM':>4} {'INT':>4} {'at work':>7} {'starts':>6}"

    def row(self) -> str:
        """Its part of a line of the table."""
        sent = " ".join(f"{self.sent[which]:>4}" for which in SIGNALS)
        return f"{self.kills:>5} {sent} {self.at_work:>7} {self.starts:>6}"

    def _in_peace(self) -> None:
        process = self.stage.start(self.inputs, self.whole)
        began = wait_for_change(process, self.whole, {})
        code, said = ended(process)
        self._work = time.monotonic() - began
        self._expect(code == 0, f"in peace it ended with {code}: {said[-300:]}")

    def _kill_once(self) -> None:
        """Begin it or continue; kill it, mostly while it works, sometimes while it starts."""
        self.starts += 1
        process = self.stage.start(self.inputs, self.out)
        sent, starting = SIGNALS[self.kills % 3], self.kills % 4 == 3
        if starting:
            time.sleep(self.rng.uniform(0.0, 1.0))
        else:
            wait_for_change(process, self.out, listing(self.out))
            time.sleep(self.rng.uniform(0.0, self._work / 2))
        if process.poll() is None:
            (os.killpg if sent is signal.SIGINT else os.kill)(process.pid, sent)
        code, said = ended(process)
        if code == 0 or (sent is not signal.SIGKILL and was_leaving(code, sent, self.whole, self.out)):
            # it was done before the signal came: the next signal comes sooner
            self._work /= 2
            self._compare()
            shutil.rmtree(self.out)
            return
        self.sent[sent] += 1
        self.at_work += not starting
        self._expect(starting or code == CODES[sent], f"{sent.name} ended it with {code}: {said[-300:]}")
        self._expect(starting or "Traceback" not in said, f"{sent.name} left a traceback: {said[-300:]}")
        self.problems += half_written(self.out)

    def _finish(self) -> None:
        code, said = ended(self.stage.start(self.inputs, self.out))
        self.starts += 1
        self._expect(code == 0, f"in the end it ended with {code}: {said[-300:]}")
        self._compare()
        shutil.rmtree(self.out)

    def _two_at_once(self) -> None:
        """One stands still in the middle of its work while another is begun in the same place."""
        first = self._standing_still()
        code, said = ended(self.stage.start(self.inputs, self.out))
        alive = first.poll() is None
        first.send_signal(signal.SIGCONT)
        if alive and self.stage.held:
            self._expect(code == 1 and "another process works in" in said, f"a second process ended with {code}: {said[-300:]}")
        else:
            self._expect(code == 0, f"a second process ended with {code}: {said[-300:]}")
        code, said = ended(first)
        self._expect(code == 0, f"beside a second process it ended with {code}: {said[-300:]}")
        self._compare()

    def _standing_still(self) -> subprocess.Popen[str]:
        """Begin the stage and halt it at work; where it holds its place, again until it was halted before it let go."""
        pause = min(0.05, self._work / 3)
        while True:
            process = self.stage.start(self.inputs, self.out)
            wait_for_change(process, self.out, {})
            while self.stage.held and process.poll() is None and not locked(self.out):
                time.sleep(PAUSE)  # what it writes first may be its settings, before it holds the place
            time.sleep(pause)
            process.send_signal(signal.SIGSTOP)
            time.sleep(PAUSE)
            if not self.stage.held or locked(self.out) or pause < PAUSE**2:
                return process
            pause /= 2
            process.send_signal(signal.SIGCONT)
            ended(process)
            shutil.rmtree(self.out)

    def _compare(self) -> None:
        self.problems += differences(self.whole, self.out)

    def _expect(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(" ".join(problem.split()))


def wait_for_change(process: subprocess.Popen[str], out: Path, before: dict[str, float]) -> float:
    """Until something in a folder is other than before, or the process has ended; returns when that was."""
    while process.poll() is None and listing(out) == before:
        time.sleep(PAUSE)
    return time.monotonic()


def listing(folder: Path) -> dict[str, float]:
    """The files of a folder, hidden ones too, and when they changed."""
    found: dict[str, float] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found[os.path.join(place, name)] = os.stat(os.path.join(place, name)).st_mtime
            except FileNotFoundError:  # renamed in this moment
                continue
    return found


def locked(folder: Path) -> bool:
    """Whether a process holds a lock in a folder; only asks, since who tries a lock may keep it from its owner."""
    question = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)  # struct flock: all bytes of the file
    for path in listing(folder):
        if path.endswith(".lock"):
            with suppress(FileNotFoundError), open(path, "rb") as file:
                if struct.unpack("hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, question))[0] != fcntl.F_UNLCK:
                    return True
    return False


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """How a process ended, and what it said."""
    try:
        _, said = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return -1, f"it hung for {LONGEST:.0f} s"
    return process.returncode, said


def was_leaving(code: int, sent: signal.Signals, whole: Path, out: Path) -> bool:
    """Whether a signal met an interpreter that had done its work, and so had let go of its handlers."""
    return code == -sent and not differences(whole, out)


def half_written(folder: Path) -> list[str]:
    """The visible files of a folder that are neither whole JSON nor a whole image."""
    problems: list[str] = []
    for path in visible(folder):
        try:
            if path.suffix in {".json", ".jsonl"}:
                text = path.read_text("utf-8")
                [json.loads(line) for line in (text.splitlines() if path.suffix == ".jsonl" else [text])]
            elif path.suffix == ".png":
                with Image.open(path) as image:
                    image.load()
        except (ValueError, OSError) as error:
            problems.append(f"{path.relative_to(folder)} is half written: {error}")
    return problems


_PRIVATE = (".", "checkpoint-", "journal.", "tiny", "jobs")


def visible(folder: Path) -> list[Path]:
    """The files of a folder that are not work in progress: neither hidden, nor journals or a study's, nor within a model."""
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        private = path.suffix == ".part" or any(part.startswith(_PRIVATE) for part in parts)
        model = (path.parent / "training.json").exists() and path.name not in {"training.json", "metrics.jsonl"}
        if path.is_file() and not private and not (model and not (path.parent / "README.md").exists()):
            found.append(path)
    return found


def differences(one: Path, other: Path) -> list[str]:
    """What the visible files of two folders differ in; only how long it took and the folders' paths may."""
    first, second = _digests(one), _digests(other)
    return [
        f"{name} {'differs' if name in first and name in second else 'is in one alone'}"
        for name in sorted(first.keys() | second.keys())
        if first.get(name) != second.get(name)
    ]


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes().replace(bytes(folder), b".")).hexdigest()
        for path in visible(folder)
        if path.name != "timing.json"
    }
