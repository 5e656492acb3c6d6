"""`spatialreasoner demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from spatialreasoner.cli.options import Out, Seed


def demo(
    out: Out,
    seed: Seed = 0,
    photos: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="RGB-D folder of a real photo. Repeat for each folder.", show_default="../shared/data/rgbd/*"),
    ] = None,
) -> None:
    """Run the whole method on the embedded model: search, SFT, fDPO against DPO, and a report with every answer.

    Examples:
        spatialreasoner demo --out runs/demo
    """
    from spatialreasoner import demo as pipeline

    report = pipeline.run_demo(pipeline.DemoConfig(seed=seed, photos=None if photos is None else tuple(map(str, photos))), out)
    typer.echo("\n".join((f"The report is at {report}. Continue with:", *pipeline.next_commands(out))))
