"""`spatialreasoner pairs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from spatialreasoner.cli.options import Out, Scenes, Seed


def pairs(
    runs: Annotated[list[Path], typer.Argument(help="Folders written by 'search'.", show_default=False)],
    out: Out,
    scenes: Scenes = None,
    seed: Seed = 0,
    candidates: Annotated[int, typer.Option(help="Number of scored answers to compare per question.", min=2)] = 8,
    min_gap: Annotated[
        float, typer.Option(help="Minimum difference in total reward (0..16) within a pair.", min=0, max=16)
    ] = 0.5,
    hard: Annotated[
        float, typer.Option(help="Share of questions with a hard negative (altered conclusion).", min=0, max=1)
    ] = 0.25,
    regions: Annotated[
        Literal["marks", "tokens"],
        typer.Option(
            help="Draw regions on the images (set-of-mark prompting), or leave the images clean for a model with region tokens."
        ),
    ] = "marks",
) -> None:
    """Make preference pairs with a gap per segment, and SFT examples, from scored answers.

    Examples:
        spatialreasoner pairs search --out pairs
        spatialreasoner pairs search-1 search-2 --hard 0.5 --regions tokens --out pairs
    """
    from spatialreasoner.pipeline import build_pairs
    from spatialreasoner.preferences.pairs import PairsConfig

    config = PairsConfig(candidates=candidates, min_gap=min_gap, hard=hard, seed=seed, regions=regions)
    made = build_pairs(runs, out=out, scenes=scenes, config=config).details
    typer.echo(f"{made.ranked} ranked and {made.hard} hard pairs, {made.sft} picks for SFT in {out}")
