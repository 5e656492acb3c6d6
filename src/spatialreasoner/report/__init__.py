"""The report of run folders: one HTML file, Markdown or LaTeX tables."""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.report.report import write_report
    from spatialreasoner.report.runs import Runs, find_runs

__all__ = ["Runs", "find_runs", "write_report"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Runs": ".runs",
        "find_runs": ".runs",
        "write_report": ".report",
    },
)
