"""`python -m research.fdpo_study --out DIR`: what preference training is worth on the embedded model, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from research.fdpo_study import command
from spatialreasoner.cli import run


def main(
    out: Annotated[Path, typer.Option(help="Folder of the study; the same command continues it.", show_default=False)],
    quick: Annotated[bool, typer.Option("--quick", help="Few rooms, the main arms, one seed: a quarter of an hour.")] = False,
    arms: Annotated[
        str,
        typer.Option(
            help="Comma-separated arms or groups (main, control, exact, numbers, online, tuning); default: main and control."
        ),
    ] = "",
    seeds: Annotated[int, typer.Option(help="Trainings per main arm; at most 3 per control.", min=1, max=100)] = 5,
    config: Annotated[Optional[Path], typer.Option(help="YAML file of sizes and settings.", show_default=False)] = None,  # noqa: UP045
    workers: Annotated[int, typer.Option(help="Jobs that run at the same time; 0: one per core.", min=0)] = 0,
    docs: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="Train nothing: write the tables into this document, and what the demo shows of them.", show_default=False
        ),
    ] = None,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[KEY=VALUE]...", help="Sizes and settings, such as test_scenes=100; they override the file."),
    ] = None,
) -> None:
    """Measure what preference training is worth on the embedded model, against its controls, with intervals."""
    if docs is not None:
        typer.echo(command.write_docs(out, docs))
        return
    typer.echo(
        command.study(
            out, arms=arms, seeds=seeds, quick=quick, config=config, workers=workers, overrides=settings or [],
        )
    )  # fmt: skip


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command(context_settings={"allow_interspersed_args": True})(main)
    run(app)
