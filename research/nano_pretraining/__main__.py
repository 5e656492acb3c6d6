"""`python -m research.nano_pretraining --out DIR` makes the nano's base from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from research.nano_pretraining.pretraining import PretrainConfig, pretrain

from spatialreasoner.cli import run


def main(
    out: Annotated[Path, typer.Option(help="Where the rooms, the checkpoints and the finished model go.")],
    seed: Annotated[int, typer.Option(help="Decides the first weights and the order of everything.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves torch's choice.")] = 0,
) -> None:
    """Make the weights of the nano's base from nothing."""
    if threads:
        torch.set_num_threads(threads)
    typer.echo(pretrain(PretrainConfig(seed=seed), out))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run(app)
