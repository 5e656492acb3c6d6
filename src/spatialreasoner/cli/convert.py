"""`spatialreasoner convert`: a released Sa2VA in transformers' own classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialreasoner.cli.options import Out


def convert(
    folder: Annotated[Path, typer.Argument(help="Folder of a released Sa2VA model.", show_default=False)],
    out: Out,
) -> None:
    """Convert a Sa2VA model (the architecture of SpatialReasoner-R1) for training and serving; none of its code is run.

    Examples:
        spatialreasoner convert Sa2VA-8B --out sa2va
    """
    from spatialreasoner.pipeline import convert_model as run

    run(folder, out=out)
    typer.echo(f"The model is in {out}. The SAM 2 mask head is left out: it answers in text, and [SEG] draws no mask")
