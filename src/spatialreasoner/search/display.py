"""What a person sees of a search: a table that lives in a terminal, plain lines elsewhere. Both go to standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from spatialreasoner.inference.budget import Budget

if TYPE_CHECKING:
    from rich.console import RenderableType

    from spatialreasoner.search.engine import Progress

Show = Callable[["Progress"], None]

LINE_SECONDS = 10.0
"""A log wants few lines: at most one in so many seconds, and the last one."""


@contextmanager
def display(stream: TextIO | None = None, *, seconds: float = LINE_SECONDS) -> Generator[Show]:
    """Show a run while it works.

    Args:
        stream: Where to; standard error by default.
        seconds: Least time between two plain lines.

    Yields:
        What `run_search` takes as `progress`.
    """
    chosen = stream or sys.stderr
    with _table(chosen) if chosen.isatty() else _lines(chosen, seconds) as show:
        yield show


@contextmanager
def _table(stream: TextIO) -> Generator[Show]:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(file=stream), refresh_per_second=4) as live:
        begin = time.monotonic()
        yield lambda progress: live.update(_rendered(progress, time.monotonic() - begin))


@contextmanager
def _lines(stream: TextIO, seconds: float) -> Generator[Show]:
    begin = time.monotonic()
    shown: list[float] = []

    def show(progress: Progress) -> None:
        now = time.monotonic()
        done = progress.finished + len(progress.unfinished) == progress.questions
        if not shown or done or now - shown[-1] >= seconds:
            shown.append(now)
            print(" · ".join(line(progress, now - begin)), file=stream, flush=True)

    yield show


def line(progress: Progress, seconds: float) -> list[str]:
    """Where a run stands, in a few words each."""
    share = f" ({progress.found / progress.finished:.0%})" if progress.finished else ""
    parts = [
        f"search {progress.finished}/{progress.questions}",
        f"found {progress.found}{share}",
        f"{progress.trajectories} trajectories, {progress.right} right",
        *_spent(progress.budget, progress.right),
        f"{seconds:.0f} s",
    ]
    return [*parts, f"{len(progress.unfinished)} given up"] if progress.unfinished else parts


def _spent(budget: Budget, right: int) -> list[str]:
    """Calls, tokens and money, each beside its limit; what is in flight counts as the most that it can take."""
    parts = [f"{budget.calls:,}{_of(budget.max_calls)} calls", f"{budget.tokens:,}{_of(budget.max_tokens)} tokens"]
    if budget.cost or budget.max_cost is not None:
        each = f", {budget.cost / right:.4f} a right trajectory" if right else ""
        parts.append(f"cost {budget.cost:.4f}{_of(budget.max_cost)}{each}")
    return parts


def _of(limit: float | None) -> str:
    return "" if limit is None else f" of {limit:,}"


def _rendered(progress: Progress, seconds: float) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table("policy", "requests", "in flight", "failures", "state", box=None, pad_edge=False)
    for endpoint in progress.endpoints:
        failures = ", ".join(f"{count} {kind}" for kind, count in sorted(endpoint.failures.items()))
        state = Text("at work" if endpoint.stopped is None else str(endpoint.stopped), overflow="ellipsis", no_wrap=True)
        table.add_row(Text(endpoint.name), f"{endpoint.calls:,}", str(endpoint.in_flight), failures or "none", state)
    bar = ProgressBar(total=progress.questions, completed=progress.finished, width=60)
    return Group(Text(" · ".join(line(progress, seconds))), bar, table)
