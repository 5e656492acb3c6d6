"""Your own answers on their way to pairs: files of rows become one file of candidates, and rated rows become answers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, MissingFileError, RecordError
from spatialreasoner.core.types import Question
from spatialreasoner.pipeline.inputs import PathLike, succeeds
from spatialreasoner.pipeline.scoring import ResponseRow
from spatialreasoner.preferences.ratings import RatedAnswer, read_rating

RATING = {"total": "reward"}
"""Where the stage `reward` writes what it found."""

_SCORED = ("reward", "sources", "parts", "reasons", "assertions", "calculations", "geometry", "judge")
"""What the stage `reward` says of an answer: too much to be kept beside a pair."""


def gather_answers(
    answers: Sequence[PathLike], questions: Collection[str], out: Path, ratings: Mapping[str, str] | None = None
) -> int:
    """Write the rows of several files of answers as one, each with the name of its file as `source`, unless it has one.

    Rows that say why they are not answers (`unanswered`) are left out.

    Args:
        answers: Files of rows with `question_id` and `text` or `pred`.
        questions: The ids of all questions.
        out: The file to write.
        ratings: The columns in which each answer must have its ratings (`ratings.read_rating`); None if it needs none.

    Returns:
        How many rows were written.

    Raises:
        InputError: If a file is missing, or a row is not an answer to one of the questions, or lacks a rating; the message
            names its line.
    """
    names = Counter(Path(file).name for file in answers)
    rows: list[dict[str, Any]] = []
    for file in answers:
        path = Path(file)
        source = path.name if names[path.name] == 1 else f"{path.parent.name}/{path.name}"
        for line, row in records.read_numbered(path, ResponseRow):
            _check(row, questions, f"{path}:{line}")
            if row.kept.get("unanswered") is None:
                if ratings:
                    read_rating(row.kept, ratings, where=f"{path}:{line}")
                rows.append({"question_id": row.question_id, "text": row.text, **{"source": source, **row.kept}})
    if not rows:
        raise RecordError(f"no answers in {', '.join(map(str, answers))}: every row says why it has none")
    return records.write_jsonl(out, rows)


def _check(row: ResponseRow, questions: Collection[str], where: str) -> None:
    if row.question_id not in questions:
        raise RecordError(f"{where}: there is no question {row.question_id!r}; it must be an id of the questions file")
    try:
        records.dumps(row.kept)
    except ValueError:
        raise RecordError(f"{where}: expected numbers that are finite, as JSON has them; got NaN or an infinity") from None


def rated_answers(path: Path, questions: Mapping[str, Question], ratings: Mapping[str, str]) -> Iterator[RatedAnswer]:
    """The rated answers of a file, those to one question together, questions in the order of their first answers.

    Args:
        path: Rows with `question_id`, `text` or `pred`, and ratings.
        questions: By id.
        ratings: The columns of the ratings (`ratings.read_rating`).

    Raises:
        InputError: If the file is missing, or a row has no answer or rating; the message names its line.
    """
    groups: dict[str, list[RatedAnswer]] = {}
    for line, row in records.read_numbered(path, ResponseRow):
        where = f"{path}:{line}"
        _check(row, questions, where)
        if row.kept.get("unanswered") is None:
            group = groups.setdefault(row.question_id, [])
            group.append(_answer(row, questions[row.question_id], len(group), ratings, where))
    for group in groups.values():
        yield from group


def _answer(row: ResponseRow, question: Question, number: int, ratings: Mapping[str, str], where: str) -> RatedAnswer:
    said = row.kept.get("success")
    name = row.kept.get("model_id") or row.kept.get("source") or "own"
    return RatedAnswer(
        question_id=row.question_id,
        index=number,
        text=row.text,
        policies=(str(name),),
        reward=read_rating(row.kept, ratings, where=where),
        success=said if isinstance(said, bool) else succeeds(question, row.text),
        origin="sample",
        kept={key: value for key, value in row.kept.items() if key not in {*_SCORED, *ratings.values()}},
    )


def questions_of(rewards: Path) -> tuple[Path, Path | None]:
    """The questions file and the scenes folder that a rewards file was made from, by the record beside it.

    Raises:
        ConfigError: If there is no such record.
    """
    path = rewards.with_name(f"{rewards.stem}.config.json")
    try:
        made = records.read_json(path, dict[str, Any]).get("config")
    except MissingFileError:
        made = None
    if not isinstance(made, dict) or not isinstance(made.get("questions"), str):
        raise ConfigError(f"expected `questions`: {path} does not say which questions {rewards.name} answers")
    scenes = made.get("scenes")
    return rewards.parent / made["questions"], None if scenes is None else rewards.parent / os.fspath(scenes)
