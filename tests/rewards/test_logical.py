from dataclasses import replace

import pytest

from spatialreasoner.core.types import Question
from spatialreasoner.language.arithmetic import checks
from spatialreasoner.language.statements import Assertion, extract
from spatialreasoner.rewards import logical
from spatialreasoner.rewards.conclusion import Claim, read_claim, reference_claim
from spatialreasoner.rewards.known import Known
from spatialreasoner.rewards.logical import Argument, contradicts
from spatialreasoner.rewards.spatial import verify


def argue(known: Known, question: Question, steps: str, conclusion: str, description: str = "") -> dict[str, float | None]:
    def verdicts(text: str):
        return [verify(known.measured, question, assertion) for assertion in extract(text)]

    argument = Argument(
        text=steps,
        premises=verdicts(steps),
        concluding=verdicts(conclusion),
        described=verdicts(description),
        calculations=checks(steps + conclusion),
        claim=read_claim(question, conclusion, extract(conclusion)),
        reference=reference_claim(question),
    )
    return dict(logical.grade_reasoning(question, argument).parts)


TRUE = "<region1> is to the left of <region2>."
FALSE = "<region1> is to the right of <region2>."


def said(text: str) -> Assertion:
    (assertion,) = extract(text)
    return assertion


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        (TRUE, FALSE, True),
        (TRUE, TRUE, False),
        (TRUE, "<region2> is to the right of <region1>.", False),
        (TRUE, "<region2> is to the left of <region1>.", True),
        (TRUE, "<region1> is not to the left of <region2>.", True),
        (TRUE, "<region1> is above <region2>.", False),
        ("<region1> is not above <region2>.", "<region1> is not below <region2>.", False),
        ("<region1> is 2 m tall.", "<region1> is 2.1 m tall.", False),
        ("<region1> is 2 m tall.", "<region1> is 2.4 m tall.", True),
        ("<region1> is 2 m tall.", "<region2> is 3 m tall.", False),
        ("<region1> is 2 m tall.", "<region1> is 3 m wide.", False),
        ("<region1> and <region2> are 2 m apart.", "<region2> and <region1> are 3 m apart.", True),
        ("<region2> is at 12 o'clock from <region1>.", "<region2> is at 1 o'clock from <region1>.", False),
        ("<region2> is at 12 o'clock from <region1>.", "<region2> is at 3 o'clock from <region1>.", True),
    ],
)
def test_contradictions(first: str, second: str, clash: bool):
    assert contradicts(said(first), said(second)) is contradicts(said(second), said(first)) is clash


def test_a_right_argument_earns_everything(known: Known, question: Question):
    assert argue(known, question, f"### Step 1\n{TRUE}", f"Yes, {TRUE}") == {
        "factual": 1.0, "coherence": 1.0, "rules": None, "conclusion": 1.0,
    }  # fmt: skip


def test_a_false_premise_lowers_facts(known: Known, question: Question):
    parts = argue(known, question, f"{TRUE} <region1> is behind <region2>.", f"Yes, {TRUE}")
    assert parts == {"factual": 0.5, "coherence": 1.0, "rules": None, "conclusion": 1.0}


def test_a_premise_against_the_description_counts_half(known: Known, question: Question):
    parts = argue(known, question, TRUE, f"Yes, {TRUE}", description=FALSE)
    assert parts["factual"] == 0.5


def test_steps_that_contradict_one_another(known: Known, question: Question):
    parts = argue(known, question, f"### Step 1\n{FALSE}\n### Step 2\n{TRUE}", f"Yes, {TRUE}")
    assert parts["coherence"] == pytest.approx(1 / 3)  # both later statements contradict the first
    assert parts["conclusion"] == 1.0  # it follows from the last step


def test_sizes_decide_relations(known: Known, question: Question):
    sizes = "<region1> is 2 m tall. <region2> is 1 m tall."
    assert argue(known, question, sizes, "<region1> is taller than <region2>.")["coherence"] == 1.0
    assert argue(known, question, sizes, "<region1> is shorter than <region2>.")["coherence"] == pytest.approx(2 / 3)
    assert argue(known, question, sizes, "<region1> is not shorter than <region2>.")["coherence"] == 1.0


def test_repeated_steps_lead_nowhere(known: Known, question: Question):
    parts = argue(known, question, f"### Step 1\n{TRUE}\n### Step 2\n{TRUE}", f"Yes, {TRUE}")
    assert parts["coherence"] == 0.5


def test_arithmetic_is_checked(known: Known, question: Question):
    assert argue(known, question, "75 + 20 = 95 cm. 2 m is 7.6 ft.", "Yes.")["rules"] == 0.5
    assert argue(known, question, "Nothing to compute.", "Yes.")["rules"] is None


@pytest.mark.parametrize(
    ("steps", "conclusion", "validity"),
    [
        (TRUE, "Yes.", 1.0),
        (TRUE, "No.", 0.0),
        (FALSE, "Yes.", 0.5),  # true, but it does not follow
        (FALSE, "No.", 0.0),  # follows, but is wrong
        ("Let us look.", "Yes.", 0.5),  # true, but the steps say nothing of it
        (TRUE, "It is nice.", 0.0),
    ],
)
def test_a_conclusion_follows_and_is_true(known: Known, question: Question, steps: str, conclusion: str, validity: float):
    assert argue(known, question, steps, conclusion)["conclusion"] == validity


@pytest.mark.parametrize(
    ("steps", "conclusion", "validity"),
    [
        ("<region1> is 0.6 m wide.", "<region1> is 0.6 m wide.", 1.0),
        ("It is as wide as a chair, which is 60 cm.", "0.6 m.", 1.0),
        ("0.4 + 0.2 = 0.6 m.", "<region1> is 0.6 m wide.", 1.0),
        ("<region1> is 0.9 m wide.", "<region1> is 0.6 m wide.", 0.5),
        ("Let us look.", "<region1> is 0.6 m wide.", 0.5),
        ("<region1> is 1.2 m wide.", "<region1> is 1.2 m wide.", 0.0),
    ],
)
def test_a_number_follows_and_is_true(known: Known, question: Question, steps: str, conclusion: str, validity: float):
    width = replace(question, category="width_data", value=0.6, unit="m", region_ids=("region1",))
    assert argue(known, width, steps, conclusion)["conclusion"] == pytest.approx(validity)


def test_without_a_reference_support_alone_decides(known: Known, question: Question):
    assert argue(known, replace(question, answer="?"), TRUE, "No.")["conclusion"] == 0.0
    assert argue(known, replace(question, answer="?"), TRUE, "Yes.")["conclusion"] == 1.0


def test_nothing_earns_nothing(question: Question):
    empty = Argument(
        text=" ", premises=(), concluding=(), described=(), calculations=(), claim=None, reference=Claim(holds=True)
    )
    assert logical.grade_reasoning(question, empty).value == 0.0
