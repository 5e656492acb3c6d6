"""`spatialreasoner report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialreasoner.cli.options import out_file_option


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders to report on.", show_default=False)],
    out: Annotated[Path, out_file_option("The file to write: .html, .md or .tex.")] = Path("report.html"),
) -> None:
    """Write a report on run folders: one HTML file that works offline, Markdown, or a LaTeX table.

    Examples:
        spatialreasoner report search pairs fdpo --out report.html
        spatialreasoner report runs --out results.tex
    """
    from spatialreasoner.pipeline import report as write

    write(runs, out=out)
    typer.echo(f"The report is at {out}")
