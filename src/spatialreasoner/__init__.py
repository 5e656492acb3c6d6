"""SpatialReasoner-R1: spatial reasoning for vision-language models by fine-grained preference optimization.

The package is a pipeline of stages joined by files: scenes, questions, search, pairs, training, generation, evaluation, report.
Every stage is one function here, with an asynchronous one beside it whose name ends in `_async`; both take their input first
and everything else by keyword. Start reading at `core.types` and `core.protocols`. Importing the package imports nothing heavy.

    from spatialreasoner import evaluate, generate, load_scenes, make_questions

    make_questions("scenes", out="questions.jsonl", per_scene=5)
    answers = generate("questions.jsonl", model="nano", out="predictions.jsonl")
    print(evaluate(answers))
"""

import sys
from types import ModuleType
from typing import Any

from spatialreasoner.core.lazy import lazy

__version__ = "0.1.0"

_PIPELINE = "spatialreasoner.pipeline"

_ROOMS = ("report", "search")
"""Verbs that share their names with a room."""

_VERBS = (
    "build_pairs",
    "convert_model",
    "evaluate",
    "explain",
    "explain_text",
    "generate",
    "judge_answer",
    "make_questions",
    "make_scenes",
    "measure",
    "read_benchmark",
    "read_capture",
    "read_photos",
    "read_rgbd",
    "reward",
    "train",
    "train_online",
)

# Each public name with its module. Type checkers and editors read `__init__.pyi`; a test holds the two against each other.
_HOMES = {
    "AnswerJudgeConfig": "spatialreasoner.evaluation.model_judge",
    "BatchConfig": "spatialreasoner.inference.submitting",
    "ClusterConfig": _PIPELINE,
    "FDPOConfig": "spatialreasoner.training.fdpo",
    "FDPOTrainer": "spatialreasoner.training.fdpo",
    "FrameOptions": "spatialreasoner.scenes.importers.frames",
    "OnlineConfig": _PIPELINE,
    "PairsConfig": "spatialreasoner.preferences.pairs",
    "Question": "spatialreasoner.core.types",
    "Region": "spatialreasoner.core.types",
    "Response": "spatialreasoner.core.types",
    "Result": _PIPELINE,
    "RewardJudgesConfig": _PIPELINE,
    "RunConfig": "spatialreasoner.search.run",
    "Scene": "spatialreasoner.core.types",
    "SearchConfig": "spatialreasoner.search.m3cts",
    "Verdict": "spatialreasoner.evaluation.answers",
    "WritingConfig": "spatialreasoner.inference.registry",
    "fdpo_loss": "spatialreasoner.training.loss",
    "load_scenes": "spatialreasoner.scenes.files",
    "load_vlm": "spatialreasoner.vlm.loading",
    "score_response": "spatialreasoner.rewards.combine",
    **dict.fromkeys(_VERBS, _PIPELINE),
    **{f"{name}_async": _PIPELINE for name in (*_VERBS, *_ROOMS)},
}
__all__ = sorted([*_HOMES, *_ROOMS, "__version__"])  # pyright: ignore[reportUnsupportedDunderAll]
_get, __dir__ = lazy(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    return _get(name)


class _Room(ModuleType):
    """A room that is called as the verb of its name: `spatialreasoner.search(...)` beside `spatialreasoner.search.tree`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The verb; `help(spatialreasoner.pipeline.search)` tells what it takes."""
        return _verb(self)(*args, **kwargs)

    @property
    def __signature__(self) -> Any:
        from inspect import signature

        return signature(_verb(self))


def _verb(room: ModuleType) -> Any:
    from importlib import import_module

    return getattr(import_module(_PIPELINE), room.__name__.rpartition(".")[2])


class _FrontDoor(ModuleType):
    """This package. The import system sets each room as an attribute; those named as a verb are made callable first."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _ROOMS and isinstance(value, ModuleType):
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _FrontDoor
