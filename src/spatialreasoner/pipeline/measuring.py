"""The stage `measure`: the sizes of a scene's regions and the distances of its pairs, with error bars."""

from __future__ import annotations

from pathlib import Path

from spatialreasoner.core.loops import asynchronous
from spatialreasoner.core.progress import ShowProgress, progress_bar, quiet
from spatialreasoner.pipeline.inputs import PathLike
from spatialreasoner.pipeline.result import Result


def measure(folder: PathLike, *, scene: str = "", progress: ShowProgress | None = progress_bar) -> Result:
    """Measure every region of a scene and every pair of regions; needs no model and writes nothing.

    Args:
        folder: An RGB-D folder, or a scenes folder.
        scene: Id of the scene; may be empty if the folder holds only one.
        progress: Displays the progress; None displays nothing.

    Returns:
        The result; its count is that of the regions, and `details` is a `report.measurements.MeasurementTable`: metres, and
        hours for directions, each with its standard error and interval of 95 %, or with the reason why there is no value.

    Raises:
        InputError: If the folder cannot be read, holds several scenes and none of that id, or depth and masks do not fit
            together.
    """
    from spatialreasoner.report.measurements import measurement_table, open_scene

    found = open_scene(Path(folder), scene)
    with (progress or quiet)(f"measure {found.id}", None):
        table = measurement_table(found)
    return Result(stage="measure", out=None, count=len(table.regions), details=table)


measure_async = asynchronous(measure)
