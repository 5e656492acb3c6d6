"""Scores one can trust and a report worth reading.

Predictions in the official format of SpatialRGPT-Bench are judged offline (`answers`), added up with intervals (`score`), and
shown beside the search, the pairs and the training that led to them (`report`).
"""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.evaluation.answers import Verdict, judge
    from spatialreasoner.evaluation.model_judge import AnswerJudgeConfig
    from spatialreasoner.evaluation.predictions import Prediction, read_predictions, write_predictions
    from spatialreasoner.evaluation.score import ModelComparison, Score, compare, run_score

__all__ = [
    "AnswerJudgeConfig",
    "ModelComparison",
    "Prediction",
    "Score",
    "Verdict",
    "compare",
    "judge",
    "read_predictions",
    "run_score",
    "write_predictions",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ModelComparison": ".score",
        "AnswerJudgeConfig": ".model_judge",
        "JudgingConfig": ".model_judge",  # for one version
        "Prediction": ".predictions",
        "Score": ".score",
        "Verdict": ".answers",
        "compare": ".score",
        "judge": ".answers",
        "read_predictions": ".predictions",
        "run_score": ".score",
        "write_predictions": ".predictions",
    },
)
