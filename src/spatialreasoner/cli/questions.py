"""`spatialreasoner questions`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialreasoner.cli.options import Seed, out_file_option


def questions(
    scenes: Annotated[Path, typer.Argument(help="A scenes folder.", show_default=False)],
    out: Annotated[Path, out_file_option("The file to write.")] = Path("questions.jsonl"),
    per_scene: Annotated[int, typer.Option(help="Number of questions per scene.", min=1, max=10_000)] = 5,
    seed: Seed = 0,
) -> None:
    """Ask questions of the 24 kinds of SpatialRGPT-Bench, with true answers from geometry.

    Examples:
        spatialreasoner questions scenes --per-scene 5 --out questions.jsonl
    """
    from spatialreasoner.pipeline import make_questions

    made = make_questions(scenes, out=out, per_scene=per_scene, seed=seed)
    typer.echo(f"{made.count} questions of {len(made.summary)} kinds in {out}")
