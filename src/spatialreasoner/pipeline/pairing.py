"""The stage `pairs`: scored answers become preference pairs with a gap per segment, and SFT examples.

Answers are those of searches, or anyone's: from files of answers, which are rated first, or from rows that are rated already.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path

from spatialreasoner.core.errors import ConfigError, RecordError
from spatialreasoner.core.loops import asynchronous
from spatialreasoner.core.outputs import keep_inputs
from spatialreasoner.core.progress import ShowProgress, progress_bar, quiet
from spatialreasoner.core.types import Question, RewardBreakdown, Scene, Trajectory
from spatialreasoner.pipeline import own_answers
from spatialreasoner.pipeline.inputs import PathLike, inputs_of, paths_of, read_inputs, trajectories_of
from spatialreasoner.pipeline.result import Result
from spatialreasoner.pipeline.rewarding import reward
from spatialreasoner.pipeline.scoring import ResponseRow, Scorer
from spatialreasoner.pipeline.workforce import RewardJudgesConfig
from spatialreasoner.preferences.pairs import PairsConfig, write_pairs
from spatialreasoner.search.run import Forecast

PAIR_FILES = ("pairs.jsonl", "sft.jsonl", "summary.json")
"""What is written in any case."""

GATHERED = ("answers.jsonl", "rewards.jsonl")
"""What is written of files of answers beside that."""


def build_pairs(
    runs: PathLike | Sequence[PathLike] = (),
    *,
    out: PathLike,
    questions: PathLike | None = None,
    answers: PathLike | Sequence[PathLike] = (),
    rewards: PathLike | None = None,
    ratings: Mapping[str, str] | None = None,
    judging: RewardJudgesConfig | None = None,
    judge_all: bool = False,
    embeddings: str | None = None,
    confirm: Callable[[Forecast], bool] = lambda forecast: True,
    scenes: PathLike | None = None,
    config: PairsConfig | None = None,
    progress: ShowProgress | None = progress_bar,
) -> Result:
    """Pair scored answers: of search folders, of files of answers, or of a file of rewards.

    Give one of `runs`, `answers` and `rewards`. Answers are gathered in `answers.jsonl` and rated in `rewards.jsonl`, both in
    the output folder. Call it again after an interruption to resume rating.

    Args:
        runs: Search folders.
        out: The folder to write: `pairs.jsonl`, `sft.jsonl`, the images that they name, `summary.json`.
        questions: The questions file that the answers belong to; needed with rewards only if the record beside them does not
            name it.
        answers: Files of answers, any number of them per question: rows with `question_id` and `text` or `pred`, such as
            predictions. Other columns are kept.
        rewards: A file that the stage `reward` wrote, or rows of its form.
        ratings: Columns of the answers with your own ratings, by segment; `total` is the rating of the whole answer. None
            scores answers by geometry. Pairs with your own ratings have no hard negatives.
        judging: The judges for what geometry cannot score; None uses geometry alone.
        judge_all: Judge every answer.
        embeddings: A sentence-embedding model, for names missing from the vocabulary.
        confirm: Called with the forecast before anything is sent to judges; nothing is sent if it returns False.
        scenes: The scenes folder, if the path stored with the questions is out of date.
        config: The settings; None uses the paper's for searches, and all candidates for answers.
        progress: Displays the progress; None displays nothing.

    Returns:
        The result; its count is that of the pairs, and `details` is the `PairsSummary`.

    Raises:
        InputError: If an input is missing or broken, no pair comes out, or a file of the folder would replace an input.
        WorkError: If judges cannot be used, or the output cannot be written.
    """
    folders, files = paths_of(runs), paths_of(answers)
    _check_sources(folders, files, rewards, questions, ratings, judging)
    shown, target = progress or quiet, Path(out)
    for name in (*PAIR_FILES, *(GATHERED if files else ())):
        keep_inputs(target / name, *files, questions, rewards, beside=())
    if folders:
        return _from_searches(folders, target, scenes, config or PairsConfig(), shown)
    settings = config or PairsConfig(candidates=sys.maxsize, min_gap=0.0 if ratings else PairsConfig.min_gap)
    if ratings:
        settings = replace(settings, hard=0.0, scale=float("inf"))
    if rewards is not None:
        path = Path(rewards)
        known = (questions, None) if questions is not None else own_answers.questions_of(path)
        asked = read_inputs(known[0], known[1] if scenes is None else scenes, progress=shown)
    else:
        asked = read_inputs(_required(questions), scenes, progress=shown)
        path = target / "answers.jsonl"
        own_answers.gather_answers(files, {question.id for question in asked.questions}, path, ratings)
        if not ratings:
            rewarded = reward(
                _required(questions), path, out=target / "rewards.jsonl", scenes=scenes, judging=judging, judge_all=judge_all,
                embeddings=embeddings, confirm=confirm, progress=progress,
            )  # fmt: skip
            path = Path(rewarded)
    index = {question.id: question for question in asked.questions}
    found = list(own_answers.rated_answers(path, index, ratings or own_answers.RATING))
    return _paired(index, asked.scenes, found, settings, target, shown)


build_pairs_async = asynchronous(build_pairs)


def _from_searches(
    folders: Sequence[Path], out: Path, scenes: PathLike | None, config: PairsConfig, shown: ShowProgress
) -> Result:
    asked = [read_inputs(*inputs_of(run, None if scenes is None else Path(scenes)), progress=shown) for run in folders]
    questions = {question.id: question for each in asked for question in each.questions}
    if len(questions) < sum(len(each.questions) for each in asked):
        raise RecordError("expected search folders of different questions; two of them share a question's id")
    index = {name: scene for each in asked for name, scene in each.scenes.items()}
    return _paired(questions, index, chain.from_iterable(map(trajectories_of, folders)), config, out, shown)


def _paired(
    questions: Mapping[str, Question],
    scenes: Mapping[str, Scene],
    answers: Iterable[Trajectory],
    config: PairsConfig,
    out: Path,
    shown: ShowProgress,
) -> Result:
    scorer = Scorer(list(questions.values()), scenes)

    def score(question: Question, text: str) -> RewardBreakdown:
        return scorer.grade(ResponseRow(question_id=question.id, text=text)).reward

    with shown(f"pair the answers to {len(questions)} questions", len(questions)) as advance:
        made = write_pairs(questions, scenes, answers, score, config, out, progress=advance)
    files = tuple(out / name for name in PAIR_FILES)
    return Result(stage="pairs", out=out, files=files, count=made.ranked + made.hard, summary=asdict(made), details=made)


def _required(questions: PathLike | None) -> PathLike:
    if questions is None:
        raise ConfigError("`answers` needs `questions`, the file of the questions that they answer")
    return questions


def _check_sources(
    folders: Sequence[Path],
    files: Sequence[Path],
    rewards: PathLike | None,
    questions: PathLike | None,
    ratings: Mapping[str, str] | None,
    judging: RewardJudgesConfig | None,
) -> None:
    if sum((bool(folders), bool(files), rewards is not None)) != 1:
        raise ConfigError("expected search folders, or `answers` with `questions`, or `rewards`: one of the three")
    if folders and questions is not None:
        raise ConfigError("a search folder knows its questions; `questions` goes with `answers`")
    if files:
        _required(questions)
    if ratings and folders:
        raise ConfigError("`ratings` go with `answers` or `rewards`; a search has its own rewards")
    if judging is not None and (ratings or not files):
        raise ConfigError("judges rate `answers`; these are rated already")
