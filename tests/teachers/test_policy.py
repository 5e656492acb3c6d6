import asyncio
import itertools
import time
from dataclasses import replace
from random import Random

import pytest

from builders import build_scene, measured_balls
from spatialreasoner.core.errors import ConfigError, EndpointError
from spatialreasoner.core.types import CATEGORIES, CONVERSE, METRES_PER, Prompt
from spatialreasoner.language import quantities
from spatialreasoner.language.responses import parse, spans, steps
from spatialreasoner.language.statements import extract
from spatialreasoner.questions import templates as wording
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.teachers import PROFILES, scripted
from spatialreasoner.teachers.policy import ScriptedTeacher
from spatialreasoner.teachers.requests import Request, understand


def expected(category):
    name, _, form = category.rpartition("_")
    if form in {"predicate", "choice"}:
        return Request(kind=name, form=form)
    return Request(kind="direction" if category == "direction" else name, form="quantity")


def wordings():
    names = {"a": "<region1>", "b": "<region2>"}
    for relation, phrases in wording.RELATION_PHRASES.items():
        for form, phrase in itertools.product(wording.PREDICATE_QUESTIONS, phrases):
            yield f"{relation}_predicate", form.format(phrase=phrase, **names)
    for relation, phrases in wording.COMPARATIVE_PHRASES.items():
        for form, most in itertools.product(wording.CHOICE_QUESTIONS, phrases):
            yield f"{relation}_choice", form.format(most=most, **names)
    for category, forms in wording.QUANTITY_QUESTIONS.items():
        yield from ((category, form.format(**names)) for form in forms)


def test_every_wording_of_every_category_is_understood():
    assert {category for category, _ in wordings()} == set(CATEGORIES)
    wrong = [(category, text, understand(text)) for category, text in wordings() if understand(text) != expected(category)]
    assert wrong == []


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return build_scene(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def asked(scene):
    questions = {question.category: question for question in ask_about(measured_balls(), Random(0), 60)}
    assert set(questions) == set(CATEGORIES)
    return list(questions.values())


@pytest.mark.parametrize("name", PROFILES)
def test_answers_and_continuations_have_the_form(name, scene, asked):
    teacher = scripted(name, {scene.id: scene})
    for question in asked:
        shown = prompt(question, scene)
        whole = teacher.write(shown, seed=1).text
        assert parse(whole).answer
        cut = steps(whole)
        assert [step.name for step in cut][:3] == ["description", "rationale", "step 1"]
        for length in range(1, len(cut)):
            prefix = "".join(step.text for step in cut[:length])
            rest = teacher.write(replace(shown, prefix=prefix), seed=2).text
            assert parse(prefix + rest).answer
            assert steps(prefix + rest)[length].name in {step.name for step in cut} | {"step 4", "step 5"}


def test_the_same_seed_writes_the_same_words_and_another_seed_others(scene, asked):
    teachers = [scripted("careful", {scene.id: scene}) for _ in range(2)]
    shown = prompt(asked[0], scene)
    first, again = (asyncio.run(teacher.complete(shown, n=3, seed=5)) for teacher in teachers)
    assert first == again
    assert len({completion.text for completion in first}) == 3
    assert teachers[0].write(shown, seed=6) != first[0]


def test_wrong_names_and_unknown_images_are_refused(scene):
    with pytest.raises(ConfigError, match="careful"):
        scripted("clever", {})
    teacher = scripted("careful", {scene.id: scene})
    with pytest.raises(EndpointError, match=r"nowhere\.png"):
        teacher.write(Prompt(image="nowhere.png", regions=scene.regions, request="How wide is <region1>?"), seed=0)
    with pytest.raises(EndpointError, match="names none"):
        teacher.write(Prompt(image=scene.image, regions=(), request="How wide?"), seed=0)


def numbers(text, kind, region="region1"):
    return [a.value for a in extract(text) if a.kind == kind and a.regions[0] == region and a.unit == "m"]


def test_what_is_misjudged_shows_in_the_steps_and_in_the_conclusion(scene, asked):
    """All steps and the conclusion of an answer about a width tell one width, where a teacher does not slip."""
    question = next(question for question in asked if question.category == "width_data")
    for name, profile in PROFILES.items():
        teacher = scripted(name, {scene.id: scene})
        same = 0
        for seed in range(20):
            answer = parse(teacher.write(prompt(question, scene), seed=seed).text)
            told, said = numbers(answer.reasoning, "width")[-1], quantities.find_quantities(answer.answer)[-1].value
            same += told == pytest.approx(said, rel=0.06)  # two digits, converted, two digits
        assert same == 20 if profile.slip == 0 else same > 0


def test_every_answer_can_be_verified(scene, asked):
    """Each whole answer holds statements that the rewards can read, the asked one among them."""
    teacher = scripted("careful", {scene.id: scene})
    for question in asked:
        text = teacher.write(prompt(question, scene), seed=3).text
        kind = expected(question.category).kind
        converse = CONVERSE.get(kind, kind)
        assert len(extract(text)) >= 2
        assert any(assertion.kind in {kind, converse} for assertion in extract(text[spans(text)["reasoning"][0] :]))


def given(width):
    return (
        f"<description><region1> is a ball.</description>\n<reasoning>### Rationale\nI measure.\n"
        f"### Let's think step by step\n### Step 1\nClose.\n### Step 2\n<region1> is {width:.2f} m wide.\n"
    )


def test_a_wrong_prefix_leads_on_unless_it_is_noticed(scene, asked):
    question = next(q for q in asked if q.category == "width_data")
    true = question.value * METRES_PER[question.unit]
    shown = replace(prompt(question, scene), prefix=given(3 * true))

    def corrected(name):
        teacher = scripted(name, {scene.id: scene})
        answers = [parse(shown.prefix + teacher.write(shown, seed=seed).text).answer for seed in range(100)]
        return sum(quantities.find_quantities(answer)[-1].value < 2 * true for answer in answers)

    assert corrected("hasty") == corrected("shallow") == 0
    assert 65 <= corrected("careful") <= 95  # it notices with probability 0.8


def test_a_right_prefix_is_led_on_by_everyone(scene, asked):
    question = next(q for q in asked if q.category == "width_data")
    true = question.value * METRES_PER[question.unit]
    shown = replace(prompt(question, scene), prefix=given(true) + "### Step 3\nNothing speaks against it.\n</reasoning>\n")
    for name in PROFILES:
        answer = parse(shown.prefix + scripted(name, {scene.id: scene}).write(shown, seed=1).text).answer
        assert quantities.find_quantities(answer)[-1].value == pytest.approx(
            true, rel=0.06
        )  # two digits, converted, two digits


def test_the_teachers_err_where_they_are_said_to(scene, asked):
    """Flat sight confuses depth and nothing else; habit spoils sizes; the careful one is right nearly always."""

    def right(name, category, *, draws=60):
        question = next(question for question in asked if question.category == category)
        teacher, good = ScriptedTeacher(name, PROFILES[name], {scene.image: scene}), 0
        for seed in range(draws):
            teacher.name = f"{name} {seed}"  # fresh systematic errors each time, as if these were as many images
            answer = parse(teacher.write(prompt(question, scene), seed=seed).text).answer
            word = answer.split()[0].strip(",.").lower()
            if question.value is None:
                good += (word in {"no"} or "not so" in answer) == question.answer.startswith(("No", "That is not"))
            else:
                value, true = quantities.find_quantities(answer)[-1].value, question.value * METRES_PER[question.unit]
                good += 0.75 * true <= value <= 1.25 * true
        return good / draws

    assert right("careful", "behind_predicate") > 0.8
    assert right("shallow", "behind_predicate") < 0.7
    assert right("shallow", "left_predicate") > 0.8
    assert right("careful", "width_data") > 0.7
    assert right("hasty", "width_data") < 0.7
    assert right("habitual", "width_data") < right("careful", "width_data") - 0.1


def test_three_thousand_completions_a_second(scene, asked):
    teacher = scripted("careful", {scene.id: scene})
    shown = [prompt(question, scene) for question in asked]
    for prompted in shown:
        teacher.write(prompted, seed=0)
    start = time.process_time()
    for seed in range(20):
        for prompted in shown:
            teacher.write(prompted, seed=seed)
    assert 20 * len(shown) / (time.process_time() - start) > 3000


def test_without_depth_teachers_go_by_habit(scene, asked):
    """An image whose depth is unknown: answers still have the form, and sizes are what such things usually have."""
    flat = replace(scene, depth=None, intrinsics=None)
    teacher = scripted("careful", {flat.id: flat})
    for question in asked:
        assert parse(teacher.write(prompt(question, flat), seed=1).text).answer
    question = next(q for q in asked if q.category == "height_data")
    told = [
        quantities.find_quantities(parse(teacher.write(prompt(question, flat), seed=s).text).answer)[-1].value
        for s in range(30)
    ]
    assert 0.2 < sorted(told)[15] < 0.45  # a ball usually measures 0.3 m
