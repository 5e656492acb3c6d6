"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def _refuse_standard_output(out: Path | None) -> Path | None:
    """Settings and summaries are written beside an output, so it needs a name."""
    if out == Path("-"):
        raise typer.BadParameter("expected the path of an output; got '-': this command does not write to standard output")
    return out


def out_option(text: str, *, show_default: bool = True) -> typer.models.OptionInfo:
    """The option `--out`, with its help."""
    return typer.Option("--out", help=text, show_default=show_default, callback=_refuse_standard_output)


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
Batch = Annotated[
    bool,
    typer.Option(
        "--batch", help="Ask endpoints through their batch API: half the price, replies within a day; run again to resume."
    ),
]
MaxCalls = Annotated[Optional[int], typer.Option(help="Maximum number of requests.", min=1)]  # noqa: UP045
MaxTokens = Annotated[Optional[int], typer.Option(help="Maximum number of tokens.", min=1)]  # noqa: UP045
MaxCost = Annotated[Optional[float], typer.Option(help="Maximum cost.", min=0)]  # noqa: UP045
Endpoints = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="A YAML file of endpoints, NAME: {model, url, settings}; use NAME as a model.", show_default=False),
]
