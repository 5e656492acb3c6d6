"""Questions of the 24 categories of SpatialRGPT-Bench, with true answers from geometry.

No question is better than a wrong one. A question is asked only where the data can tell the answer, where the truth is neither
within 10 % of a tie (or of the edge between two hours) nor inside the noise of depth (no answer could be verified), where its
error bar lies inside the benchmark's own tolerance (`scenes.uncertainty`), where its words name no two things alike, and, for
synthetic scenes, where what the camera sees agrees with what is really there.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from pathlib import Path
from random import Random

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.types import (
    CATEGORIES,
    CONVERSE,
    QUANTITY_OF,
    Category,
    QuantityName,
    Question,
    Relation,
    Scene,
    relation_of,
)
from spatialreasoner.questions import templates as wording
from spatialreasoner.scenes.files import check_scene, load_scenes
from spatialreasoner.scenes.measure import Measured, Truth
from spatialreasoner.scenes.noise import margin
from spatialreasoner.scenes.values import HOURS, TIE

SMALLEST = 0.05
"""A shorter length is not asked for, metres: it is smaller than the noise of measured depth."""

MAX_PAIRS = 200
"""Maximum number of ordered region pairs tried per scene; a scene with a thousand regions must not take an hour."""


class Asker:
    """Asks about one scene.

    Args:
        measured: The scene as the camera sees it.
    """

    def __init__(self, measured: Measured) -> None:
        self.measured = measured

    @cached_property
    def _truth(self) -> Truth | None:
        return Truth(self.measured.scene) if self.measured.scene.objects is not None else None

    def candidates(self, category: Category, rng: Random) -> Iterator[tuple[str, ...]]:
        """The regions, in random order, that a question of this category may be asked about."""
        ids = [region.id for region in self.measured.scene.regions]
        arity = 1 if category in {"width_data", "height_data"} else 2
        if arity == 1:
            tuples = [(a,) for a in ids]
            rng.shuffle(tuples)
        elif len(ids) ** 2 <= MAX_PAIRS:
            tuples = list(permutations(ids, 2))
            rng.shuffle(tuples)
        else:
            tuples = [tuple(rng.sample(ids, 2)) for _ in range(MAX_PAIRS)]
        return (regions for regions in tuples if self._can_tell(category, regions))

    def ask(self, category: Category, rng: Random, taken: set[tuple[str, ...]]) -> Question | None:
        """A question of this category about regions that are not in `taken`, or None if there is none."""
        for regions in self.candidates(category, rng):
            if regions not in taken:
                taken.add(regions)
                return self._word(category, regions, rng)
        return None

    def _can_tell(self, category: Category, regions: tuple[str, ...]) -> bool:
        relation = relation_of(category)
        if relation is not None:
            return self._relation_is_clear(relation, *regions)
        return self._quantity_is_clear(QUANTITY_OF[category], *regions)

    def _relation_is_clear(self, relation: Relation, a: str, b: str) -> bool:
        comparison = self.measured.compare(relation, a, b)
        seen, difference = comparison.holds, comparison.difference
        if seen is None or difference is None or abs(difference) <= margin(self.measured, relation, (a, b), comparison.scale):
            return False
        if self._truth is not None and self._truth.compare(relation, a, b).holds != seen:
            return False
        return self.measured.uncertainty.compare(relation, a, b).certain

    def _quantity_is_clear(self, quantity: QuantityName, *regions: str) -> bool:
        seen = self.measured.quantity(quantity, *regions).value
        if seen is None:
            return False
        true = seen if self._truth is None or quantity == "distance" else self._truth.quantity(quantity, *regions).value
        if quantity == "direction":
            if seen != true or not self._inside_its_hour(*regions):
                return False
            return self.measured.uncertainty.quantity(quantity, *regions).half <= HOURS
        if seen < SMALLEST or true is None or abs(seen - true) > TIE * true:
            return False
        return self.measured.uncertainty.quantity(quantity, *regions).certain

    def _inside_its_hour(self, a: str, b: str) -> bool:
        """Whether the bearing is farther than 10 % of an hour from the hour's edges, and the regions are apart at all."""
        cloud, other = self.measured.cloud(a), self.measured.cloud(b)
        if cloud is None or other is None or abs(other.centre - cloud.centre)[[0, 2]].max() < SMALLEST:
            return False
        return TIE <= (cloud.bearing(other) / 30) % 1 <= 1 - TIE

    def _word(self, category: Category, regions: tuple[str, ...], rng: Random) -> Question:
        relation = relation_of(category)
        names: dict[str, str] = {"a": "<region1>", "b": "<region2>"}
        bare = Question(id="", scene_id=self.measured.scene.id, category=category, text="", region_ids=regions, answer="")
        if relation is None:
            return self._word_quantity(bare, names, rng)
        holds = self.measured.compare(relation, *regions).holds is True
        word = _word_predicate if category.endswith("_predicate") else _word_choice
        text, answer = word(relation, holds, names, rng)
        return replace(bare, text=text, answer=answer)

    def _word_quantity(self, bare: Question, names: dict[str, str], rng: Random) -> Question:
        value = self.measured.quantity(QUANTITY_OF[bare.category], *bare.region_ids).value
        assert value is not None
        if bare.category == "direction":
            number, unit, said = value, "hour", f"{value:.0f}"
        else:
            number, unit = wording.human_length(value, rng)
            said = wording.say_length(number, unit)
        text = rng.choice(wording.QUANTITY_QUESTIONS[bare.category]).format(**names)
        answer = rng.choice(wording.QUANTITY_ANSWERS[bare.category]).format(v=said, **names)
        return replace(bare, text=text, answer=answer, value=number, unit=unit)


def _word_predicate(relation: Relation, holds: bool, names: dict[str, str], rng: Random) -> tuple[str, str]:
    phrase = rng.choice(wording.RELATION_PHRASES[relation])
    words = {**names, "phrase": phrase, "converse": wording.RELATION_PHRASES[CONVERSE[relation]][0]}
    answers = wording.TRUE_ANSWERS if holds else wording.FALSE_ANSWERS
    return rng.choice(wording.PREDICATE_QUESTIONS).format(**words), rng.choice(answers).format(**words)


def _word_choice(relation: Relation, holds: bool, names: dict[str, str], rng: Random) -> tuple[str, str]:
    most = rng.choice(wording.COMPARATIVE_PHRASES[relation])
    words = {**names, "most": most, "w": names["a"] if holds else names["b"]}
    return rng.choice(wording.CHOICE_QUESTIONS).format(**words), rng.choice(wording.CHOICE_ANSWERS).format(**words)


def ask_about(measured: Measured, rng: Random, count: int, *, asked: Counter[Category] | None = None) -> list[Question]:
    """Ask up to `count` different questions about a scene; the categories asked least so far come first.

    Args:
        measured: The scene.
        rng: Source of all random choices.
        count: Number of questions; fewer are returned if the scene does not allow as many.
        asked: How often each category was asked in other scenes; updated.

    Returns:
        Questions with ids `SCENE-0`, `SCENE-1`, ...
    """
    asked = Counter() if asked is None else asked
    asker, taken = Asker(measured), {category: set[tuple[str, ...]]() for category in CATEGORIES}
    open_categories, questions = list(CATEGORIES), list[Question]()
    while len(questions) < count and open_categories:
        rng.shuffle(open_categories)
        category = min(open_categories, key=lambda name: asked[name])
        question = asker.ask(category, rng, taken[category])
        if question is None:
            open_categories.remove(category)
            continue
        asked[category] += 1
        questions.append(replace(question, id=f"{measured.scene.id}-{len(questions)}"))
    return questions


@dataclass(frozen=True, kw_only=True)
class QuestionsConfig:
    """Settings of the stage `questions`.

    Attributes:
        scenes: The scenes folder, as given.
        per_scene: Number of questions per scene.
        seed: Seed of every random choice; a scene's questions depend on it, on the scene and on the scenes before.
    """

    scenes: str
    per_scene: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.per_scene <= 10_000:
            raise ConfigError(f"`per_scene` must be in 1..10000; got {self.per_scene}")


def generate_questions(scenes: Iterable[Scene], config: QuestionsConfig) -> Iterator[Question]:
    """Ask about every scene in turn, balanced over the categories; only one scene is in memory at a time."""
    asked: Counter[Category] = Counter()
    for scene in scenes:
        check_scene(scene)
        rng = Random(f"questions {config.seed} {scene.id}")
        yield from ask_about(Measured(scene), rng, config.per_scene, asked=asked)


def write_questions(
    config: QuestionsConfig, out: Path, *, progress: Callable[[int], None] = lambda done: None
) -> Counter[Category]:
    """The stage `questions`: scenes folder in, one file of questions out, whole or not at all.

    `OUT.config.json` beside it keeps the settings, so that later stages find the scenes.

    Returns:
        How many questions of each category were asked.

    Raises:
        InputError: If the scenes cannot be read, or no question can be asked about any of them.
        WorkError: If the output cannot be written.
    """
    count: Counter[Category] = Counter()

    def counted() -> Iterator[Question]:
        for question in generate_questions(load_scenes(config.scenes), config):
            count[question.category] += 1
            progress(count.total())
            yield question
        if not count:
            raise ConfigError(
                f"no question can be asked about the scenes of {config.scenes}: they have fewer than two regions whose "
                "depth is measured well enough (`spatialreasoner measure` shows each); check masks and depth"
            )

    records.write_jsonl(out, counted())
    kept = replace(config, scenes=os.path.relpath(config.scenes, out.parent))
    records.write_config(out.parent, "questions", kept, name=f"{out.stem}.config.json")
    return count
