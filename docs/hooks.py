"""What the site says of commands comes from the commands themselves, at each build."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import click
import typer

from spatialreasoner.cli import app

PAGE = "reference/commands.md"

WEIGHTS = {"quickstart.md": 3.0, "how-to/": 2.0, "reference/": 0.5}
"""How much pages by the beginnings of their paths count in a search: those that explain come first."""


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Weigh a page for the search, and append every command's help to its page (an event of MkDocs)."""
    for beginning, weight in WEIGHTS.items():
        if page.file.src_uri.startswith(beginning):
            page.meta["search"] = {"boost": weight}
    if page.file.src_uri != PAGE:
        return markdown
    return "\n\n".join([markdown, *(described(context) for context in commands())])


def commands() -> Iterator[click.Context]:
    """Every command that does something, with the names that lead to it, in the order of `--help`."""
    root = typer.main.get_command(app)
    yield from _leaves(root, click.Context(root, info_name=app.info.name))


def _leaves(command: Any, context: click.Context) -> Iterator[click.Context]:
    children = getattr(command, "commands", {})
    if not children:
        yield context
    for name, child in children.items():
        yield from _leaves(child, click.Context(child, info_name=name, parent=context))


def described(context: click.Context) -> str:
    """One command as Markdown: its help, its usage, and a table of what it takes."""
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    records = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    text, _, examples = (command.help or "").partition("\n\nExamples:\n")
    table = "\n".join(["| name | | default, limits |", "|---|---|---|", *(_row(*record) for record in records)])
    return "\n\n".join(
        [f"## {context.command_path}", escape(text), f"    {usage}", table, examples and f"Examples:\n\n{examples}"]
    )


def _row(name: str, text: str) -> str:
    """One argument or option: how it is written, what it does, and its default and limits, which click puts last."""
    text, _, limits = text.partition("  [")
    cells = f"<code>{escape(name)}</code>", escape(text), escape(limits.removesuffix("]"))
    return "| " + " | ".join(cell.replace("|", "&#124;") for cell in cells) + " |"
