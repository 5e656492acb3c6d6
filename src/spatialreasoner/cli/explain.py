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
    from spatialreasoner.core.errors import ConfigError
    from spatialreasoner.core.types import CATEGORIES
    from spatialreasoner.language.parsed import explain_parse

    if category and category not in CATEGORIES:
        raise ConfigError(f"expected one of the categories {', '.join(CATEGORIES)}; got {category!r}")
    said = sys.stdin.read() if text == "-" else text
    known = category if category else None
    typer.echo(explain_parse(said, category=known, question=question))
