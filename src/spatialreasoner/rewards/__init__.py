"""Fine-grained rewards of spatial reasoning, verified against depth instead of judged.

`score_response` scores one answer; `grade` also tells every statement's verdict and the truth beside it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatialreasoner.rewards.combine import GeometricReward, Graded, grade, score_response

__all__ = ["GeometricReward", "Graded", "grade", "score_response"]


def __getattr__(name: str) -> Any:
    # Scoring predictions reads text alone: it must not wait half a second for numpy and the scene's geometry.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spatialreasoner.rewards import combine

    return getattr(combine, name)
