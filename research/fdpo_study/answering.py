"""Answers of a model to the questions of the test, with the image or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Completion, Prompt, Question
from spatialreasoner.inference.endpoint import Limits
from spatialreasoner.inference.registry import WritingConfig, named_policy
from spatialreasoner.pipeline.answering import run_generate
from spatialreasoner.scenes.files import scene_index

ROOM_FOR_CALLS = 64
"""Calls in flight to a model in this process: two batches."""

LIMITS = Limits(concurrency=ROOM_FOR_CALLS)


class Blind:
    """A policy that is shown a grey image without regions, whatever there is to see.

    Args:
        policy: The policy.
        image: The grey image.
    """

    def __init__(self, policy: Policy, image: Path) -> None:
        self._policy, self._image = policy, str(image)
        self.name = policy.name
        self.identity = f"{getattr(policy, 'identity', policy.name)} blind"

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        """Write continuations of what is asked, unseen."""
        return await self._policy.complete(replace(prompt, image=self._image, regions=()), n=n, seed=seed)


def answer_questions(
    model: str, questions: Sequence[Question], scenes: Path, out: Path, writing: WritingConfig, *, blind: Path | None = None
) -> None:
    """Let a model answer questions; continues where it stopped.

    Args:
        model: A folder or a name.
        questions: What is asked.
        scenes: The folder of their rooms.
        out: The predictions file.
        writing: How the model writes.
        blind: The grey image that it is shown instead of each room's, if any.
    """
    index = scene_index(scenes)
    policy = named_policy(model, index, writing)
    run_generate(questions, index, policy if blind is None else Blind(policy, blind), out, limits=LIMITS)
