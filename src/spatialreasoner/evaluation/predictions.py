"""Prediction rows exactly as the official evaluation script of SpatialRGPT-Bench reads and writes them (docs/papers.md 4.2)."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from spatialreasoner.core import records
from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import QUALITATIVE, Category, Question, Record


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
