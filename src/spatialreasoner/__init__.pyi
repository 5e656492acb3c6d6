"""The public names, for type checkers and editors."""

from spatialreasoner.core.types import Question, Region, Response, Scene
from spatialreasoner.evaluation.answers import Verdict
from spatialreasoner.inference.registry import WritingConfig
from spatialreasoner.pipeline import (
    Result,
    build_pairs,
    build_pairs_async,
    evaluate,
    evaluate_async,
    generate,
    generate_async,
    judge_answer,
    judge_answer_async,
    load_scenes,
    make_questions,
    make_questions_async,
    make_scenes,
    make_scenes_async,
    report,
    report_async,
    reward,
    reward_async,
    search,
    search_async,
    train,
    train_async,
)
from spatialreasoner.rewards.combine import score_response
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.run import RunConfig
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.loss import fdpo_loss
from spatialreasoner.vlm.loading import load_vlm

__version__: str
__all__ = [
    "FDPOConfig",
    "FDPOTrainer",
    "Question",
    "Region",
    "Response",
    "Result",
    "RunConfig",
    "Scene",
    "SearchConfig",
    "Verdict",
    "WritingConfig",
    "__version__",
    "build_pairs",
    "build_pairs_async",
    "evaluate",
    "evaluate_async",
    "fdpo_loss",
    "generate",
    "generate_async",
    "judge_answer",
    "judge_answer_async",
    "load_scenes",
    "load_vlm",
    "make_questions",
    "make_questions_async",
    "make_scenes",
    "make_scenes_async",
    "report",
    "report_async",
    "reward",
    "reward_async",
    "score_response",
    "search",
    "search_async",
    "train",
    "train_async",
]
