"""`spatialreasoner scenes synthetic`."""

from __future__ import annotations

from typing import Annotated

import typer

from spatialreasoner.cli.options import Out, Seed


def scenes_synthetic(
    out: Out,
    count: Annotated[int, typer.Option(help="Number of scenes.", min=1, max=1_000_000)] = 100,
    seed: Seed = 0,
    width: Annotated[int, typer.Option(help="Image width in pixels.", min=64, max=4096)] = 128,
    height: Annotated[int, typer.Option(help="Image height in pixels.", min=64, max=4096)] = 128,
) -> None:
    """Make rooms with tables and objects on them, with exact depth, masks and true sizes.

    Examples:
        spatialreasoner scenes synthetic --count 200 --seed 1 --out scenes
    """
    from spatialreasoner.pipeline import make_scenes

    made = make_scenes(out=out, count=count, seed=seed, width=width, height=height)
    typer.echo(f"{made.count} scenes in {out}")
