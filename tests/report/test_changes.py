"""Which answers are shown side by side."""

from spatialreasoner.evaluation.predictions import Prediction, QaInfo
from spatialreasoner.report.changes import changes
from spatialreasoner.report.results import results


def row(number, category, pred, gt="Yes."):
    info = QaInfo(type="qualitative", category=category)
    return Prediction(
        question_id=f"q{number}", image="0.png", question="Is <region1> so?", pred=pred, gt=gt, model_id="m", qa_info=info
    )


def test_what_changed_is_shown_for_better_and_worse_categories_in_turn():
    before = [row(0, "left_predicate", "No."), row(1, "left_predicate", "Yes."), row(2, "big_predicate", "Yes."),
              row(3, "left_predicate", "Yes.")]  # fmt: skip
    middle = [row(number, each.qa_info.category, "Perhaps.") for number, each in enumerate(before)]
    after = [row(0, "left_predicate", "Yes."), row(1, "left_predicate", "No."), row(2, "big_predicate", "No."),
             row(3, "left_predicate", "Yes."), row(4, "big_predicate", "No.")]  # fmt: skip
    found = changes(results({"base": before, "sft": middle, "fdpo": after}), lambda question: None)
    assert [change.prediction.question_id for change in found] == ["q0", "q2", "q1"]
    assert [(answer.label, answer.said) for answer in found[0].answers] == [
        ("base", "No."), ("sft", "Perhaps."), ("fdpo", "Yes."),
    ]  # fmt: skip
    assert [found[0].answers[0].right, found[0].answers[2].right] == [False, True]


def test_one_model_alone_changes_nothing():
    assert changes(results({"base": [row(0, "left_predicate", "No.")]}), lambda question: None) == []
