"""The verified reward in the forms of other training loops: verl's and EasyR1's functions, whose data have a `ground_truth`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.core.types import Question, RewardBreakdown, Scene
from spatialreasoner.rewards.combine import FULL, REWARDS
from spatialreasoner.rewards.functions import SCORES, verify_completion


def ground_truth(question: Question, scene: Scene | str) -> str:
    """What belongs into the column `ground_truth` of a data set for verl or EasyR1: JSON of both.

    Args:
        question: The question.
        scene: Its scene, paths absolute; or the path of the folder that has it.
    """
    held = scene if isinstance(scene, str) else json.loads(records.dumps(scene))
    return json.dumps({"question": json.loads(records.dumps(question)), "scene": held})


def verl_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Mapping[str, Any] | None = None, **_: Any
) -> dict[str, float]:
    """A `custom_reward_function` of verl.

    Args:
        data_source: Whatever the data are called; not looked at.
        solution_str: What the model wrote.
        ground_truth: What the function of this name made.
        extra_info: Not looked at.

    Returns:
        `score`, the total reward as a share of its greatest value (0..1), and each of `SCORES` by its name. What is not
        verified is NaN: verl looks for the same names in every answer of a batch, and wants numbers.

    Raises:
        RecordError: If the ground truth is something else.
        SceneError: If nothing can be verified in the scene.
    """
    found = _scores(solution_str, ground_truth)
    return {"score": found["overall"], **{name: found.get(name, math.nan) for name in SCORES}}


def easyr1_scores(reward_inputs: Sequence[Mapping[str, Any]], **_: Any) -> list[dict[str, float]]:
    """A reward function of EasyR1 of the type `batch`.

    Args:
        reward_inputs: Mappings with `response`, what the model wrote, and `ground_truth`, as made by that function.

    Returns:
        For each `overall`, the total as a share of its greatest value (0..1), and each score that is verified.

    Raises:
        RecordError: If a ground truth is something else.
        SceneError: If nothing can be verified in a scene.
    """
    return [_scores(each["response"], each["ground_truth"]) for each in reward_inputs]


def _scores(text: str, truth: str) -> dict[str, float]:
    try:
        held = json.loads(truth)
        question, scene = held["question"], held["scene"]
    except (ValueError, TypeError, KeyError):
        raise RecordError(f"expected a ground truth made by rewards.loops.ground_truth; got {truth!r:.120}") from None
    reward = verify_completion(text, question, scene)
    scored = {name: value for name in SCORES if (value := getattr(reward, name)) is not None}
    return {"overall": _share(reward), **scored}


def _share(reward: RewardBreakdown) -> float:
    """The mean of the four rewards that are verified, 0..1: these loops have no word for unscored."""
    found = [value for name in REWARDS if (value := getattr(reward, name)) is not None]
    if not found:
        raise SceneError(f"nothing of an answer can be verified in this scene, so it has no reward: {dict(reward.reasons)}")
    return sum(found) / (FULL * len(found))
