"""Prediction rows exactly as the official evaluation script of SpatialRGPT-Bench reads and writes them (docs/papers.md 4.2)."""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from spatialreasoner.core import records
from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import CATEGORIES, QUALITATIVE, Category, Question, Record
from spatialreasoner.evaluation.release import release_rows, structured


@dataclass(frozen=True, kw_only=True)
class QaInfo(Record):
    """The kind of a question: its type and its category.

    Raises:
        ValueError: If the type is not that of the category.
    """

    type: Literal["qualitative", "quantitative"]
    category: Category

    def __post_init__(self) -> None:
        if (expected := type_of(self.category)) != self.type:
            raise ValueError(f"a {self.category!r} question is {expected}; got type {self.type!r}")


@dataclass(frozen=True, kw_only=True)
class Prediction(Record):
    """One answer of a model to one question.

    Attributes:
        question_id: Unique in its file.
        image: The image; predictions on one image are not independent and form a cluster.
        question: The question's text.
        pred: All that the model wrote.
        gt: The reference answer, one sentence.
        model_id: The model.
        qa_info: Type and category.
        unanswered: Why there is not an answer, where the model gave none; absent in the files otherwise.
    """

    question_id: str
    image: str
    question: str
    pred: str
    gt: str
    model_id: str
    qa_info: QaInfo
    unanswered: str | None = None


def type_of(category: Category) -> Literal["qualitative", "quantitative"]:
    """Whether a relation or a number answers questions of a category."""
    return "qualitative" if category in QUALITATIVE else "quantitative"


def prediction(question: Question, text: str, *, image: str, model_id: str, unanswered: str | None = None) -> Prediction:
    """The row of a model's answer to a question; where there is none, `unanswered` says why."""
    return Prediction(
        question_id=question.id,
        image=image,
        question=question.text,
        pred=text,
        gt=question.answer,
        model_id=model_id,
        qa_info=QaInfo(type=type_of(question.category), category=question.category),
        unanswered=unanswered,
    )


def read_predictions(path: str | Path) -> list[Prediction]:
    """Read a file of predictions.

    Raises:
        MissingFileError: If the file does not exist.
        RecordError: If a row is not a prediction, or a question is answered twice.
    """
    rows: dict[str, Prediction] = {}
    for row in records.read_jsonl(path, Prediction):
        if row.question_id in rows:
            raise RecordError(
                f"{path}: expected one prediction per question; {row.question_id!r} has two; score one model's file at a time"
            )
        rows[row.question_id] = row
    return list(rows.values())


def write_predictions(path: str | Path, predictions: Iterable[Prediction]) -> int:
    """Write a file of predictions, whole or not at all; returns how many."""
    return records.write_jsonl(path, map(_row, predictions))


def _row(prediction: Prediction) -> dict[str, Any]:
    """A row as the official script writes it; the key of its own only where there is not an answer."""
    row = asdict(prediction)
    return row if row["unanswered"] is not None else {name: value for name, value in row.items() if name != "unanswered"}


def cluster_name(prediction: Prediction) -> str:
    r"""What the questions about one image share: its path, however it is written, or the question's own id without one.

    >>> row = {"question_id": "q", "question": "", "pred": "", "gt": "", "model_id": "",
    ...        "qa_info": QaInfo(type="quantitative", category="width_data")}
    >>> {cluster_name(Prediction(image=image, **row)) for image in ("./a/b.png", "a//b.png", "a\\b.png", "a/c/../b.png")}
    {'a/b.png'}
    """
    image = prediction.image.strip().replace("\\", "/").removeprefix("file://")
    return posixpath.normpath(image) if image else prediction.question_id


NO_PREDICTION = "no prediction"
"""Why a question has no answer that the predictions leave out."""


def without_prediction(predictions: Sequence[Prediction], questions: str | Path) -> list[Prediction]:
    """An empty answer to each question of a file that has no prediction.

    Args:
        predictions: What was answered.
        questions: A questions file of this package, or the benchmark's release as JSON lines, a JSON array or Parquet: rows
            with `id`, `text_q`, `qa_info`, and the reference as `gt` or as the last of the `conversations`.

    Raises:
        MissingFileError: If there is no such file.
        RecordError: If a row is not a question.
    """
    answered = {prediction.question_id for prediction in predictions}
    models = " + ".join(dict.fromkeys(prediction.model_id for prediction in predictions))
    rows = enumerate(_question_rows(records.require_file(questions)), start=1)
    asked = [_question_row(row, where=f"{questions}: row {number}") for number, row in rows]
    return [
        Prediction(pred="", model_id=models, image="", unanswered=NO_PREDICTION, **row)
        for row in asked
        if row["question_id"] not in answered
    ]


def _question_rows(path: Path) -> Iterable[Any]:
    """The rows of JSON lines, or of a JSON array or a Parquet file as the benchmark is released."""
    with path.open("rb") as file:
        array = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    return release_rows(path) if array or path.suffix == ".parquet" else records.read_jsonl(path, dict[str, Any])


def _question_row(row: Any, *, where: str) -> dict[str, Any]:
    """Id, question, reference and kind of a row, this package's or the benchmark's."""
    if not isinstance(row, dict):
        raise RecordError(f"{where}: expected an object; got {type(row).__name__}")
    row = structured(cast("dict[str, Any]", row), where=where)
    info = row.get("qa_info")
    category = row.get("category") or (info.get("category") if isinstance(info, dict) else None)
    turns = row.get("conversations")
    last = turns[-1].get("value") if isinstance(turns, list) and turns and isinstance(turns[-1], dict) else None
    found = {
        "question_id": row.get("id", row.get("question_id")),
        "question": row.get("text", row.get("text_q", row.get("question"))),
        "gt": row.get("answer", row.get("gt", last)),
    }
    if category not in CATEGORIES or not all(isinstance(value, str) for value in found.values()):
        raise RecordError(
            f"{where}: expected a question with id, text, answer and category, or id, text_q, gt and qa_info; "
            f"got the fields {sorted(row)}"
        )
    return {**found, "qa_info": QaInfo(type=type_of(category), category=category)}
