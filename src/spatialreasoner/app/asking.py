"""From what a person asks about drawn regions to a prompt and a question whose answer can be checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import CATEGORIES, GROUPS, QUANTITY_OF, Category, Prompt, Question, Region, Scene

if TYPE_CHECKING:  # measuring and rewards take a second to import, which `prompt_with_regions` in a terminal does not need
    from spatialreasoner.rewards.combine import Graded
    from spatialreasoner.scenes.measure import Measured

MAX_QUESTION = 500
"""Characters of a question."""


def _kind(categories: Sequence[Category]) -> Category:
    choices: list[Category] = [category for category in categories if category.endswith("_choice")]
    return choices[0] if choices else categories[0]


QUESTION_KINDS: Mapping[str, Category] = {
    name: _kind(GROUPS[name]) for name in ("left/right", *(name for name in GROUPS if name != "left/right"))
}
"""The 12 kinds of question that can be picked; which of two is asked rather than whether, as far as there is a choice."""

_NAMED = re.compile(r"<region(\d{1,3})>", re.IGNORECASE)
_DISTANCE = re.compile(r"\b(?:distance|far|apart|away|space|gap|close)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class RegionQuestion:
    """A question about drawn regions.

    Attributes:
        prompt: What the model is shown; its `<region1>` is the first of `numbers`.
        category: What is asked for, None if that is not clear.
        numbers: The numbers, from 1, of the drawn regions that the prompt holds, in order.
    """

    prompt: Prompt
    category: Category | None
    numbers: tuple[int, ...]

    def as_drawn(self, text: str) -> str:
        """What the model wrote, its regions called by the numbers that they were drawn under."""
        own = dict(enumerate(self.numbers, start=1))
        return _NAMED.sub(lambda match: f"<region{own.get(int(match[1]), match[1])}>", text)


def kind_text(kind: str) -> str:
    """The plain question of a kind.

    >>> kind_text("left/right"), kind_text("width")
    ('Which is further to the left, <region1> or <region2>?', 'How wide is <region1>?')
    """
    from spatialreasoner.core.types import relation_of
    from spatialreasoner.questions import templates as wording

    category = QUESTION_KINDS[kind]
    relation = relation_of(category)
    names = {"a": "<region1>", "b": "<region2>"}
    if relation is None:
        return wording.QUANTITY_QUESTIONS[category][0].format(**names)
    if category.endswith("_choice"):
        return wording.CHOICE_QUESTIONS[0].format(most=wording.COMPARATIVE_PHRASES[relation][0], **names)
    return wording.PREDICATE_QUESTIONS[0].format(phrase=wording.RELATION_PHRASES[relation][0], **names)


def prompt_with_regions(text: str, regions: Sequence[Region], image: str) -> RegionQuestion:
    """Make a prompt of a question; regions that it does not name are not shown to the model.

    Args:
        text: The question; `<region1>` is `regions[0]`. One that names no region is about all of them.
        regions: The drawn regions.
        image: Path of the image.

    Raises:
        InputError: If the question is empty or too long, or names a region that is not there.
    """
    text = " ".join(text.split())
    if not 1 <= len(text) <= MAX_QUESTION:
        raise InputError(
            f"expected a question of 1 to {MAX_QUESTION} characters; got {len(text)}" if text else "write a question first"
        )
    named = named_regions(text)
    missing = [number for number in named if not 1 <= number <= len(regions)]
    if missing:
        drawn = "no region is" if not regions else "one region is" if len(regions) == 1 else f"{len(regions)} regions are"
        raise InputError(f"the question names <region{missing[0]}>, but {drawn} drawn: draw it, or change the question")
    numbers = tuple(named) or tuple(range(1, len(regions) + 1))
    own = {number: place for place, number in enumerate(numbers, start=1)}
    request = _NAMED.sub(lambda match: f"<region{own[int(match[1])]}>", text)
    shown = tuple(regions[number - 1] for number in numbers)
    prompt = Prompt(image=image, regions=shown, request=request)
    return RegionQuestion(prompt=prompt, category=category_of(request, len(shown)), numbers=numbers)


def named_regions(text: str) -> list[int]:
    """The numbers of the regions that a question names, in order of their numbers."""
    return sorted({int(number) for number in _NAMED.findall(text)})


def category_of(request: str, regions: int) -> Category | None:
    """The category of a question in people's own words, None if it is none of the 24.

    >>> category_of("Which of <region1> and <region2> is taller?", 2), category_of("What is this?", 1)
    ('tall_choice', None)
    """
    from spatialreasoner.teachers.requests import understand

    said = understand(request)
    if said.kind == "distance" and not _DISTANCE.search(request):
        return None
    if said.form == "quantity":
        found = next((category for category, quantity in QUANTITY_OF.items() if quantity == said.kind), None)
    else:
        found = next((c for c in CATEGORIES if c in {f"{said.kind}_{said.form}", f"{said.kind}_predicate"}), None)
        found = f"{said.kind}_{said.form}" if f"{said.kind}_{said.form}" in CATEGORIES else found
    arity = 1 if found in {"width_data", "height_data"} else 2
    return found if regions >= arity else None  # pyright: ignore[reportReturnType]  # a member of CATEGORIES


def check_answer(scene: Scene, asked: RegionQuestion, text: str) -> Graded | None:
    """Hold an answer against the depth of the scene; None if nothing can be checked.

    Args:
        scene: The scene; the asked regions need not be among its own.
        asked: What was asked.
        text: The answer.

    Raises:
        SceneError: If the scene's depth or image is unusable.
    """
    if scene.depth is None or not asked.numbers:
        return None
    from spatialreasoner.rewards.combine import grade

    measured, question = measured_reference(scene, asked)
    return grade(measured, question, text)


def measured_reference(scene: Scene, asked: RegionQuestion) -> tuple[Measured, Question]:
    """The scene with the asked regions among its own, and the question with its measured answer, where it can be told."""
    from spatialreasoner.scenes.measure import Measured

    measured = Measured(scene_with_regions(scene, asked.prompt.regions))
    question = Question(
        id="asked",
        scene_id=scene.id,
        category=asked.category or "distance_data",
        text=asked.prompt.request,
        region_ids=tuple(region.id for region in asked.prompt.regions),
        answer="",
    )
    return measured, (_answered(measured, question) if asked.category is not None else question)


def scene_with_regions(scene: Scene, regions: Sequence[Region]) -> Scene:
    """The scene with drawn regions among its own."""
    own = {region.id for region in regions}
    return replace(scene, regions=(*regions, *(region for region in scene.regions if region.id not in own)))


def _answered(measured: Measured, question: Question) -> Question:
    from spatialreasoner.core.types import relation_of

    relation = relation_of(question.category)
    if relation is None:
        quantity = QUANTITY_OF[question.category]
        arity = 1 if quantity in {"width", "height"} else 2
        value = measured.quantity(quantity, *question.region_ids[:arity]).value
        return replace(question, value=value, unit=None if value is None else "hour" if quantity == "direction" else "m")
    holds = measured.compare(relation, *question.region_ids[:2]).holds
    if holds is None:
        return question
    if question.category.endswith("_choice"):
        return replace(question, answer="<region1>." if holds else "<region2>.")
    return replace(question, answer="Yes." if holds else "No.")
