import asyncio
import itertools
from dataclasses import replace
from random import Random

import pytest

from spatialreasoner.errors import ConfigError, EndpointError
from spatialreasoner.models.scripted import PROFILES, scripted
from spatialreasoner.models.scripted.requests import Request, understand
from spatialreasoner.responses import parse, stages
from spatialreasoner.scene import wording
from spatialreasoner.scene.measure import Measured
from spatialreasoner.scene.questions import ask, prompt
from spatialreasoner.types import CATEGORIES, Prompt


def expected(category):
    name, _, form = category.rpartition("_")
    if form in {"predicate", "choice"}:
        return Request(kind=name, form=form)
    return Request(kind="direction" if category == "direction" else name, form="quantity")


def wordings():
    names = {"a": "<region1>", "b": "<region2>"}
    for relation, phrases in wording.PHRASES.items():
        for form, phrase in itertools.product(wording.PREDICATE_QUESTIONS, phrases):
            yield f"{relation}_predicate", form.format(phrase=phrase, **names)
    for relation, phrases in wording.COMPARATIVES.items():
        for form, most in itertools.product(wording.CHOICE_QUESTIONS, phrases):
            yield f"{relation}_choice", form.format(most=most, **names)
    for category, forms in wording.QUANTITY_QUESTIONS.items():
        yield from ((category, form.format(**names)) for form in forms)


def test_every_wording_of_every_category_is_understood():
    assert {category for category, _ in wordings()} == set(CATEGORIES)
    wrong = [(category, text, understand(text)) for category, text in wordings() if understand(text) != expected(category)]
    assert wrong == []


@pytest.fixture
def asked(scene):
    questions = {question.category: question for question in ask(Measured(scene), Random(0), 60)}
    assert set(questions) == set(CATEGORIES)
    return list(questions.values())


@pytest.mark.parametrize("name", PROFILES)
def test_answers_and_continuations_have_the_form(name, scene, asked):
    teacher = scripted(name, {scene.id: scene})
    for question in asked:
        shown = prompt(question, scene)
        whole = teacher.write(shown, seed=1).text
        assert parse(whole).answer
        cut = stages(whole)
        assert [stage.name for stage in cut][:3] == ["description", "rationale", "step 1"]
        for length in range(1, len(cut)):
            prefix = "".join(stage.text for stage in cut[:length])
            rest = teacher.write(replace(shown, prefix=prefix), seed=2).text
            assert parse(prefix + rest).answer
            assert stages(prefix + rest)[length].name in {stage.name for stage in cut} | {"step 4", "step 5"}


def test_the_same_seed_writes_the_same_words_and_another_seed_others(scene, asked):
    teachers = [scripted("careful", {scene.id: scene}) for _ in range(2)]
    shown = prompt(asked[0], scene)
    first, again = (asyncio.run(teacher.complete(shown, n=3, seed=5)) for teacher in teachers)
    assert first == again
    assert len({completion.text for completion in first}) == 3
    assert teachers[0].write(shown, seed=6) != first[0]


def test_wrong_names_and_unknown_pictures_are_refused(scene):
    with pytest.raises(ConfigError, match="careful"):
        scripted("clever", {})
    teacher = scripted("careful", {scene.id: scene})
    with pytest.raises(EndpointError, match=r"nowhere\.png"):
        teacher.write(Prompt(image="nowhere.png", regions=scene.regions, request="How wide is <region1>?"), seed=0)
    with pytest.raises(EndpointError, match="names none"):
        teacher.write(Prompt(image=scene.image, regions=(), request="How wide?"), seed=0)
