"""Scores as tables in a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from spatialreasoner.evaluation.score import Difference, ModelComparison, Score, Tally

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from spatialreasoner.evaluation.agreement import AnswerAgreement


def show_score(score: Score, *, console: Console | None = None) -> None:
    """Print the 12 groups and the two totals of a score, with intervals, unscored answers and mean errors.

    A total above 5 % unscored answers is shown as a range, not as one number.
    """
    table = _table(f"{score.model_id}: {score.items} questions on {score.images} images, judged {_by(score.judge)}")
    for heading in ("questions", "right, %", "95 % interval", "unscored", "mean error"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, tally in score.groups.items():
        table.add_row(name, *_tally(name, tally))
    for name, tally in score.totals.items():
        table.add_row(f"[bold]{name}[/bold]", *_tally(name, tally), style="bold")
    table.caption = _unscored(score) or None
    _print(table, console)


def _unscored(score: Score) -> str:
    """What was not answered, and why answers could not be read, the commonest reason first."""
    reasons = Counter(one.reason for one in score.unscored)
    said = [f"{count} unscored: {reason}" for reason, count in reasons.most_common(6)]
    return "; ".join([f"{score.missing} questions without a prediction count as unscored"] * bool(score.missing) + said)


def show_comparison(comparison: ModelComparison, *, console: Console | None = None) -> None:
    """Print where and how surely the second model differs from the first, question by question."""
    table = _table(f"{comparison.second} against {comparison.first}")
    for heading in ("questions", "points", "95 % interval", "gained", "lost", "McNemar p"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, difference in {**comparison.groups, **comparison.totals}.items():
        table.add_row(name, *_difference(difference))
    _print(table, console)


def show_agreement(found: AnswerAgreement, *, console: Console | None = None) -> None:
    """Print how far a judging model and the offline rules agree, why judgements failed, and every disagreement."""
    from rich.console import Console
    from rich.markup import escape

    console = console or Console()
    observed = "-" if found.observed is None else f"{100 * found.observed:.1f} %"
    kappa = "-" if found.kappa is None else f"{found.kappa:.3f}"
    console.print(
        f"Beside the offline rules: {observed} of {found.items} judged the same, Cohen's kappa {kappa}", soft_wrap=True
    )
    if found.failures:
        failures = ", ".join(f"{count} {kind}" for kind, count in found.failures.items())
        console.print(f"Judgements that failed, unscored: {failures}", soft_wrap=True)
    if found.disagreements:
        table = _table("Judged differently", first="question")
        for heading in ("category", "judge", "offline", "reference", "answer"):
            table.add_column(heading)
        for row in found.disagreements:
            cells = (row.question_id, row.category, row.judge, row.offline, row.reference, row.answer)
            table.add_row(*(escape(cell) for cell in cells))
        console.print(table)


def _by(judge: str) -> str:
    return judge if judge == "offline" else f"by {judge}"


def _table(title: str, first: str = "group") -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table


def _print(table: Table, console: Console | None) -> None:
    from rich.console import Console

    (console or Console()).print(table)


def _tally(name: str, tally: Tally) -> tuple[str, ...]:
    if tally.rate is None or tally.upper is None:
        return "0", "-", "-", "-", "-"
    right = f"{100 * tally.rate:.1f}" if tally.headline is not None else f"{100 * tally.rate:.1f}–{100 * tally.upper:.1f}"
    interval = "-" if tally.interval is None else f"{100 * tally.interval.low:.1f}–{100 * tally.interval.high:.1f}"
    error = "-" if tally.error is None else f"{tally.error:.0f}°" if name == "direction" else f"{tally.error:.0%}"
    return str(tally.items), right, interval, str(tally.unscored), error


def _difference(difference: Difference) -> tuple[str, ...]:
    if difference.difference is None:
        return "0", "-", "-", "-", "-", "-"
    interval = difference.interval
    between = "-" if interval is None else f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"
    return (
        str(difference.items), f"{100 * difference.difference:+.1f}", between, str(difference.gained), str(difference.lost),
        f"{difference.p_value:.2g}",
    )  # fmt: skip
