"""`spatialreasoner questions`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialreasoner.cli.options import Seed
from spatialreasoner.core.progress import stage


def questions(
    scenes: Annotated[Path, typer.Argument(help="A scenes folder.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("questions.jsonl"),
    per_scene: Annotated[int, typer.Option(help="How many questions a scene.", min=1, max=10_000)] = 5,
    seed: Seed = 0,
) -> None:
    """Ask questions of the 24 kinds of SpatialRGPT-Bench, with the truth from geometry.

    Examples:
        spatialreasoner questions scenes --per-scene 5 --out questions.jsonl
    """
    from spatialreasoner.questions.generate import QuestionsConfig, write_questions

    config = QuestionsConfig(scenes=str(scenes), per_scene=per_scene, seed=seed)
    with stage(f"ask about {scenes}") as advance:
        count = write_questions(config, out, progress=advance)
    typer.echo(f"{count.total()} questions of {len(count)} kinds in {out}")
