"""What a person sees while a stage works: a bar in a terminal, plain lines elsewhere. Both go to standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

Advance = Callable[[int], None]
"""Called with how many pieces are done so far."""

ShowStage = Callable[[str, int | None], AbstractContextManager[Advance]]
"""Shows a stage while it works: given its name and how many pieces there are, as `stage` below, which is the default."""


wording: ContextVar[Callable[[str], str]] = ContextVar("wording", default=str)
"""How lines for people are worded where this runs: the library speaks of `max_cost`, the command line of --max-cost."""


def say(line: str) -> None:
    """Say something beside the progress of a stage."""
    print(wording.get()(line), file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def stage(name: str, total: int | None = None) -> Generator[Advance]:
    """Show that a stage runs, and how far it is.

    Args:
        name: What the stage does, such as "search 40 questions".
        total: How many pieces there are, or None where that is not known.

    Yields:
        A function to call with the number of pieces that are done.
    """
    with (_bar if sys.stderr.isatty() else _lines)(name, total) as advance:
        yield advance


@contextmanager
def _bar(name: str, total: int | None) -> Generator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total)
        yield lambda done: progress.update(task, completed=done)
        finished = progress.tasks[0].total or progress.tasks[0].completed
        progress.update(task, total=finished, completed=finished)


@contextmanager
def _lines(name: str, total: int | None) -> Generator[Advance]:
    begin = time.monotonic()
    last = begin
    print(f"{name} ...", file=sys.stderr, flush=True)  # noqa: T201

    def advance(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= 10:  # a log wants few lines
            last = time.monotonic()
            of = f" of {total}" if total else ""
            print(f"{name}: {done}{of} after {last - begin:.0f} s", file=sys.stderr, flush=True)  # noqa: T201

    yield advance
    print(f"{name}: done in {time.monotonic() - begin:.1f} s", file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def quiet(name: str, total: int | None = None) -> Generator[Advance]:
    """Show nothing; takes what `stage` takes."""
    yield lambda done: None
