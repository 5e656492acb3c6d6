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
from spatialreasoner.rewards.spatial import MAX_ASSERTIONS, Gauge, StatementVerdict, other_regions

_MAX_QUESTIONS = 256
"""Maximum number of questions about one scene whose answers are cached."""
_MAX_GAUGES = 512
"""Maximum number of cached gauges per question."""
_MAX_DESCRIPTIONS = 64
"""Maximum number of cached descriptions per question."""


class Remembered:
    """What answers to one question said.

    Attributes:
        labels: What the regions are called.
        others: What the scene's other regions are called.
        gauges: What statements are held against, by their kind, regions and unit.
        seen: The criteria of each description.
    """

    def __init__(self, scene: Scene, question: Question) -> None:
        self.labels = _labels(scene, question)
        self.others = _others(scene, question)
        self.gauges: dict[Any, Gauge] = {}
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

    What statements of the same kind about the same regions were held against is not measured again.
    """
    gauges = before.gauges
    found: list[StatementVerdict] = []
    for said in assertions[:MAX_ASSERTIONS]:
        key = (said.kind, said.regions, said.unit)
        gauge = gauges.get(key)
        if gauge is None:
            if len(gauges) >= _MAX_GAUGES:
                gauges.clear()
            gauge = gauges[key] = Gauge(known.measured, question, *key)
        found.append(gauge.verdict(said))
    return tuple(found)


def see(known: Known, before: Remembered, question: Question, description: str) -> visual.Criteria:
    """The visual criteria of a description, read once for all answers that share it."""
    return recall(before.seen, description, _MAX_DESCRIPTIONS, lambda: visual.grade_description(known, question, description))


def _labels(scene: Scene, question: Question) -> tuple[str, ...]:
    return tuple(scene.region(region_id).label for region_id in question.region_ids)


def _others(scene: Scene, question: Question) -> tuple[str, ...]:
    return tuple(region.label for region in other_regions(scene, question))
