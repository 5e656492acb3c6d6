"""The stage `reward`: questions and responses in, one row a response out, with every statement's verdict."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner import records
from spatialreasoner.errors import ConfigError, RecordError
from spatialreasoner.protocols import Judge
from spatialreasoner.rewards.combine import Graded, complete, grade
from spatialreasoner.rewards.known import KnownScenes
from spatialreasoner.rewards.spatial import Verdict
from spatialreasoner.scene.files import scene_index
from spatialreasoner.scene.questions import read_questions, scenes_folder
from spatialreasoner.types import Question, Record, RewardBreakdown, Scene

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STYLES: Mapping[str, str] = {"true": "green", "partial": "yellow", "false": "bold red", "unscored": "dim"}
"""How statements are coloured by verdict."""

_IN_FLIGHT = 16
"""Responses that a judge is asked about at a time."""


@dataclass(frozen=True, kw_only=True)
class ResponseRow(Record):
    """One answer to score.

    Attributes:
        question_id: The question it answers.
        text: The answer.
        index: Its number among the question's answers; by default counted from 0 in the order of the file.
    """

    question_id: str
    text: str
    index: int | None = None


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """Settings of the stage `reward`: its inputs, as given.

    Attributes:
        questions: The questions file.
        responses: The responses file, rows of `ResponseRow`.
        scenes: The scenes folder; None to find it by the questions file.
    """

    questions: str
    responses: str
    scenes: str | None = None


class Scorer:
    """Scores responses to any of a set of questions; the scenes used last stay loaded.

    Args:
        questions: The questions.
        scenes: The scenes by id, paths resolved.
    """

    def __init__(self, questions: Sequence[Question], scenes: Mapping[str, Scene]) -> None:
        self.questions = {question.id: question for question in questions}
        self._scenes = KnownScenes(scenes)

    def grade(self, row: ResponseRow) -> Graded:
        """The reward of one response, with its verdicts.

        Raises:
            RecordError: If there is no such question.
        """
        question = self.questions.get(row.question_id)
        if question is None:
            raise RecordError(f"there is no question {row.question_id!r}; it must be an id of the questions file")
        return grade(self._scenes.get(question.scene_id), question, row.text)

    async def complete(self, row: ResponseRow, graded: Graded, judge: Judge) -> Graded:
        """The same, with what geometry could not score scored by a judge."""
        question = self.questions[row.question_id]
        return await complete(graded, self._scenes.get(question.scene_id).scene, question, row.text, judge)


def run_reward(
    config: RewardConfig, out: Path, *, judge: Judge | None = None, progress: Callable[[int], None] = lambda done: None
) -> int:
    """Score every response of a file; writes `out`, whole or not at all, and `OUT.config.json` beside it.

    Rows are read, scored and written one at a time, so memory does not grow with their number. The same inputs give the
    same bytes.

    Args:
        config: The inputs.
        out: The file to write: a row a response with `question_id`, `index`, `reward`, `sources`, `parts`, `reasons`,
            `assertions`, `calculations`.
        judge: Who scores what geometry cannot; None leaves it unscored.
        progress: Told how many responses are scored.

    Returns:
        How many responses were scored.

    Raises:
        InputError: If an input is missing or broken, or a response answers no question of the file.
        WorkError: If the output cannot be written.
    """
    scorer, responses = open_scorer(config), records.require_file(config.responses)
    count = records.write_jsonl(out, _rows(scorer, responses, judge, progress))
    kept = RewardConfig(
        questions=os.path.relpath(config.questions, out.parent),
        responses=os.path.relpath(config.responses, out.parent),
        scenes=config.scenes and os.path.relpath(config.scenes, out.parent),
    )
    records.write_config(out.parent, "reward", kept, name=f"{out.stem}.config.json")
    return count


def open_scorer(config: RewardConfig) -> Scorer:
    """A scorer for the questions of a configuration.

    Raises:
        InputError: If questions or scenes are missing or broken.
    """
    path = Path(config.questions)
    scenes = scene_index(records.require_folder(config.scenes) if config.scenes is not None else scenes_folder(path))
    return Scorer(read_questions(path, scenes), scenes)


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
        "reward": reward_row(graded.reward),
        "sources": dict(graded.sources),
        "parts": dict(graded.reward.parts),
        "reasons": dict(graded.reward.reasons),
        "assertions": [_assertion_row(segment, verdict) for segment, found in verdicts for verdict in found],
        "calculations": [
            {"text": check.text, "right": check.right, "expected": check.expected} for check in graded.calculations
        ],
    }


def reward_row(reward: RewardBreakdown) -> dict[str, float | None]:
    """The seven numbers of a reward by name; None is unscored."""
    return {
        "visual": reward.visual,
        "spatial_description": reward.spatial_description,
        "spatial_reasoning": reward.spatial_reasoning,
        "logical": reward.logical,
        "description": reward.description,
        "reasoning": reward.reasoning,
        "total": reward.total,
    }


def explain(question: Question, text: str, graded: Graded, *, console: Console | None = None) -> None:
    """Print one response with its statements coloured by verdict, and a table of verdicts, truths and parts."""
    from rich.console import Console

    console = Console() if console is None else console
    console.print(f"[bold]{question.id}[/bold] ({question.category}): ", end="")
    console.print(question.text, markup=False)
    console.print(coloured(text, (*graded.description, *graded.reasoning)))
    console.print(_verdict_table(text, graded))
    console.print(_part_table(graded.reward))


def coloured(text: str, verdicts: Sequence[Verdict]) -> Text:
    """The text with each statement in the colour of its verdict; control characters are shown, not sent to the terminal."""
    from rich.text import Text

    shown = Text("".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text))
    for verdict in verdicts:
        shown.stylize(STYLES[verdict.label], *verdict.assertion.span)
    return shown


def _rows(scorer: Scorer, responses: Path, judge: Judge | None, progress: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    counts: Counter[str] = Counter()
    rows = enumerate(records.read_jsonl(responses, ResponseRow), start=1)
    while chunk := list(islice(rows, 1 if judge is None else _IN_FLIGHT)):
        try:
            graded = [scorer.grade(row) for _, row in chunk]
        except RecordError as error:
            raise RecordError(f"{responses}: rows {chunk[0][0]} to {chunk[-1][0]}: {error}") from None
        if judge is not None:
            graded = asyncio.run(_judge(scorer, [row for _, row in chunk], graded, judge))
        for (number, row), found in zip(chunk, graded, strict=True):
            yield to_row(row.question_id, counts[row.question_id] if row.index is None else row.index, found)
            counts[row.question_id] += 1
            progress(number)


async def _judge(scorer: Scorer, rows: Sequence[ResponseRow], graded: Sequence[Graded], judge: Judge) -> list[Graded]:
    """Ask the judge about all of a chunk at once."""
    return await asyncio.gather(*(scorer.complete(row, found, judge) for row, found in zip(rows, graded, strict=True)))


def _assertion_row(segment: str, verdict: Verdict) -> dict[str, Any]:
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


def _verdict_table(text: str, graded: Graded) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table("statement", "verdict", "r", "weight", "truth")
    for verdict in (*graded.description, *graded.reasoning):
        said = " ".join(text[slice(*verdict.assertion.span)].split())
        score = "-" if verdict.score is None else f"{verdict.score:.2f}"
        style = STYLES[verdict.label]
        table.add_row(escape(said), verdict.label, score, f"{verdict.weight:.2f}", escape(verdict.reason), style=style)
    for check in graded.calculations:
        style = STYLES["true" if check.right else "false"]
        table.add_row(escape(check.text), "right" if check.right else "wrong", "", "", f"{check.expected:.4g}", style=style)
    return table


def _part_table(reward: RewardBreakdown) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table("reward", "score", "of", "why")
    for name, score in reward_row(reward).items():
        most = {"description": "8", "reasoning": "8", "total": "16"}.get(name, "4")
        table.add_row(name, _number(score), most, escape(reward.reasons.get(name, "")), style="bold")
        for part, value in reward.parts.items():
            if part.startswith(f"{name}."):
                table.add_row(f"  {part.partition('.')[2]}", _number(value), "1", escape(reward.reasons.get(part, "")))
    return table


def _number(score: float | None) -> str:
    return "unscored" if score is None else f"{score:.2f}"
