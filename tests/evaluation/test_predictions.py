"""Official prediction rows: what is read, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import Question
from spatialreasoner.evaluation.predictions import (
    NO_PREDICTION,
    prediction,
    read_predictions,
    without_prediction,
    write_predictions,
)

ROW = {
    "question_id": "quantitative_7", "image": "a.png", "question": "How wide is Region [0]?", "pred": "1 m", "gt": "1.1 meters",
    "model_id": "some-model", "qa_info": {"type": "quantitative", "category": "width_data"},
}  # fmt: skip


def written(folder: Path, *rows: object) -> Path:
    path = folder / "predictions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_reads_and_writes_the_official_form_unchanged(tmp_path: Path) -> None:
    path = written(tmp_path, ROW)
    rows = read_predictions(path)
    write_predictions(tmp_path / "again.jsonl", rows)
    assert (tmp_path / "again.jsonl").read_text() == path.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "unknown key 'extra'"),
        ({"pred": None}, "pred"),
        ({"qa_info": {"type": "qualitative", "category": "width_data"}}, "'width_data' question is quantitative"),
        ({"qa_info": {"type": "quantitative", "category": "weight_data"}}, "category"),
    ],
)
def test_refuses_what_is_not_a_prediction(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(RecordError, match=message) as error:
        read_predictions(written(tmp_path, ROW, {**ROW, "question_id": "other", **change}))
    assert "predictions.jsonl:2" in str(error.value)


def test_refuses_a_question_answered_twice(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="'quantitative_7' has two"):
        read_predictions(written(tmp_path, ROW, ROW))


def test_row_of_an_answer() -> None:
    question = Question(
        id="q", scene_id="s", category="left_choice", text="Which?", region_ids=("region1", "region2"), answer="The first."
    )
    row = prediction(question, "text", image="s.png", model_id="m")
    assert (row.qa_info.type, row.gt, row.question, row.pred) == ("qualitative", "The first.", "Which?", "text")


def test_questions_without_a_prediction_are_found_in_both_forms(tmp_path: Path) -> None:
    answered = read_predictions(written(tmp_path, ROW))
    ours = {"id": "ours", "text": "Is <region1> taller?", "answer": "Yes.", "category": "tall_predicate"}
    theirs = {
        "id": "theirs", "text_q": "How wide is Region [0]?", "qa_info": {"type": "quantitative", "category": "width_data"},
        "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "It is 2 meters."}],
    }  # fmt: skip
    both = {"question_id": ROW["question_id"], "question": "How wide?", "gt": "1 m", "category": "width_data"}
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in (ours, theirs, both)))
    absent = without_prediction(answered, questions)
    assert [(row.question_id, row.gt, row.pred, row.unanswered) for row in absent] == [
        ("ours", "Yes.", "", NO_PREDICTION),
        ("theirs", "It is 2 meters.", "", NO_PREDICTION),
    ]
    for rows in ([ours, theirs, both], [{**row, "qa_info": repr(row.get("qa_info", ""))} for row in (theirs, both)]):
        questions.write_text(json.dumps(rows, indent=1))
        found = without_prediction(answered, questions)
        assert [row.question_id for row in found] == [row["id"] for row in rows if row is not both and "id" in row]
    questions.write_text('["not a row"]')
    with pytest.raises(RecordError, match="row 1: expected an object; got str"):
        without_prediction(answered, questions)
    questions.write_text(json.dumps({**ours, "category": "weight_data"}) + "\n")
    with pytest.raises(RecordError, match="row 1: expected a question with id, text, answer and category"):
        without_prediction(answered, questions)
