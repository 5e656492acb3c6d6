"""One response printed with its statements coloured by verdict, and tables of verdicts, truths and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spatialreasoner.core.types import Question
from spatialreasoner.language.responses import MAX_CHARACTERS
from spatialreasoner.rewards.combine import Graded, scores
from spatialreasoner.rewards.spatial import StatementVerdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

VERDICT_STYLES: Mapping[str, str] = {"true": "green", "partial": "yellow", "false": "bold red", "unscored": "dim"}
"""How statements are coloured by verdict."""

_MOST: Mapping[str, str] = {"description": "8", "reasoning": "8", "total": "16"}
"""The largest value of a reward, where it is not 4."""


def print_explanation(question: Question, text: str, graded: Graded, *, console: Console | None = None) -> None:
    """Print one response with its statements coloured by verdict, and a table of verdicts, truths and parts."""
    from rich.console import Console

    console = Console() if console is None else console
    console.print(f"{printable(question.id)} ({question.category}): {printable(question.text)}", style="bold", markup=False)
    console.print(coloured(text[:MAX_CHARACTERS], (*graded.description, *graded.reasoning)))
    console.print(_verdict_table(text, graded))
    console.print(_score_table(graded))


def coloured(text: str, verdicts: Sequence[StatementVerdict]) -> Text:
    """The text with each statement in the colour of its verdict."""
    from rich.text import Text

    shown = Text(printable(text))
    for verdict in verdicts:
        shown.stylize(VERDICT_STYLES[verdict.label], *verdict.assertion.span)
    return shown


def printable(text: str) -> str:
    """A text of the same length whose control characters are shown, not sent to the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


def _verdict_table(text: str, graded: Graded) -> Any:
    from rich.table import Table

    table = Table("statement", "verdict", "r", "weight", "truth")
    for verdict in (*graded.description, *graded.reasoning):
        said = " ".join(text[slice(*verdict.assertion.span)].split())
        score = "-" if verdict.score is None else f"{verdict.score:.2f}"
        row = (_plain(said), verdict.label, score, f"{verdict.weight:.2f}", _plain(verdict.reason))
        table.add_row(*row, style=VERDICT_STYLES[verdict.label])
    for check in graded.calculations:
        style = VERDICT_STYLES["true" if check.right else "false"]
        table.add_row(_plain(check.text), "right" if check.right else "wrong", "", "", f"{check.expected:.4g}", style=style)
    return table


def _score_table(graded: Graded) -> Any:
    """The rewards and their parts; beside them what a judge says, if one was asked."""
    from rich.table import Table

    reward, opinion = graded.reward, graded.opinion
    table = Table("reward", "score", "of", *(("geometry", "judge") if opinion else ()), "why")
    beside = (opinion.geometry, opinion.judge) if opinion else ()
    for name, score in scores(reward).items():
        both = [_number(scores(one)[name]) for one in beside]
        why = reward.reasons.get(name, "")
        table.add_row(name, _number(score), _MOST.get(name, "4"), *both, _plain(why), style="bold")
        for part, value in reward.parts.items():
            if part.startswith(f"{name}."):
                both = [_number(one.parts.get(part)) for one in beside]
                why = _plain(reward.reasons.get(part, ""))
                table.add_row(f"  {part.partition('.')[2]}", _number(value), "1", *both, why)
    if "response" in reward.reasons:
        table.add_section()
        table.add_row("response", "", "", *("" for _ in beside), _plain(reward.reasons["response"]), style="bold")
    return table


def _plain(text: str) -> Any:
    """A cell whose text is neither markup nor a control sequence."""
    from rich.text import Text

    return Text(printable(text))


def _number(score: float | None) -> str:
    return "unscored" if score is None else f"{score:.2f}"
