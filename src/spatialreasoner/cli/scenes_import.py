"""`spatialreasoner scenes import`: any RGB-D capture as scenes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from spatialreasoner.cli.options import out_option
from spatialreasoner.core.errors import ConfigError

if TYPE_CHECKING:
    from spatialreasoner.scenes.importers import FrameOptions


def scenes_import(
    path: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it at run time
        typer.Argument(help="The capture: a folder, an archive or a file.", show_default=False),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        out_option("Output folder; created if missing.", show_default=False),
    ] = None,
    kind: Annotated[str, typer.Option("--from", help="Kind of capture; 'auto' detects it from the files.")] = "auto",
    every: Annotated[int, typer.Option(help="Take every Nth frame.", min=1)] = 1,
    limit: Annotated[int, typer.Option(help="Take at most this many frames, evenly spread; 0 for all.", min=0)] = 100,
    intrinsics: Annotated[
        str,
        typer.Option(help="The image's camera, FX,FY,CX,CY in pixels, if the capture does not include it.", show_default=False),
    ] = "",
    min_confidence: Annotated[
        int,
        typer.Option(help="Minimum depth confidence to keep, if the capture has it: 0 low, 1 medium, 2 high.", min=0, max=2),
    ] = 1,
    regions: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Regions from a label tool: a COCO, CVAT, labelme ... file or folder.", show_default=False),
    ] = None,
    kinds: Annotated[bool, typer.Option("--kinds", help="List the kinds of capture and exit.")] = False,
) -> None:
    """Read the files of a depth camera, a phone or a data set: depth in metres on the image's grid, its camera, gravity.

    Examples:
        spatialreasoner scenes import my-scan.zip --out scenes
        spatialreasoner scenes import captures/kitchen --from record3d --every 10 --limit 20 --out scenes
        spatialreasoner scenes import --kinds
    """
    from spatialreasoner.pipeline import read_capture

    if kinds:
        from spatialreasoner.scenes.importers import importers

        typer.echo("\n".join(f"{each.kind:<14}{each.title}\n{'':<14}{each.layout}" for each in importers()))
        return
    if path is None or out is None:
        raise ConfigError("expected the capture's path and --out DIR; --kinds lists what can be read")
    options = _options(intrinsics, min_confidence)
    done = read_capture(path, out=out, kind=kind, every=every, limit=limit or None, options=options, regions=regions).details
    fewer = "" if done.scenes + len(done.left_out) >= done.frames else " (--every and --limit choose; --limit 0 takes all)"
    typer.echo(f"{done.scenes} scenes of {done.frames} frames in {out}, read as {done.kind}{fewer}")
    if not done.labelled:
        typer.echo(f"They have no regions yet: draw them in the app (spatialreasoner app --photos {out}), or label the images.")
    if done.left_out:
        name, reason = next(iter(done.left_out.items()))
        typer.echo(f"{len(done.left_out)} frames were left out, the first, {name}, because: {reason}")


def _options(intrinsics: str, min_confidence: int) -> FrameOptions:
    from spatialreasoner.core.types import Intrinsics
    from spatialreasoner.scenes.importers import FrameOptions

    if not intrinsics:
        return FrameOptions(min_confidence=min_confidence)
    try:
        fx, fy, cx, cy = (float(part) for part in intrinsics.split(","))
        camera = Intrinsics(fx=fx, fy=fy, cx=cx, cy=cy)
    except ValueError as error:
        raise ConfigError(f"expected --intrinsics FX,FY,CX,CY, four numbers of pixels; got {intrinsics!r}: {error}") from None
    return FrameOptions(intrinsics=camera, min_confidence=min_confidence)
