"""Which of its own answers the nano learns."""

import pytest
from research.nano_method.__main__ import follows_and_is_right, follows_its_steps

from spatialreasoner.evaluation.predictions import Prediction, QaInfo

STEPS = (
    "<description><region1> is a red box. <region2> is a blue ball.</description>\n"
    "<reasoning>### Step 1\n<region1> has a width of 0.57 m.\n"
    "### Step 2\n<region2> has a width of 0.38 m.\n### Step 3\n0.57 m is more than 0.38 m. <region1> is wider than <region2>.\n"
    "</reasoning>\n### In Conclusion\n"
)  # fmt: skip


def answer(text: str, *, category: str, question: str, gt: str) -> Prediction:
    return Prediction(
        question_id="1", image="1.png", question=question, pred=text, gt=gt, model_id="nano",
        qa_info=QaInfo(type="qualitative", category=category),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("concluded", "kept"),
    [
        ("Yes, <region1> is wider than <region2>.", True),
        ("<region1> is wider than <region2>.", True),
        ("Yes, <region1> is thinner than <region2>.", False),  # right by its Yes alone
        ("No, <region1> is wider than <region2>.", False),
        ("Yes. <region1> is behind <region2>.", False),  # of another relation
    ],
)
def test_an_answer_is_kept_for_what_stands_behind_its_yes(concluded, kept):
    asked = {
        "category": "wide_predicate",
        "question": "Is <region1> wider than <region2>?",
        "gt": "Yes, <region1> is wider than <region2>.",
    }
    assert follows_and_is_right(answer(STEPS + concluded, **asked)) is kept


def test_a_comparison_of_a_number_with_itself_does_not_hold():
    asked = {
        "category": "wide_predicate",
        "question": "Is <region1> wider than <region2>?",
        "gt": "Yes, <region1> is wider than <region2>.",
    }
    said = answer(STEPS.replace("0.38", "0.57") + "Yes, <region1> is wider than <region2>.", **asked)
    assert follows_its_steps(said)
    assert not follows_and_is_right(said)
