"""`spatialreasoner explain`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def explain(
    text: Annotated[str, typer.Argument(help="A response, or - to read it from standard input.", show_default=False)],
    question: Annotated[str, typer.Option(help="The question that it answers.")] = "",
    category: Annotated[str, typer.Option(help="The question's category, one of SpatialRGPT-Bench's 24.")] = "",
) -> None:
    """Show how a response is read: its segments, statements and answer, each with the rule and the words.

    Examples:
        spatialreasoner explain "<region1> is 1.5 m wide."
        spatialreasoner explain "No." --question "Is Region [0] in front of Region [1]?" --category front_predicate
    """
    from spatialreasoner.pipeline import explain_text

    said = sys.stdin.read() if text == "-" else text
    typer.echo(explain_text(said, question=question, category=category))
