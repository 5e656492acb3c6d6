"""`spatialreasoner scenes rgbd`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialreasoner.cli.options import Out


def scenes_rgbd(
    folders: Annotated[list[Path], typer.Argument(help="Folders with image, depth.png and scene.json.", show_default=False)],
    out: Out,
) -> None:
    """Read real photos with measured depth (the RGB-D folder format).

    Examples:
        spatialreasoner scenes rgbd my-room another-room --out scenes
    """
    from spatialreasoner.pipeline import read_rgbd

    typer.echo(f"{read_rgbd(folders, out=out).count} scenes in {out}")
