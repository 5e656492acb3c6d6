"""The offline judge: labelled answers, official bounds, laws, hostile text."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.core.types import CATEGORIES, CONVERSE, QUALITATIVE
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.questions import templates as wording

LABELLED = [
    json.loads(line) for line in (Path(__file__).parents[1] / "data/answers.jsonl").read_text(encoding="utf-8").splitlines()
]
SHARED = Path(__file__).parents[2] / "../shared/data/answers/labelled.jsonl"
HOW_FAR = "How far away is Region [0] from Region [1]?"


def agrees(row):
    category = row["category"] if "category" in row else row["qa_info"]["category"]
    verdict = judge(category, row["question"], row["gt"], row["pred"])
    return (verdict.success is True) == bool(row["expected"])


@pytest.mark.parametrize("split", ["tune", "held"])
def test_agreement_on_the_labelled_set(split):
    rows = [row for row in LABELLED if row["split"] == split]
    agreed = sum(map(agrees, rows))
    assert agreed >= 0.98 * len(rows), f"{agreed} of {len(rows)}"


def test_labelled_set_covers_every_category():
    assert len(LABELLED) >= 400
    assert {row["category"] for row in LABELLED} == set(CATEGORIES)


@pytest.mark.skipif(not SHARED.is_file(), reason="the shared labelled answers are not beside this checkout")
def test_all_shared_answers_are_judged_right():
    rows = [json.loads(line) for line in SHARED.read_text(encoding="utf-8").splitlines()]
    assert [row["question_id"] for row in rows if not agrees(row)] == []


@pytest.mark.parametrize(
    ("answer", "success"),
    [("1.5 m", True), ("2.5 m", True), ("1.499 m", False), ("2.501 m", False), ("150 cm", True), ("250 cm", True)],
)
def test_lengths_are_right_within_a_quarter_ends_included(answer, success):
    assert judge("distance_data", HOW_FAR, "They are 2.00 meters apart.", answer).success is success


def test_error_of_a_length_is_relative():
    verdict = judge("distance_data", HOW_FAR, "2.00 meters", "2.5 meters")
    assert verdict.error == pytest.approx(0.5 / 2.0001)
    assert (verdict.gt_value, verdict.pred_value) == (2.0, 2.5)


@pytest.mark.parametrize(
    ("truth", "answer", "success", "degrees"),
    [(12, 1, True, 30), (12, 11, True, 30), (12, 2, False, 60), (3, 9, False, 180), (1, 12, True, 30)],
)
def test_hours_are_right_within_one_around_the_circle(truth, answer, success, degrees):
    question = "If you are at Region [0], where will you find Region [1]?"
    verdict = judge("direction", question, f"Around {truth} o'clock.", f"At {answer} o'clock.")
    assert (verdict.success, verdict.error) == (success, degrees)


def test_unreadable_is_unscored_not_wrong():
    verdict = judge("distance_data", HOW_FAR, "2.00 meters", "I cannot tell.")
    assert (verdict.success, verdict.error, verdict.gt_value, verdict.pred_value) == (None, None, 2.0, None)
    assert judge("left_predicate", "Is Region [0] left of Region [1]?", "?", "Yes.").success is None


@given(
    st.sampled_from(["distance_data", "horizontal_distance_data", "vertical_distance_data"]),
    st.integers(30, 3000),
    st.integers(30, 3000),
)
def test_units_do_not_change_a_verdict(category, truth, answer):
    """Both lengths in whole centimetres, so that every unit can write them to the last digit."""
    gt = f"They are {truth / 100:.2f} meters apart."
    units = {"m": 1, "cm": 100, "mm": 1000, "feet": 1 / 0.3048, "inches": 1 / 0.0254}
    verdicts = {judge(category, HOW_FAR, gt, f"{answer / 100 * factor:.9f} {unit}").success for unit, factor in units.items()}
    assert len(verdicts) == 1


PHRASE = {
    "left": "to the left of", "right": "to the right of", "above": "above", "below": "below", "tall": "taller than",
    "short": "shorter than", "wide": "wider than", "thin": "thinner than", "big": "bigger than", "small": "smaller than",
    "behind": "behind", "front": "in front of",
}  # fmt: skip


@pytest.mark.parametrize("relation", PHRASE)
@pytest.mark.parametrize(("a", "b"), [("Region [0]", "Region [1]"), ("<region1>", "<region2>")])
def test_swapped_regions_flip_a_predicate(relation, a, b):
    def success(answer):
        return judge(
            f"{relation}_predicate", f"Is {a} {PHRASE[relation]} {b}?", f"Yes, {a} is {PHRASE[relation]} {b}.", answer
        ).success

    phrase, converse = PHRASE[relation], PHRASE[CONVERSE[relation]]
    assert success(f"{a} is {phrase} {b}.")
    assert success(f"{b} is {converse} {a}.")
    assert success(f"{b} is {phrase} {a}.") is False
    assert success(f"{a} is {converse} {b}.") is False
    assert success(f"No, {a} is not {phrase} {b}.") is False


@pytest.mark.parametrize("category", QUALITATIVE)
def test_truth_agrees_with_itself_when_both_are_swapped(category):
    relation, _, form = category.partition("_")
    question = (
        f"Is Region [0] {PHRASE[relation]} Region [1]?"
        if form == "predicate"
        else f"Which is {relation}: Region [0] or Region [1]?"
    )
    for first, second in (("Region [0]", "Region [1]"), ("Region [1]", "Region [0]")):
        sentence = f"{first} is {PHRASE[relation]} {second}."
        assert judge(category, question, sentence, sentence).success


def test_every_wording_of_our_own_predicates_is_judged_right():
    answers = [(t, True) for t in wording.TRUE_ANSWERS] + [(t, False) for t in wording.FALSE_ANSWERS]
    for relation, phrases in wording.RELATION_PHRASES.items():
        converse = wording.RELATION_PHRASES[CONVERSE[relation]][0]
        for phrase, (gt, truth), (pred, said) in product(phrases, answers, answers):
            words = {"a": "<region1>", "b": "<region2>", "phrase": phrase, "converse": converse}
            question = wording.PREDICATE_QUESTIONS[0].format(**words)
            verdict = judge(f"{relation}_predicate", question, gt.format(**words), pred.format(**words))
            assert verdict.success is (truth == said), (question, gt.format(**words), pred.format(**words))


def test_every_wording_of_our_own_lengths_and_hours_is_judged_right():
    for category, questions in wording.QUANTITY_QUESTIONS.items():
        values = ("3", "4", "6") if category == "direction" else ("1.50 meters", "5.00 feet", "20.00 inches")
        truth, near, far = values
        answers = wording.QUANTITY_ANSWERS[category]
        for question, gt, pred in product(questions, answers, answers):
            for value, success in ((near, True), (far, False)):
                names = {"a": "Region [0]", "b": "Region [1]"}
                verdict = judge(category, question.format(**names), gt.format(v=truth, **names), pred.format(v=value, **names))
                assert verdict.success is success, (question, gt, pred)


def test_conclusion_comes_before_the_steps():
    steps = "<reasoning>### Step 1 A door is 2 m wide. ### Step 2 Region [0] is 0.5 m wide.</reasoning>\n### In Conclusion\n"
    verdict = judge("width_data", "What is the width of Region [0]?", "1.00 meters", steps + "Region [0] is 1 m wide.")
    assert verdict.pred_value == 1.0


def test_a_leading_yes_decides_over_the_statement_that_contradicts_it():
    verdict = judge(
        "left_predicate", "Is Region [0] left of Region [1]?", "Yes.", "Yes, Region [0] is to the right of Region [1]."
    )
    assert verdict.success is True
    assert verdict.clashes


def test_a_verdict_without_a_look_for_contradictions_is_otherwise_the_same():
    given = "left_predicate", "Is Region [0] left of Region [1]?", "Yes."
    for answer in (
        "Yes, Region [0] is to the right of Region [1].",
        "Sure! Region [1] is to the left.",
        '{"is_left": true}',
        "No.",
    ):
        with_it, without = judge(*given, answer), judge(*given, answer, clashes=False)
        assert without == replace(with_it, clashes=without.clashes)
    assert not judge(*given, "Yes, Region [0] is to the right of Region [1].", clashes=False).clashes


@given(st.sampled_from(CATEGORIES), st.text(), st.text(), st.text())
def test_never_raises_on_any_strings(category, question, gt, pred):
    judge(category, question, gt, pred)


@pytest.mark.parametrize(
    "piece",
    ["<reasoning>", "9", "\x00\x1f", "therefore ", "Region [0] 2 m ", "Region [0] is 2 m wide. ", "yes no not ", "\n\n#"],
)
@pytest.mark.parametrize("category", ["left_predicate", "tall_choice", "width_data", "distance_data"])
def test_cost_is_linear_in_the_answer(piece, category):
    def cost(size):
        start = time.process_time()
        judge(
            category, "What of Region [0] and Region [1]?", "Yes, Region [0], 1 m.", (piece * (size // len(piece) + 1))[:size]
        )
        return time.process_time() - start

    small = max(min(cost(10_000) for _ in range(2)), 1e-3)
    assert any(cost(100_000) < 30 * small for _ in range(2))


def test_judging_a_whole_benchmark_leaves_most_of_its_time_to_the_rest():
    rows = (LABELLED * 4)[:1406]
    start = time.process_time()
    for row in rows:
        judge(row["category"], row["question"], row["gt"], row["pred"])
    assert time.process_time() - start < 1.2


def test_judge_loads_neither_arrays_nor_models():
    names = "('numpy', 'torch', 'pint', 'scipy')"
    code = f"import sys, spatialreasoner.evaluation.answers; print([name for name in {names} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
