"""Of every category and in every form: right above unsure, unsure not below wrong, right above off-topic and empty."""

from functools import cache

import pytest

from spatialreasoner.core.types import CATEGORIES, METRES_PER, QUALITATIVE, relation_of
from spatialreasoner.questions.files import read_questions
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.rewards import grade
from spatialreasoner.rewards.known import KnownScenes
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.scenes.synthetic import SyntheticConfig, write_synthetic

UNSURE = (
    "I cannot tell.", "I'm sorry, but I can't determine that from the image.", "It is impossible to say.", "Unsure.",
    "Undecided.",
    "It is not possible to say which of <region1> and <region2> is lower.",
    "Maybe.", "It depends on the viewpoint.", "There isn't enough information to answer that.", "No, I can't help with that.",
)  # fmt: skip
EMPTY = (
    "", " \n", "<description></description>\n<reasoning></reasoning>", "### Description\n\n### In Conclusion\n",
    "### Rationale\n### Let's think step by step\n### Step 1\n### In Conclusion\n",
)  # fmt: skip
OFF_TOPIC = ("The weather is nice today.", "There is a carpet near the window.", "42 is the answer to everything.",
             "A fox jumps over the lazy dog.", "Birds fly higher than trees.", "She ran behind the house.")  # fmt: skip
TELLS = "<description>In a room there are <region1> and, beside other things, what else the image shows.</description>"


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    write_synthetic(SyntheticConfig(count=10, seed=3), folder, workers=1)
    write_questions(QuestionsConfig(scenes=str(folder), per_scene=16, seed=2), folder / "questions.jsonl")
    scenes = scene_index(folder)
    known = KnownScenes(scenes, kept=len(scenes))
    return [(known.get(q.scene_id), q) for q in read_questions(folder / "questions.jsonl", scenes)]


def terse(question, *, right: bool) -> str:
    """A word or a number for an answer."""
    if question.category == "direction":
        hour = question.value if right else (question.value + 5) % 12 + 1
        return f"{hour:.0f} o'clock"
    if question.category not in QUALITATIVE:
        return f"{question.value * METRES_PER[question.unit] * (1.05 if right else 1.6):.3f} m"
    if question.category.endswith("_predicate"):
        return ("Yes." if says_yes(question) else "No.") if right else ("No." if says_yes(question) else "Yes.")
    return f"<region{chosen(question) if right else 3 - chosen(question)}>"


def sentence(question, *, right: bool) -> str:
    """A whole sentence for an answer."""
    said = terse(question, right=right)
    if question.category == "direction":
        return f"From <region1>, <region2> is at {said}."
    if question.category in ("width_data", "height_data"):
        return f"<region1> is {said} {'wide' if question.category == 'width_data' else 'tall'}."
    if question.category not in QUALITATIVE:
        along = {"horizontal_distance_data": " horizontally", "vertical_distance_data": " vertically"}.get(
            question.category, ""
        )
        return f"<region1> and <region2> are {said} apart{along}."
    words = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below", "behind": "behind",
             "front": "in front of", "tall": "taller than", "short": "shorter than", "wide": "wider than",
             "thin": "thinner than", "big": "bigger than", "small": "smaller than"}[relation_of(question.category)]  # fmt: skip
    if question.category.endswith("_choice"):
        first = chosen(question) if right else 3 - chosen(question)
        return f"<region{first}> is {words} <region{3 - first}>."
    holds = says_yes(question) == right
    return f"{'Yes' if holds else 'No'}, <region1> is {'' if holds else 'not '}{words} <region2>."


@cache
def says_yes(question) -> bool:
    from spatialreasoner.rewards.conclusion import reference_claim

    return reference_claim(question).holds


def chosen(question) -> int:
    return 1 if says_yes(question) else 2


def long(answer: str, steps: str) -> str:
    return f"{TELLS}\n<reasoning>### Rationale\nI look at both.\n### Step 1\n{steps}</reasoning>\n### In Conclusion\n{answer}"


FORMS = {
    "plain": lambda question, right: terse(question, right=right),
    "sentence": lambda question, right: sentence(question, right=right),
    "long": lambda question, right: long(terse(question, right=right), sentence(question, right=right)),
    "long, silent steps": lambda question, right: long(sentence(question, right=right), "I look closely."),
}


def total(known, question, text) -> float:
    reward = grade(known, question, text).reward
    assert reward.total is not None, (question.category, text, reward)
    return reward.total


@pytest.mark.parametrize("form", FORMS)
def test_answers_rank_as_they_should(asked, form):
    seen: set[str] = set()
    for known, question in asked:
        right = total(known, question, FORMS[form](question, True))
        seen.add(question.category)
        wrong = total(known, question, FORMS[form](question, False))
        wrapped = form.startswith("long")
        unsure = [total(known, question, long(text, "I look closely.") if wrapped else text) for text in UNSURE]
        off = [total(known, question, long(text, "I look closely.") if wrapped else text) for text in OFF_TOPIC]
        case = (question.category, question.text, right, unsure, wrong, off)
        assert right > max(unsure), case
        assert min(unsure) >= wrong, case
        assert right > max(off), case
        assert [total(known, question, text) for text in EMPTY] == [0.0] * len(EMPTY), case
        assert right > 0, case
        assert max(off) <= 1.6, case
    assert seen == set(CATEGORIES)


def test_an_answer_to_another_question_earns_next_to_nothing(asked):
    checked = 0
    for known, question in asked:
        for _, other in asked:
            if other.scene_id == question.scene_id and other.category.split("_")[-1] != question.category.split("_")[-1]:
                text = sentence(other, right=True)
                if (other.category in QUALITATIVE) != (question.category in QUALITATIVE):
                    checked += 1
                    assert total(known, question, text) <= 1.6, (question.category, text)
    assert checked > 20


def test_a_conclusion_that_contradicts_its_own_yes_or_no_has_no_validity(asked):
    checked = 0
    for known, question in asked:
        if question.category.endswith("_predicate"):
            yes = says_yes(question)
            clash = sentence(question, right=True).replace("Yes" if yes else "No", "No" if yes else "Yes", 1)
            reward = grade(known, question, clash).reward
            checked += 1
            assert reward.parts["logical.conclusion"] == 0
    assert checked > 10


@pytest.mark.parametrize("kind", ["_predicate", "_choice", "width_data", "direction"])
def test_an_announced_answer_that_contradicts_the_statement_beside_it_ranks_below_unsure(asked, kind):
    checked = 0
    for known, question in asked:
        if not question.category.endswith(kind):
            continue
        checked += 1
        true, false = sentence(question, right=True), terse(question, right=False)
        text = f"{true.removeprefix('Yes, ').removeprefix('No, ')} Answer: {false}"
        assert total(known, question, text) <= total(known, question, "I cannot tell."), (question.text, text)
        assert total(known, question, text) < total(known, question, f"{true} Answer: {terse(question, right=True)}")
    assert checked > 5


def test_a_true_statement_does_not_save_a_wrong_yes_or_no(asked):
    for known, question in asked:
        if question.category.endswith("_predicate"):
            right = sentence(question, right=True)
            swapped = "No" + right[3:] if right.startswith("Yes") else "Yes" + right[2:]
            assert total(known, question, swapped) <= total(known, question, "I cannot tell."), (question.text, swapped)
