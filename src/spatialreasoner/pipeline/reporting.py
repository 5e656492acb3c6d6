"""The stage `report`: what run folders hold, as a page, Markdown or a LaTeX table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.loops import asynchronous
from spatialreasoner.core.progress import ShowProgress, progress_bar, quiet
from spatialreasoner.pipeline.inputs import PathLike, paths_of
from spatialreasoner.pipeline.result import Result


def report(
    runs: PathLike | Sequence[PathLike], *, out: PathLike = "report.html", progress: ShowProgress | None = progress_bar
) -> Result:
    """Write a report on run folders.

    Args:
        runs: One or several folders with the outputs of stages, directly or a few folders down.
        out: The file to write: .html to be read offline, .md for Markdown, .tex for the table of results.
        progress: Displays the progress; None displays nothing.

    Raises:
        InputError: If a folder is not there, a file in one is broken, there is nothing to report, or `out` has the name of a
            file that runs hold.
        WorkError: If the report cannot be written.
    """
    from spatialreasoner.report.report import write_report

    if Path(out).suffix in {".json", ".jsonl"}:
        raise ConfigError(f"expected a report's path, ending in .html, .md or .tex; got {os.fspath(out)!r}")
    folders = paths_of(runs)
    if not folders:
        raise ConfigError("`runs` needs at least one folder with the outputs of stages; got none")
    with (progress or quiet)(f"report on {', '.join(map(str, folders))}", None):
        write_report(folders, Path(out))
    return Result(stage="report", out=Path(out), files=(Path(out),), count=len(folders))


report_async = asynchronous(report)
