"""`spatialreasoner pairs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from spatialreasoner.cli.options import Out, Scenes, Seed


def pairs(
    runs: Annotated[list[Path], typer.Argument(help="Folders that 'search' wrote.", show_default=False)],
    out: Out,
    scenes: Scenes = None,
    seed: Seed = 0,
    candidates: Annotated[int, typer.Option(help="Scored answers of a question that are compared.", min=2)] = 8,
    min_gap: Annotated[float, typer.Option(help="Least difference of total reward (0..16) in a pair.", min=0, max=16)] = 0.5,
    hard: Annotated[float, typer.Option(help="Share of questions with a hard pair (conclusion altered).", min=0, max=1)] = 0.25,
    regions: Annotated[
        Literal["marks", "tokens"],
        typer.Option(help="Draw regions on the pictures, or let clean pictures carry them for a model with region tokens."),
    ] = "marks",
) -> None:
    """Make preference pairs with a gap for each segment, and the picks for SFT, from scored answers.

    Examples:
        spatialreasoner pairs search --out pairs
        spatialreasoner pairs search-1 search-2 --hard 0.5 --regions tokens --out pairs
    """
    from spatialreasoner.pipeline import build_pairs
    from spatialreasoner.preferences.pairs import PairsConfig

    config = PairsConfig(candidates=candidates, min_gap=min_gap, hard=hard, seed=seed, regions=regions)
    made = build_pairs(runs, out=out, scenes=scenes, config=config).details
    typer.echo(f"{made.ranked} ranked and {made.hard} hard pairs, {made.sft} picks for SFT in {out}")
