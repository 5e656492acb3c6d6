import pytest

from builders import build_scene
from spatialreasoner.app.asking import (
    MAX_QUESTION,
    QUESTION_KINDS,
    category_of,
    check_answer,
    kind_text,
    measured_reference,
    prompt_with_regions,
)
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import CATEGORIES

TEXT = "<description>Two things.</description>\n<reasoning>### Rationale\nLook.</reasoning>\n### In Conclusion\n{}"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return build_scene(tmp_path_factory.mktemp("scene"))


@pytest.mark.parametrize("kind", QUESTION_KINDS)
def test_the_text_of_a_kind_is_read_as_that_kind(kind):
    assert category_of(kind_text(kind), 2) == QUESTION_KINDS[kind]


@pytest.mark.parametrize(
    ("text", "regions", "category"),
    [
        ("Which of <region1> and <region2> is further to the left?", 2, "left_choice"),
        ("Which is bigger, <region1> or <region2>?", 2, "big_predicate"),
        ("How tall is <region1>?", 1, "height_data"),
        ("Is <region1> in front of <region2>?", 1, None),
        ("What colour is <region1>?", 1, None),
        ("How far is <region1> from <region2>?", 2, "distance_data"),
    ],
)
def test_free_questions_are_understood_or_not(text, regions, category):
    assert category is None or category in CATEGORIES
    assert category_of(text, regions) == category


def test_regions_that_are_not_named_are_not_shown_to_the_model(scene):
    asked = prompt_with_regions("Is <region3>  left of\n<region1>?", scene.regions[:3], scene.image)
    assert asked.numbers == (1, 3)
    assert asked.prompt.regions == (scene.regions[0], scene.regions[2])
    assert asked.prompt.request == "Is <region2> left of <region1>?"
    assert prompt_with_regions("What do you see?", scene.regions[:2], scene.image).numbers == (1, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (" ", "write a question"),
        ("x" * (MAX_QUESTION + 1), "got 501"),
        ("Is <region3> tall?", "names <region3>, but 2 regions are drawn"),
        ("Is <region0> tall?", "names <region0>"),
    ],
)
def test_questions_that_cannot_be_asked_say_why(scene, text, said):
    with pytest.raises(InputError, match=said):
        prompt_with_regions(text, scene.regions[:2], scene.image)


def test_an_answer_is_held_against_the_depth(scene):
    asked = prompt_with_regions("Is <region1> to the left of <region2>?", scene.regions[:2], scene.image)
    measured, question = measured_reference(scene, asked)
    holds = measured.compare("left", *question.region_ids).holds
    assert question.answer == ("Yes." if holds else "No.")
    words = {side: TEXT.format(f"<region1> is to the {side} of <region2>.") for side in ("left", "right")}
    labels = {side: [v.label for v in check_answer(scene, asked, text).reasoning] for side, text in words.items()}
    assert labels == {"left": ["true" if holds else "false"], "right": ["false" if holds else "true"]}


def test_nothing_is_checked_without_depth_or_regions(scene):
    from dataclasses import replace

    asked = prompt_with_regions(kind_text("width"), scene.regions[:1], scene.image)
    assert check_answer(replace(scene, depth=None), asked, TEXT.format("1 m.")) is None
    assert check_answer(scene, prompt_with_regions("What is it?", (), scene.image), TEXT.format("A room.")) is None
