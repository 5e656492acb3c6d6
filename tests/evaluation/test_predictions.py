"""Official prediction rows: what is read, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import Question
from spatialreasoner.evaluation.predictions import prediction, read_predictions, write_predictions

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
def test_refuses_what_is_no_prediction(tmp_path: Path, change: dict[str, object], message: str) -> None:
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
