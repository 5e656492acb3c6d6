"""Fine-grained rewards of spatial reasoning, verified against depth instead of judged.

`score_response` scores one answer; `grade` also tells every statement's verdict and the truth beside it.
"""

from spatialreasoner.rewards.combine import GeometricReward, Graded, grade, score_response

__all__ = ["GeometricReward", "Graded", "grade", "score_response"]
