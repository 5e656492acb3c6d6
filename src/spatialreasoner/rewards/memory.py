"""What answers about the same regions of a scene said last: they say much of it again, and it is verified once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from spatialreasoner.core.recall import recall
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.language.statements import Assertion
from spatialreasoner.rewards import visual
from spatialreasoner.rewards.known import Known
from spatialreasoner.rewards.spatial import MAX_ASSERTIONS, StatementVerdict, other_regions, verify

_MAX_QUESTIONS = 256
"""Maximum number of questions about one scene whose answers are cached."""
_MAX_VERDICTS = 512
"""Maximum number of cached verdicts per question."""
_MAX_DESCRIPTIONS = 64
"""Maximum number of cached descriptions per question."""


class Remembered:
    """What answers to one question said.

    Attributes:
        labels: What the regions are called.
        others: What the scene's other regions are called.
        verdicts: Verdicts by what was stated.
        seen: The criteria of each description.
    """

    def __init__(self, scene: Scene, question: Question) -> None:
        self.labels = _labels(scene, question)
        self.others = _others(scene, question)
        self.verdicts: dict[Any, StatementVerdict] = {}
        self.seen: dict[str, visual.Criteria] = {}


remembered: WeakKeyDictionary[Known, dict[tuple[Any, ...], Remembered]] = WeakKeyDictionary()
"""What was said last, by scene, and by regions and category."""


def what_was_said(known: Known, question: Question) -> Remembered:
    """What is remembered of answers to a question, or to another one about the same regions."""
    about = remembered.setdefault(known, {})
    key = (question.region_ids, question.category)
    return recall(about, key, _MAX_QUESTIONS, lambda: Remembered(known.scene, question))


def verify_all(
    known: Known, before: Remembered, question: Question, assertions: Sequence[Assertion]
) -> tuple[StatementVerdict, ...]:
    """The verdicts on statements, in order; beyond `MAX_ASSERTIONS` none is read.

    What the same statement earned elsewhere is not measured again.
    """
    verdicts = before.verdicts
    found: list[StatementVerdict] = []
    for said in assertions[:MAX_ASSERTIONS]:
        key = (said.kind, said.regions, said.value, said.high, said.unit, said.hedged, said.negated)
        verdict = verdicts.get(key)
        if verdict is None:
            if len(verdicts) >= _MAX_VERDICTS:
                verdicts.clear()
            verdict = verdicts[key] = verify(known.measured, question, said)
        found.append(verdict if verdict.assertion.span == said.span else verdict.of(said))
    return tuple(found)


def see(known: Known, before: Remembered, question: Question, description: str) -> visual.Criteria:
    """The visual criteria of a description, read once for all answers that share it."""
    return recall(before.seen, description, _MAX_DESCRIPTIONS, lambda: visual.grade_description(known, question, description))


def _labels(scene: Scene, question: Question) -> tuple[str, ...]:
    return tuple(scene.region(region_id).label for region_id in question.region_ids)


def _others(scene: Scene, question: Question) -> tuple[str, ...]:
    return tuple(region.label for region in other_regions(scene, question))
