"""The progress of a search: a table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from spatialreasoner.core.progress import LINE_SECONDS, screen
from spatialreasoner.inference.budget import Budget

if TYPE_CHECKING:
    from rich.console import RenderableType

    from spatialreasoner.search.engine import Progress

Show = Callable[["Progress"], None]


@contextmanager
def display(stream: TextIO | None = None, *, seconds: float = LINE_SECONDS) -> Generator[Show]:
    """Show a run while it works.

    Args:
        stream: Where to; standard error by default.
        seconds: Minimum time between two plain lines.

    Yields:
        What `run_search` takes as `progress`.
    """
    begin = time.monotonic()
    with screen(stream, seconds=seconds) as show:

        def shown(progress: Progress) -> None:
            past = time.monotonic() - begin
            last = progress.finished + len(progress.unfinished) == progress.questions
            show(lambda: _rendered(progress, past), lambda: " · ".join(line(progress, past)), last)

        yield shown


def line(progress: Progress, seconds: float) -> list[str]:
    """The state of a run, in a few words each."""
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
    """Calls, tokens and cost, each beside its limit; requests in flight count with their maximum."""
    parts = [f"{budget.calls:,}{_of(budget.max_calls)} calls", f"{budget.tokens:,}{_of(budget.max_tokens)} tokens"]
    if budget.cost or budget.max_cost is not None:
        each = f", {budget.cost / right:.4f} per correct trajectory" if right else ""
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
