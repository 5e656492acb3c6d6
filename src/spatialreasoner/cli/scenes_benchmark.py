"""`spatialreasoner scenes benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialreasoner.cli.options import Out


def scenes_benchmark(
    source: Annotated[Path, typer.Argument(help="SpatialRGPT-Bench: its .json, .parquet, or folder.", show_default=False)],
    out: Out,
    images: Annotated[str, typer.Option(help="Folder of its images, if they are not beside the file.")] = "",
) -> None:
    """Read SpatialRGPT-Bench from official files: scenes and questions to generate and score on.

    Examples:
        spatialreasoner scenes benchmark SpatialRGPT-Bench --out bench
    """
    from spatialreasoner.pipeline import read_benchmark

    made = read_benchmark(source, out=out, images=images)
    typer.echo(f"{made.summary['questions']} questions in {out / 'questions.jsonl'}")
