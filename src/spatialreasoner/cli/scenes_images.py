"""`spatialreasoner scenes images`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from spatialreasoner.cli.options import Out


def scenes_images(
    folder: Annotated[Path, typer.Argument(help="A folder of photos.", show_default=False)],
    out: Out,
    depth: Annotated[
        str, typer.Option(help="A depth-estimation model of transformers: a folder or a repository.", show_default=False)
    ],
    masks: Annotated[
        str,
        typer.Option(
            help="A SAM model of transformers, or the file or folder of a label tool (COCO, CVAT, labelme, ...).",
            show_default=False,
        ),
    ],
    field_of_view: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--fov", help="Horizontal field of view in degrees, for photos without a focal length in EXIF."),
    ] = None,
) -> None:
    """Make scenes from any photos: depth and masks from models, the camera from EXIF or a given field of view.

    Examples:
        spatialreasoner scenes images photos --depth models/depth --masks facebook/sam-vit-base --out scenes
        spatialreasoner scenes images photos --depth models/depth --masks annotations.json --fov 60 --out scenes
    """
    from spatialreasoner.pipeline import read_photos

    made = read_photos(folder, out=out, depth=depth, masks=masks, field_of_view=field_of_view)
    typer.echo(f"{made.count} scenes in {out}")
