"""`spatialreasoner measure`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def measure(
    folder: Annotated[Path, typer.Argument(metavar="SCENE", help="An RGB-D folder, or a scenes folder.", show_default=False)],
    scene: Annotated[str, typer.Option("--scene", help="Id of the scene, if the folder has several.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: every value with its error and interval.")] = False,
) -> None:
    """Print the sizes of all regions and the distances of all pairs, with error bars. Needs no model.

    "0.60 m ± 0.03" means: the true value lies from 0.57 to 0.63 m 95 times in 100. What cannot be measured has its reason.

    Examples:
        spatialreasoner measure my-room
        spatialreasoner measure scenes --scene my-room --json
    """
    from spatialreasoner.core.records import dumps
    from spatialreasoner.pipeline import measure as run
    from spatialreasoner.report import measurements

    table = run(folder, scene=scene).details
    typer.echo(dumps(table) if as_json else measurements.terminal(table))
