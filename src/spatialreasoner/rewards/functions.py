"""The verified reward as functions that training loops call: a batch of completions in, a list of rewards out.

Their form is that of TRL's `reward_funcs`: ``f(prompts=..., completions=..., **columns) -> list``, where each column of the
data arrives as a list as long as the completions. Two columns are read: `question` (a row of a questions file) and `scene` (a
row of a scenes file whose paths are absolute, or the path of a folder of scenes), each as JSON text, a mapping or the record
itself. ms-swift calls its reward functions in the same form; `loops` has those of verl and EasyR1.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from typing import Any, TypeVar

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, RecordError
from spatialreasoner.core.types import Question, RewardBreakdown, Scene
from spatialreasoner.rewards.combine import REWARDS, score_response
from spatialreasoner.scenes.files import scene_index

RewardFunction = Callable[..., Any]
"""A reward function of TRL: a list of rewards, None if one is unscored; awaitable where it was asked to be."""

SCORES = ("total", "description", "reasoning", *REWARDS)
"""What a reward function may give: the total (0..16), a segment (0..8), or one of the four rewards (0..4)."""

REWARD_PARTS = (
    "visual.existence", "visual.attributes", "visual.completeness", "visual.appropriateness",
    "logical.factual", "logical.coherence", "logical.rules", "logical.conclusion",
)  # fmt: skip
"""The parts of two of them that it may give as well, each 0..1."""

_R = TypeVar("_R", Question, Scene)


def reward_function(
    score: str = "total", *, beside: Sequence[str] = (), scenes: str | None = None, asynchronous: bool = False
) -> RewardFunction:
    """Make a reward function.

    >>> reward_function("reasoning").__name__
    'reasoning_reward'

    Args:
        score: One of `SCORES` or of `REWARD_PARTS`.
        beside: Scores of further functions of the same training. Where one of them cannot be verified, this one is None as
            well: TRL leaves out what all functions leave out, but adds up weights and would count a single None as 0.
        scenes: A folder of scenes, in which questions find theirs; None if the data have a column `scene`.
        asynchronous: Whether it is awaited, as TRL does with several at a time; it then works in a thread.

    Returns:
        A function ``(completions, question, scene=None, **others) -> list``. Completions are texts, or conversations whose
        assistant's turns are the answer. A reward that cannot be verified is None, which TRL leaves out. Its attribute
        `__name__` is what TRL logs it under; given a `log_metric` (TRL gives one), it logs the mean of every other score.

    Raises:
        ConfigError: If there is no such score.
    """
    unknown = [name for name in (score, *beside) if name not in SCORES + REWARD_PARTS]
    if unknown:
        raise ConfigError(f"expected one of the rewards {', '.join(SCORES + REWARD_PARTS)}; got {unknown[0]!r}")

    def verified(
        completions: Sequence[Any],
        question: Sequence[Any],
        scene: Sequence[Any] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float | None]:
        given = [scenes] * len(completions) if scene is None else scene
        known_scenes = sum(each is not None for each in given)
        if not len(completions) == len(question) == len(given) == known_scenes:
            raise ConfigError(
                f"expected a question and a scene for each of {len(completions)} completions, from the columns `question` and "
                f"`scene`; got {len(question)} and {known_scenes}. Name a folder as `scenes`, or add the column"
            )
        rewards = [verify_completion(*each) for each in zip(completions, question, given, strict=True)]
        if log_metric is not None:
            _log(rewards, score, log_metric)
        known = [all(score_of(reward, name) is not None for name in beside) for reward in rewards]
        return [score_of(reward, score) if whole else None for reward, whole in zip(rewards, known, strict=True)]

    @wraps(verified)
    async def awaited(*args: Any, **kwargs: Any) -> list[float | None]:
        return await asyncio.to_thread(verified, *args, **kwargs)

    function = awaited if asynchronous else verified
    function.__name__ = function.__qualname__ = f"{score.replace('.', '_')}_reward"
    return function


def verify_completion(completion: Any, question: Any, scene: Any) -> RewardBreakdown:
    """The whole reward of a completion.

    Args:
        completion: A text, or messages.
        question: A question: the record, a mapping, or JSON text.
        scene: A scene in the same forms, or the path of the folder that has the question's.

    Raises:
        RecordError: If one of them is something else.
        SceneError: If the scene's depth or image is unusable.
    """
    asked = _record(question, Question, "question")
    return _scored(_scene(scene, asked), asked, completion_text(completion))


def completion_text(completion: Any) -> str:
    """What a model wrote: a text as it is; of messages the assistant's turns, of blocks their text.

    >>> completion_text([{"role": "assistant", "content": [{"type": "text", "text": "2 m"}]}])
    '2 m'

    Raises:
        RecordError: If it is neither.
    """
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Sequence) and all(isinstance(turn, Mapping) for turn in completion):
        return "".join(_content(turn.get("content")) for turn in completion if turn.get("role") == "assistant")
    raise RecordError(f"expected a completion to be a text or a list of messages; got {completion!r:.120}")


def score_of(reward: RewardBreakdown, score: str) -> float | None:
    """One number of a reward by its name, or of its parts; None is unscored."""
    return getattr(reward, score) if score in SCORES else reward.parts.get(score)


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.get("text") or "" for block in content or () if isinstance(block, Mapping))


def _log(rewards: Sequence[RewardBreakdown], score: str, log_metric: Callable[[str, float], None]) -> None:
    for name in SCORES:
        scored = [value for reward in rewards if (value := getattr(reward, name)) is not None]
        if scored and name != score:
            log_metric(f"verified/{name}", sum(scored) / len(scored))


@lru_cache(maxsize=4096)
def _scored(scene: Scene, question: Question, text: str) -> RewardBreakdown:
    """Scored once, however many reward functions look at the same completion."""
    return score_response(scene, question, text)


def _scene(given: Any, question: Question) -> Scene:
    if isinstance(given, str) and not given.lstrip().startswith("{"):
        found = _index(given).get(question.scene_id)
        if found is None:
            raise RecordError(f"question {question.id!r}: there is no scene {question.scene_id!r} in {given}")
        return found
    return _record(given, Scene, "scene")


@lru_cache(maxsize=8)
def _index(folder: str) -> Mapping[str, Scene]:
    return scene_index(records.require_folder(folder))


def _record(given: Any, kind: type[_R], name: str) -> _R:
    if isinstance(given, kind):
        return given
    text = json.dumps(given) if isinstance(given, Mapping) else given
    if not isinstance(text, str):
        raise RecordError(f"expected the column {name!r} to hold JSON, mappings or records; got {given!r:.120}")
    return _parsed(text, kind, name)


@lru_cache(maxsize=4096)
def _parsed(text: str, kind: type[_R], name: str) -> _R:
    return records.parse_record(text, kind, where=f"the column {name!r}")


total_reward = reward_function("total")
description_reward = reward_function("description")
reasoning_reward = reward_function("reasoning")
visual_reward = reward_function("visual")
spatial_description_reward = reward_function("spatial_description")
spatial_reasoning_reward = reward_function("spatial_reasoning")
logical_reward = reward_function("logical")
