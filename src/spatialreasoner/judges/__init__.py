"""Models that grade what geometry cannot, and how far they agree with it."""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.judges.journalled import JournalledJudge
    from spatialreasoner.judges.panel import Panel
    from spatialreasoner.judges.rewards import ApiJudge, JudgePanel

__all__ = ["ApiJudge", "JournalledJudge", "JudgePanel", "Panel"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ApiJudge": ".rewards",
        "JournalledJudge": ".journalled",
        "JudgePanel": ".rewards",
        "Panel": ".panel",
    },
)
