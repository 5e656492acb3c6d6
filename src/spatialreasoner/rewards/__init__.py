"""Fine-grained rewards of spatial reasoning, verified against depth instead of judged.

`score_response` scores one answer; `grade` also tells every statement's verdict and the truth beside it. `reward_function`
makes a function that training loops call (TRL's `reward_funcs`); `functions` and `loops` have those that are made already.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatialreasoner.rewards.combine import GeometricReward, Graded, grade, score_response
    from spatialreasoner.rewards.functions import reward_function

__all__ = ["GeometricReward", "Graded", "grade", "reward_function", "score_response"]


def __getattr__(name: str) -> Any:
    # Scoring predictions reads text alone: it must not wait half a second for numpy and the scene's geometry.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spatialreasoner.rewards import combine, functions

    return getattr(functions if name == "reward_function" else combine, name)
