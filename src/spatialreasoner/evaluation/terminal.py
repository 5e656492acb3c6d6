"""Scores as tables in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spatialreasoner.evaluation.score import Comparison, Difference, Score, Tally

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def show(score: Score, *, console: Console | None = None) -> None:
    """Print the 12 groups and the two totals of a score, with intervals, unscored answers and mean errors.

    A total above 5 % unscored answers is shown as a range, not as one number.
    """
    table = _table(f"{score.model_id}: {score.items} questions on {score.images} pictures, judged {score.judge}")
    for heading in ("questions", "right", "95 % interval", "unscored", "mean error"):
        table.add_column(heading, justify="right")
    for name, tally in score.groups.items():
        table.add_row(name, *_tally(name, tally))
    table.add_section()
    for name, tally in score.totals.items():
        table.add_row(f"[bold]{name}[/bold]", *_tally(name, tally), style="bold")
    _print(table, console)


def show_comparison(comparison: Comparison, *, console: Console | None = None) -> None:
    """Print where and how surely the second model differs from the first, question by question."""
    table = _table(f"{comparison.second} against {comparison.first}")
    for heading in ("questions", "difference", "95 % interval", "gained", "lost", "p (McNemar)"):
        table.add_column(heading, justify="right")
    for name, difference in {**comparison.groups, **comparison.totals}.items():
        table.add_row(name, *_difference(difference))
    _print(table, console)


def _table(title: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("group")
    return table


def _print(table: Table, console: Console | None) -> None:
    from rich.console import Console

    (console or Console()).print(table)


def _tally(name: str, tally: Tally) -> tuple[str, ...]:
    if tally.rate is None or tally.upper is None:
        return "0", "-", "-", "-", "-"
    right = f"{tally.rate:.1%}" if tally.headline is not None else f"{tally.rate:.1%} to {tally.upper:.1%}"
    interval = "-" if tally.interval is None else f"{tally.interval.low:.1%} to {tally.interval.high:.1%}"
    unit = " degrees" if name == "direction" else ""
    error = "-" if tally.error is None else f"{tally.error:.1f}{unit}" if unit else f"{tally.error:.0%}"
    return str(tally.items), right, interval, str(tally.unscored), error


def _difference(difference: Difference) -> tuple[str, ...]:
    if difference.difference is None:
        return "0", "-", "-", "-", "-", "-"
    interval = difference.interval
    between = "-" if interval is None else f"{interval.low:+.1%} to {interval.high:+.1%}"
    return (
        str(difference.items), f"{difference.difference:+.1%}", between, str(difference.gained), str(difference.lost),
        f"{difference.p_value:.3g}",
    )  # fmt: skip
