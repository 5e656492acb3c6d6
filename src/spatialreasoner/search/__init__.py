"""M3CTS: a tree search over the steps of an answer, in which several models write in one tree (paper, appendix B and C).

`tree` holds nodes and arithmetic, `m3cts` the four phases, `run` many questions at once with `journal`, `endpoint` and
`budget` behind it. The search knows neither models nor rewards: it is given policies and a reward function.
"""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.search.m3cts import SearchConfig, search
    from spatialreasoner.search.run import Forecast, RunConfig, RunResult, forecast, run_search, run_search_async
    from spatialreasoner.search.tree import Node, Tree, backup, select, ucb

__all__ = [
    "Forecast",
    "Node",
    "RunConfig",
    "RunResult",
    "SearchConfig",
    "Tree",
    "backup",
    "forecast",
    "run_search",
    "run_search_async",
    "search",
    "select",
    "ucb",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Forecast": ".run",
        "Node": ".tree",
        "RunConfig": ".run",
        "RunResult": ".run",
        "SearchConfig": ".m3cts",
        "Tree": ".tree",
        "backup": ".tree",
        "forecast": ".run",
        "run_search": ".run",
        "run_search_async": ".run",
        "search": ".m3cts",
        "select": ".tree",
        "ucb": ".tree",
    },
)
