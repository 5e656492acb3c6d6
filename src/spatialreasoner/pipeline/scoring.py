"""The stage `reward`: questions and responses in, one row per response out, with every statement's verdict.

Rows are read, scored and written one at a time, in their order; only a judge is asked about several at once.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any, ClassVar

from pydantic import BeforeValidator

from spatialreasoner import __version__
from spatialreasoner.core import records
from spatialreasoner.core.digests import file_digest
from spatialreasoner.core.errors import ConfigError, RecordError
from spatialreasoner.core.loops import synchronous
from spatialreasoner.core.protocols import Embedder, Judge
from spatialreasoner.core.resume import unfinished
from spatialreasoner.core.types import Question, Record, RewardBreakdown, Scene
from spatialreasoner.inference.pool import work_through
from spatialreasoner.judges.rewards import grader
from spatialreasoner.questions.files import read_questions, scenes_folder
from spatialreasoner.rewards.combine import Graded, Opinion, complete, grade, scores
from spatialreasoner.rewards.known import KnownScenes
from spatialreasoner.rewards.names import NameMatcher
from spatialreasoner.rewards.spatial import StatementVerdict
from spatialreasoner.scenes.files import scene_index

IN_FLIGHT = 16
"""Responses that a judge is asked about at a time."""


_ABSENT = "\0"
_Text = Annotated[str, BeforeValidator(lambda given: _ABSENT if given is None else given)]
"""Text, or null where another column holds it, or says why there is none."""


@dataclass(frozen=True, kw_only=True)
class ResponseRow(Record):
    """One answer to score, such as a row of predictions; other columns are kept.

    Attributes:
        question_id: The question it answers.
        text: The answer; empty where `unanswered` says why there is none.
        pred: The answer, where predictions have it.
        index: Its number among the question's answers; by default counted from 0 in the order of the file.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "allow", "allow_inf_nan": False}
    question_id: str
    text: _Text = _ABSENT
    pred: str | None = None
    index: int | None = None

    def __post_init__(self) -> None:
        if self.text == _ABSENT:
            if self.pred is None and self.kept.get("unanswered") is None:
                raise ValueError(
                    "expected the answer as `text` or `pred`, or why there is none as `unanswered`; the row has none"
                )
            object.__setattr__(self, "text", self.pred or "")

    @property
    def kept(self) -> dict[str, Any]:
        """The other columns of the row."""
        own = {each.name for each in fields(self)}
        return {name: value for name, value in vars(self).items() if name not in own}


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """Settings of the stage `reward`.

    Attributes:
        questions: The questions file.
        responses: The responses file, rows of `ResponseRow`.
        scenes: The scenes folder; None uses the path stored with the questions.
        judge_all: Judge every response, to compare the judge with geometry, not only those that geometry leaves unscored.
    """

    questions: str
    responses: str
    scenes: str | None = None
    judge_all: bool = False


class Scorer:
    """Scores responses to any of a set of questions; the scenes used last stay loaded.

    Args:
        questions: The questions.
        scenes: The scenes by id, paths resolved.
        embedder: Tells whether a text and a label name the same thing where the table of names cannot; None leaves it open.
    """

    def __init__(self, questions: Sequence[Question], scenes: Mapping[str, Scene], *, embedder: Embedder | None = None) -> None:
        self.questions = {question.id: question for question in questions}
        self.scenes = scenes
        self.embedder = embedder
        self._known = KnownScenes(scenes, naming=NameMatcher(embedder=embedder))

    def grade(self, row: ResponseRow) -> Graded:
        """The reward of one response, with its verdicts.

        Raises:
            RecordError: If the question does not exist.
        """
        question = self._question(row)
        return grade(self._known.get(question.scene_id), question, row.text)

    async def judge(self, row: ResponseRow, judge: Judge, *, always: bool = False) -> Graded:
        """The same, with what geometry could not score scored by a judge; it is asked about everything if `always`."""
        graded, question = self.grade(row), self._question(row)
        return await complete(graded, self.scenes[question.scene_id], question, row.text, grader(judge), always=always)

    def _question(self, row: ResponseRow) -> Question:
        question = self.questions.get(row.question_id)
        if question is None:
            raise RecordError(f"there is no question {row.question_id!r}; it must be an id of the questions file")
        return question


async def run_reward_async(
    config: RewardConfig,
    out: Path,
    *,
    judge: Judge | None = None,
    embedder: Embedder | None = None,
    in_flight: int = IN_FLIGHT,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Score every response of a file; writes `out`, whole or not at all, and `OUT.config.json` beside it.

    All rows are checked before the first is scored. Call it again to resume. Memory does not grow
    with the number of rows. The same inputs give the same bytes.

    Args:
        config: The inputs.
        out: The file to write: a row per response with `question_id`, `index`, `text`, what else its own row holds, and
            `reward`, `sources`, `parts`, `reasons`, `assertions`, `calculations`; where there is a judge also `geometry` and
            `judge`, what each says alone.
        judge: Who scores what geometry cannot; None leaves it unscored.
        embedder: Tells whether two names mean the same thing where the table of names cannot.
        in_flight: Responses that the judge is asked about at a time.
        progress: Called with the number of responses scored.

    Returns:
        How many responses were scored.

    Raises:
        InputError: If an input is missing or broken, or a response answers no question of the file.
        WorkError: If the output cannot be written, or another process writes it.
    """
    scorer = open_scorer(config, embedder)
    check_responses(config, scorer)
    return await score_responses_async(config, scorer, out, judge=judge, in_flight=in_flight, progress=progress)


run_reward = synchronous(run_reward_async)
"""`run_reward_async`, run to its end."""


def open_scorer(config: RewardConfig, embedder: Embedder | None = None) -> Scorer:
    """A scorer for the questions of a configuration.

    Raises:
        InputError: If questions or scenes are missing or broken.
    """
    scenes = scene_index(_scenes(config))
    return Scorer(read_questions(Path(config.questions), scenes), scenes, embedder=embedder)


def check_responses(config: RewardConfig, scorer: Scorer) -> int:
    """Read all responses before work is spent on the first of them; returns how many there are.

    Raises:
        InputError: If a row is not a response or answers no question of the file; the message names its line.
    """
    count = 0
    for line, row in records.read_numbered(config.responses, ResponseRow):
        if row.question_id not in scorer.questions:
            raise RecordError(
                f"{config.responses}:{line}: there is no question {row.question_id!r}; it must be an id of {config.questions}"
            )
        _writable(row, f"{config.responses}:{line}")
        count += 1
    return count


def _writable(row: ResponseRow, where: str) -> None:
    try:
        records.dumps(row.kept)
    except ValueError:
        raise RecordError(f"{where}: expected numbers that are finite, as JSON has them; got NaN or an infinity") from None


async def score_responses_async(
    config: RewardConfig,
    scorer: Scorer,
    out: Path,
    *,
    judge: Judge | None = None,
    in_flight: int = IN_FLIGHT,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """The work of `run_reward`, with a scorer at hand and responses that were checked."""
    work = _Work(config, scorer, judge, in_flight if judge is not None else 1, progress)
    with unfinished(out, work.key) as (file, done):
        count = await work.write(file, done)
    kept = {
        "questions": os.path.relpath(config.questions, out.parent),
        "responses": os.path.relpath(config.responses, out.parent),
        "scenes": config.scenes and os.path.relpath(config.scenes, out.parent),
        "judge": _identity(judge),
        "judge_all": config.judge_all,
        "embedder": _identity(scorer.embedder),
    }
    records.write_config(out.parent, "reward", kept, name=f"{out.stem}.config.json")
    return count


score_responses = synchronous(score_responses_async)
"""`score_responses_async`, run to its end."""


def read_response(config: RewardConfig, number: int) -> ResponseRow:
    """The response in the given row of the responses file, counted from 0.

    Raises:
        ConfigError: If the file has fewer rows.
    """
    count = 0
    for count, row in enumerate(records.read_jsonl(config.responses, ResponseRow)):
        if count == number:
            return row
    raise ConfigError(f"{config.responses}: expected a row number of 0..{count}; got {number}")


def to_row(question_id: str, index: int, graded: Graded) -> dict[str, Any]:
    """One row of the output, as JSON values."""
    verdicts = (("description", graded.description), ("reasoning", graded.reasoning))
    return {
        "question_id": question_id,
        "index": index,
        "reward": scores(graded.reward),
        "sources": dict(graded.sources),
        "parts": dict(graded.reward.parts),
        "reasons": dict(graded.reward.reasons),
        "assertions": [_assertion_row(segment, verdict) for segment, found in verdicts for verdict in found],
        "calculations": [
            {"text": check.text, "right": check.right, "expected": check.expected} for check in graded.calculations
        ],
    }


@dataclass(frozen=True)
class _Work:
    """One run over a responses file."""

    config: RewardConfig
    scorer: Scorer
    judge: Judge | None
    in_flight: int
    progress: Callable[[int], None]

    @property
    def key(self) -> str:
        """A digest of all that decides the rows, so that rows of other inputs are not taken for these."""
        files = [self.config.questions, self.config.responses, str(_scenes(self.config) / "scenes.jsonl")]
        models = [_identity(self.judge), self.config.judge_all, _identity(self.scorer.embedder)]
        parts = [__version__, records.git_commit(), models, *map(file_digest, files)]
        return hashlib.sha256(records.dumps(parts).encode()).hexdigest()

    async def write(self, file: IO[str], done: int) -> int:
        """Append the rows that follow the first `done`; returns how many there are then."""
        async for row in self._rows(done):
            file.write(records.dumps(row) + "\n")
            done += 1
            self.progress(done)
        return done

    def _rows(self, done: int) -> AsyncGenerator[dict[str, Any]]:
        """The rows in the order of the responses, `in_flight` of them at work."""
        return work_through(
            islice(self._responses(), done, None), self._row, in_flight=self.in_flight, ahead=3 * self.in_flight
        )

    async def _row(self, numbered: tuple[int, ResponseRow]) -> dict[str, Any]:
        index, row = numbered
        if self.judge is None:
            return _with_answer(row, to_row(row.question_id, index, self.scorer.grade(row)))
        graded = await self.scorer.judge(row, self.judge, always=self.config.judge_all)
        return _with_answer(row, to_row(row.question_id, index, graded) | _beside(graded))

    def _responses(self) -> Iterator[tuple[int, ResponseRow]]:
        """The responses, each with its number among those of its question."""
        counts: Counter[str] = Counter()
        for row in records.read_jsonl(self.config.responses, ResponseRow):
            yield counts[row.question_id] if row.index is None else row.index, row
            counts[row.question_id] += 1


def _with_answer(row: ResponseRow, scored: dict[str, Any]) -> dict[str, Any]:
    """A row of the output behind the answer and all else that its own row holds; where both have a key, the score's counts."""
    first = {"question_id": row.question_id, "index": scored["index"], "text": row.text}
    return {**first, **{name: value for name, value in row.kept.items() if name not in scored}, **scored}


def _scenes(config: RewardConfig) -> Path:
    return records.require_folder(config.scenes) if config.scenes is not None else scenes_folder(Path(config.questions))


def _identity(model: object) -> str | None:
    """All that decides what a model says: its `identity`, or its name, or its class; None if there is none."""
    if model is None:
        return None
    return getattr(model, "identity", None) or getattr(model, "name", None) or type(model).__qualname__


def _beside(graded: Graded) -> dict[str, Any]:
    """What geometry and the judge say, each alone; `judge` is None if it was not asked."""
    opinion = graded.opinion or Opinion(geometry=graded.reward, judge=graded.reward)
    judge = None if graded.opinion is None else {**_alone(opinion.judge), "failure": opinion.failure}
    return {"geometry": _alone(opinion.geometry), "judge": judge}


def _alone(reward: RewardBreakdown) -> dict[str, Any]:
    return {"reward": scores(reward), "parts": dict(reward.parts), "reasons": dict(reward.reasons)}


def _assertion_row(segment: str, verdict: StatementVerdict) -> dict[str, Any]:
    said = verdict.assertion
    return {
        "segment": segment,
        "kind": said.kind,
        "regions": said.regions,
        "value": said.value,
        "high": said.high,
        "unit": said.unit,
        "hedged": said.hedged,
        "negated": said.negated,
        "span": said.span,
        "verdict": verdict.label,
        "score": verdict.score,
        "weight": verdict.weight,
        "truth": verdict.truth,
        "reason": verdict.reason,
    }
