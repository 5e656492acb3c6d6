from dataclasses import replace

import pytest

from spatialreasoner.core.types import Question
from spatialreasoner.language.statements import extract
from spatialreasoner.rewards.conclusion import Claim, claim_agreement, read_claim, reference_claim

LABELS = ("wardrobe", "post")


def read(question: Question, text: str) -> Claim | None:
    return read_claim(question, text, extract(text, LABELS), LABELS)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Yes.", True),
        ("No.", False),
        ("Yes, <region1> is to the left of <region2>.", True),
        ("No, <region1> is to the right of <region2>.", False),
        ("No, <region1> is not to the left of <region2>.", False),
        ("<region2> is to the right of <region1>.", True),
        ("The wardrobe is to the left of the post.", True),
        ("That is not so: <region1> is to the right of <region2>.", False),
        ("Indeed, <region1> is on the left side of <region2>.", True),
        ("Yes, <region1> is to the right of <region2>.", True),  # the yes decides, and clashes with the rest
        ("It is nice.", None),
        ("", None),
    ],
)
def test_predicates(question: Question, text: str, holds: bool | None):
    found = read(question, text)
    assert (None if found is None else found.holds) is holds


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("<region1>.", True),
        ("<region2> is taller.", False),
        ("It is Region [1] that is taller.", False),
        ("The wardrobe.", True),
        ("<region1> is taller than <region2>.", True),
        ("<region1> is shorter than <region2>.", False),
        ("Either.", None),
    ],
)
def test_choices(question: Question, text: str, holds: bool | None):
    found = read(replace(question, category="tall_choice"), text)
    assert (None if found is None else found.holds) is holds


@pytest.mark.parametrize(
    ("category", "unit", "text", "value"),
    [
        ("width_data", "m", "<region1> is 1.5 m wide.", 1.5),
        ("width_data", "m", "About 150 cm.", 1.5),
        ("width_data", "cm", "150", 1.5),
        ("height_data", "m", "<region1> is 1.5 m wide and 2 m tall.", 2.0),
        ("distance_data", "ft", "They are 10 feet apart.", 3.048),
        ("direction", "hour", "<region2> is at 3 o'clock from <region1>.", 3.0),
        ("direction", "hour", "3", 3.0),
        ("width_data", "m", "Unknown.", None),
    ],
)
def test_quantities(question: Question, category: str, unit: str, text: str, value: float | None):
    found = read(replace(question, category=category, unit=unit, value=1.0), text)  # type: ignore[arg-type]
    assert (None if found is None else found.value) == pytest.approx(value)


def test_a_range_is_claimed_as_one(question: Question):
    found = read(replace(question, category="width_data", value=1.0, unit="m"), "<region1> is 1 to 2 m wide.")
    assert found == Claim(value=1.0, high=2.0)


def test_the_reference_is_the_value_in_metres_or_the_answer_read(question: Question):
    assert reference_claim(question) == Claim(holds=True)
    assert reference_claim(replace(question, answer="No.")) == Claim(holds=False)
    assert reference_claim(replace(question, answer="Perhaps.")) is None
    assert reference_claim(replace(question, category="width_data", value=50.0, unit="cm")) == Claim(value=0.5)
    assert reference_claim(replace(question, category="direction", value=4.0, unit="hour")) == Claim(value=4.0)


def test_agreement_scores_as_statements_do(question: Question):
    width = replace(question, category="width_data", value=2.0, unit="m")
    assert claim_agreement(width, Claim(value=2.1), Claim(value=2.0)) == 1.0
    assert claim_agreement(width, Claim(value=3.1), Claim(value=2.0)) == pytest.approx(0.5)
    assert claim_agreement(question, Claim(holds=True), Claim(holds=False)) == 0.0
    assert claim_agreement(replace(question, category="direction"), Claim(value=1), Claim(value=12)) == pytest.approx(2 / 3)
