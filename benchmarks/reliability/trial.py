"""One bad input, what must come of it, and what did.

A refusal is an `InputError`, or exit code 2 with one message; a failure is a `WorkError`, or exit code 1. Both leave the folder
as it was. Anything else that is raised is a crash. What is read must have a result that the case describes.
"""

from __future__ import annotations

import hashlib
import io
import re
import resource
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialreasoner import cli
from spatialreasoner.core.errors import InputError, SpatialReasonerError, WorkError

SECONDS = 8.0
"""Longest that one input may keep a processor busy."""

MEGABYTES = 1500
"""Most that one input may add to the memory in use."""

LONGEST_MESSAGE = 1200

Act = Callable[[], object]


@dataclass(frozen=True)
class Read:
    """The input is to be read, with a result that `holds`."""

    holds: Callable[[Any], bool] = lambda result: True


@dataclass(frozen=True, kw_only=True)
class Case:
    """One bad input on its way into one stage.

    Attributes:
        group: What it is part of, in the table.
        name: What is bad about it.
        prepare: Writes the input into an empty folder; returns what reads it.
        expected: `InputError` for a refusal, `WorkError` for a failure, or what is to be read.
        source: Name of the input where several stages are given the same one.
        slow: Whether it is left out of the tests, for its time.
        writes: Whether it may leave files: of work that was done before, and is kept.
    """

    group: str
    name: str
    prepare: Callable[[Path], Act]
    expected: type[SpatialReasonerError] | Read = InputError
    source: str = ""
    slow: bool = False
    writes: bool = False

    @property
    def input(self) -> str:
        """What tells this input from others."""
        return self.source or f"{self.group}: {self.name}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a case.

    Attributes:
        case: The case.
        came: "refused", "failed", "read" or "crashed".
        said: The message, or the result.
        surprise: Why that is not what was expected, or None.
        seconds: Processor time.
    """

    case: Case
    came: str
    said: str
    surprise: str | None
    seconds: float


class Ended(Exception):
    """A command ended with a code other than 0."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


def command(*arguments: object) -> Act:
    """Runs a command of the command line in this process; what it prints is its result."""

    def act() -> str:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                cli.main([str(argument) for argument in arguments])
            except SystemExit as end:
                code = int(end.code or 0)
        if code:
            raise Ended(code, err.getvalue())
        return out.getvalue()

    return act


def attempt(case: Case, folder: Path) -> Outcome:
    """Give one input to its stage."""
    with _quiet():
        act = case.prepare(folder)
        before, memory, begin = contents(folder), _peak(), time.process_time()
        came, said = _run(act, case.expected)
    seconds, grown = time.process_time() - begin, _peak() - memory
    left = sorted(set(contents(folder).items()) ^ set(before.items()))
    expected = "read" if isinstance(case.expected, Read) else "failed" if issubclass(case.expected, WorkError) else "refused"
    problems = _Problems()
    problems.add(came != expected, f"expected it to be {expected}; it {came}: {said[-400:]}")
    problems.add(
        came in {"refused", "failed"} and _messages(said) != 1, f"expected one message of one line; got {said[-400:]!r}"
    )
    problems.add(len(said) > LONGEST_MESSAGE and came != "read", f"a message of {len(said)} characters")
    problems.add(
        bool(left) and came in {"refused", "failed"} and not case.writes,
        f"something was written: {[name for name, _ in left][:4]}",
    )
    problems.add(seconds > SECONDS, f"it took {seconds:.1f} s of a processor")
    problems.add(grown > MEGABYTES, f"it took {grown:.0f} MB of memory")
    return Outcome(case=case, came=came, said=said, surprise="; ".join(problems.found) or None, seconds=seconds)


def contents(folder: Path) -> dict[str, str]:
    """A digest of every file of a folder; empty hidden files, which are locks, count for nothing."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or (path.name.startswith(".") and path.stat().st_size == 0):
            continue
        with path.open("rb") as file:
            found[str(path.relative_to(folder))] = hashlib.file_digest(file, "md5").hexdigest()
    return found


@dataclass
class _Problems:
    found: list[str] = field(default_factory=list[str])

    def add(self, holds: bool, text: str) -> None:
        if holds:
            self.found.append(text)


def _run(act: Act, expected: object) -> tuple[str, str]:
    try:
        value = act()
    except InputError as error:
        return "refused", f"error: {error}"
    except WorkError as error:
        return "failed", f"error: {error}"
    except Ended as end:
        return {1: "failed", 2: "refused"}.get(end.code, f"ended with {end.code}"), str(end)
    except (Exception, RecursionError) as error:  # noqa: BLE001 - any of them is what is looked for
        return "crashed", f"{type(error).__name__}: {error}"
    if isinstance(expected, Read) and not expected.holds(value):
        return "read with a wrong result", repr(value)[:400]
    return "read", repr(value)[:200]


def _messages(said: str) -> int:
    """How many errors of one line a command told; a traceback counts as many."""
    if "Traceback" in said:
        return 99
    told = [match.start() for match in re.finditer(r"^error: |─ Error ─", said, re.MULTILINE)]
    ours = re.search(r"^error: [^\n]*\n?(?P<more>[\s\S]*)", said, re.MULTILINE)
    return 99 if ours is not None and ours["more"].strip() else len(told)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)  # numpy's way to say that a result means nothing
        yield


def _peak() -> float:
    """The most memory that this process has held so far, megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
