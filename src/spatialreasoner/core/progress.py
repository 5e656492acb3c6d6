"""Progress on standard error: redrawn in place in a terminal, and a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, TextIO

from spatialreasoner.core.old_names import importable_by_old_names

if TYPE_CHECKING:
    from rich.console import RenderableType


class Advance(Protocol):
    """Shows how many pieces are done so far, and a few words beside the name of the work."""

    def __call__(self, done: int, note: str = "") -> None:
        """Show them."""
        ...


ShowProgress = Callable[[str, int | None], AbstractContextManager[Advance]]
"""Shows the progress of some work: given its name and the number of pieces, as `progress_bar` below, which is the default."""

ShowState = Callable[[Callable[[], "RenderableType"], Callable[[], str], bool], None]
"""Shows the present state: as something to draw in a terminal, as a line for a log, and whether it is the last."""

LINE_SECONDS = 10.0
"""Minimum interval between two lines of a log, seconds, which keeps it short; the first and the last are always written."""


wording: ContextVar[Callable[[str], str]] = ContextVar("wording", default=str)
"""How messages are worded: the library writes `max_cost`, the command line --max-cost."""


def say(line: str) -> None:
    """Print a line beside the progress of some work."""
    print(wording.get()(line), file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def screen(stream: TextIO | None = None, *, seconds: float = LINE_SECONDS) -> Generator[ShowState]:
    """Show a state that changes.

    Args:
        stream: Where to; standard error by default.
        seconds: Minimum time between two plain lines.

    Yields:
        A function that shows the present state.
    """
    chosen = stream or sys.stderr
    with _redrawn(chosen) if chosen.isatty() else _lines(chosen, seconds) as show:
        yield show


@contextmanager
def _redrawn(stream: TextIO) -> Generator[ShowState]:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(file=stream), refresh_per_second=4) as live:
        yield lambda draw, line, last: live.update(draw())


@contextmanager
def _lines(stream: TextIO, seconds: float) -> Generator[ShowState]:
    shown: list[float] = []

    def show(draw: Callable[[], RenderableType], line: Callable[[], str], last: bool) -> None:
        now = time.monotonic()
        if not shown or last or now - shown[-1] >= seconds:
            shown.append(now)
            print(line(), file=stream, flush=True)

    yield show


def progress_bar(name: str, total: int | None = None) -> AbstractContextManager[Advance]:
    """Show that work goes on, and how far it is: on standard error, or as `progress_shown_by` says.

    Args:
        name: What is done, such as "search 40 questions".
        total: The number of pieces, or None if unknown.

    Returns:
        A context with a function to call with the number of pieces that are done.
    """
    return _showing.get()(name, total)


@contextmanager
def progress_shown_by(show: ShowProgress | None) -> Generator[None]:
    """Let a caller's own display show the stages within the block; None shows nothing."""
    if show is progress_bar:
        yield
        return
    before = _showing.set(show or quiet)
    try:
        yield
    finally:
        _showing.reset(before)


@contextmanager
def _on_standard_error(name: str, total: int | None) -> Generator[Advance]:
    bar, begin = _Bar(name, total), time.monotonic()
    with screen() as show:
        show(bar.drawn, lambda: f"{name} ...", False)

        def advance(done: int, note: str = "") -> None:
            bar.move(done, note)
            show(bar.drawn, lambda: f"{bar.words()} after {time.monotonic() - begin:.0f} s", False)

        yield advance
        bar.finish()
        show(bar.drawn, lambda: f"{name}: done in {time.monotonic() - begin:.1f} s", True)


class _Bar:
    """The state of one piece of work, drawn as a bar or told in words."""

    def __init__(self, name: str, total: int | None) -> None:
        self._name, self._total, self._done, self._note = name, total, 0, ""
        self._begin = time.monotonic()

    def move(self, done: int, note: str) -> None:
        self._done, self._note = done, note or self._note

    def finish(self) -> None:
        self._total = self._done = self._total or self._done

    def words(self) -> str:
        parts = (f"{self._name}: {self._done}", f"of {self._total}" if self._total else "", self._note)
        return " ".join(filter(None, parts))

    def drawn(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        seconds = int(time.monotonic() - self._begin)
        row = Table.grid(padding=(0, 1))
        row.add_row(
            f"{self._name} {self._note}".strip().ljust(34),
            ProgressBar(total=self._total, completed=self._done, width=40),
            f"{self._done}/{self._total or '?'}",
            f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}",
        )
        return row


@contextmanager
def quiet(name: str, total: int | None = None) -> Generator[Advance]:
    """Show nothing; takes what `progress_bar` takes."""
    yield lambda done, note="": None


_showing: ContextVar[ShowProgress] = ContextVar("showing", default=_on_standard_error)

__getattr__ = importable_by_old_names(
    __name__, {"stage": "progress_bar", "ShowStage": "ShowProgress", "stages_shown_by": "progress_shown_by"}
)
