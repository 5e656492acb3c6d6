"""Options that several commands take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperCommand

from spatialreasoner.core.outputs import output_file

OUTPUTS = ("out", "save_marked")
"""What the options that name outputs are called."""


class CarefulCommand(TyperCommand):
    """A command that looks at where it will write before it does anything."""

    def invoke(self, ctx: Any) -> Any:
        """Run it.

        Raises:
            ConfigError: If an output would replace an input, a device or a pipe.
        """
        for name in OUTPUTS:
            if ctx.params.get(name) is not None:
                output_file(Path(ctx.params[name]), _files(ctx.params, name))
        return super().invoke(ctx)


def _files(params: dict[str, Any], but: str) -> Iterator[Path]:
    """The files that the other parameters name."""
    for name, value in params.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if name not in (but, *OUTPUTS) and isinstance(each, str | Path) and 0 < len(str(each)) < 4096:
                yield Path(each)


def _refuse_standard_output(out: Path | None) -> Path | None:
    """Settings and summaries are written beside an output, so it needs a name."""
    if out == Path("-"):
        raise typer.BadParameter("expected the path of an output; got '-': this command does not write to standard output")
    return out


def _refuse_no_file(out: Path | None) -> Path | None:
    if out is not None and (not out.name or os.path.isdir(out)):
        raise typer.BadParameter(f"expected the path of a file; got {str(out)!r}, a folder")
    return _refuse_standard_output(out)


def out_option(text: str, *, show_default: bool = True) -> typer.models.OptionInfo:
    """The option `--out` of a command that writes a folder, with its help."""
    return typer.Option("--out", help=text, show_default=show_default, callback=_refuse_standard_output)


def out_file_option(text: str, *, show_default: bool = True) -> typer.models.OptionInfo:
    """The option `--out` of a command that writes a file, with its help."""
    return typer.Option("--out", help=text, show_default=show_default, callback=_refuse_no_file)


Out = Annotated[Path, out_option("Output folder; created if missing.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Seed of every random choice; the same seed gives the same bytes.", min=0)]
Scenes = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it at run time
    typer.Option("--scenes", help="The scenes folder, if the path stored with the questions is out of date."),
]
Model = Annotated[
    str,
    typer.Option(help="Model: a folder or hf:REPO_OR_DIR, scripted:careful, or api:MODEL@BASE_URL.", show_default=False),
]
Key = Annotated[str, typer.Option(help="Environment variable that holds the API key of endpoints.")]
NewTokens = Annotated[int, typer.Option(help="Maximum length of an answer in tokens, thinking included.", min=1)]
TopP = Annotated[float, typer.Option(help="Nucleus sampling (top-p) at endpoints; 1 samples from all tokens.", min=0.01, max=1)]
Effort = Annotated[
    str,
    typer.Option(help="Reasoning effort of models at endpoints: none, minimal, low, medium or high; otherwise their default."),
]
Thinking = Annotated[
    Optional[bool],  # noqa: UP045
    typer.Option(
        "--enable-thinking/--disable-thinking",
        help="Let a model think before it answers, if it can. By default local models do not, and endpoints decide.",
        show_default=False,
    ),
]
Timeout = Annotated[float, typer.Option(help="Timeout of a request to an endpoint, retries included, in seconds.", min=1)]
Batched = Annotated[
    bool,
    typer.Option(
        "--batch", help="Ask endpoints through their batch API: half the price, replies within a day; run again to resume."
    ),
]
MaxCalls = Annotated[Optional[int], typer.Option(help="Maximum number of requests.", min=1)]  # noqa: UP045
MaxTokens = Annotated[Optional[int], typer.Option(help="Maximum number of tokens.", min=1)]  # noqa: UP045
MaxCost = Annotated[Optional[float], typer.Option(help="Maximum cost, in the currency of the prices.", min=0)]  # noqa: UP045
Endpoints = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="A YAML file of endpoints, NAME: {model, url, settings}; use NAME as a model.", show_default=False),
]
