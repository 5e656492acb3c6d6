"""The stage `reward`: answers scored by geometry, and by judges where geometry cannot tell or to compare the two."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, WorkError
from spatialreasoner.core.loops import asynchronous, synchronous
from spatialreasoner.core.outputs import keep_inputs
from spatialreasoner.core.progress import Advance, ShowProgress, progress_bar, quiet
from spatialreasoner.core.types import Question
from spatialreasoner.inference.budget import BudgetError
from spatialreasoner.inference.grounds import asked_grounds, judge_grounds, stand_on
from spatialreasoner.inference.journal import Journal
from spatialreasoner.inference.limits import Limits, unpriced
from spatialreasoner.inference.pool import Pool
from spatialreasoner.judges.agreement import write_agreement
from spatialreasoner.judges.journalled import JournalledJudge
from spatialreasoner.pipeline import scoring
from spatialreasoner.pipeline.inputs import PathLike, check_images
from spatialreasoner.pipeline.result import Result
from spatialreasoner.pipeline.scoring import RewardConfig, Scorer
from spatialreasoner.pipeline.workforce import RewardJudgesConfig, named_embedder
from spatialreasoner.rewards.combine import Graded
from spatialreasoner.search.run import Forecast


async def reward_async(
    questions: PathLike,
    responses: PathLike,
    *,
    out: PathLike,
    scenes: PathLike | None = None,
    judging: RewardJudgesConfig | None = None,
    judge_all: bool = False,
    embeddings: str | None = None,
    confirm: Callable[[Forecast], bool] = lambda forecast: True,
    progress: ShowProgress | None = progress_bar,
) -> Result:
    """Score a file of responses by geometry, and by judges where geometry cannot tell or to compare the two.

    Grades are kept in a hidden journal beside `out`: none is paid for twice, even if the process is interrupted.

    Args:
        questions: The questions file.
        responses: JSON lines of `question_id` and `text`.
        out: The file to write, one row per response; with judges also `STEM.agreement.json`.
        scenes: The scenes folder, if the path stored with the questions is out of date.
        judging: The judges; None uses geometry alone.
        judge_all: Judge every response, not only where geometry leaves something unscored.
        embeddings: A sentence-embedding model, for names missing from the vocabulary.
        confirm: Called with the forecast before anything is sent; nothing is sent if it returns False.
        progress: Displays the progress; None displays nothing.

    Returns:
        The result; its summary has the mean total reward, `mean_total`, and how many responses have none, `unscored`. With
        judges its `details` is their agreement with geometry.

    Raises:
        InputError: If an input is missing or broken, a judge's name is wrong, the forecast is not confirmed, or `out` would
            replace an input.
        WorkError: If a budget is used up, the output cannot be written, or another process writes it.
    """
    keep_inputs(out, questions, responses, beside=(".config.json", ".agreement.json"))
    config = _config(questions, responses, scenes, judge_all=judge_all)
    if judge_all and judging is None:
        raise ConfigError("`judge_all` needs `judging`, such as api:MODEL@BASE_URL")
    job = await asynchronous(_open)(config, Path(out), embeddings)
    shown = progress or quiet
    if judging is None:
        with shown(job.name, job.total) as advance:
            count = await asynchronous(scoring.score_responses)(config, job.scorer, job.out, progress=advance)
        return Result(stage="reward", out=job.out, files=(job.out,), count=count, summary=_summary(job.out))
    return await _judged(job, judging, confirm, shown)


reward = synchronous(reward_async)
"""`reward_async`, run to its end."""


async def explain_async(
    questions: PathLike,
    responses: PathLike,
    row: int,
    *,
    scenes: PathLike | None = None,
    judging: RewardJudgesConfig | None = None,
    judge_all: bool = False,
    embeddings: str | None = None,
) -> tuple[Question, str, Graded]:
    """Score one response of a file; returns it with its question and text. The row counts from 0.

    Raises:
        InputError: If an input is missing or broken, or there is no such row.
    """
    config = _config(questions, responses, scenes, judge_all=judge_all)
    scorer, response = scoring.open_scorer(config, named_embedder(embeddings)), scoring.read_response(config, row)
    graded = scorer.grade(response)
    if judging is not None:
        from spatialreasoner.judges.rewards import ApiJudge, ApiJudgeConfig, JudgePanel

        judges = {name: ApiJudge(name, ApiJudgeConfig(key_variable=judging.key_variable)) for name in judging.names}
        graded = await scorer.judge(response, JudgePanel(judges), always=judge_all)
    return scorer.questions[response.question_id], response.text, graded


explain = synchronous(explain_async)
"""`explain_async`, run to its end."""


@dataclass(frozen=True, kw_only=True)
class _Scoring:
    """One file to score, with its inputs checked."""

    config: RewardConfig
    scorer: Scorer
    total: int
    out: Path

    @property
    def name(self) -> str:
        return f"score {self.total} responses"


def _config(questions: PathLike, responses: PathLike, scenes: PathLike | None, *, judge_all: bool) -> RewardConfig:
    return RewardConfig(
        questions=os.fspath(questions),
        responses=os.fspath(responses),
        scenes=None if scenes is None else os.fspath(scenes),
        judge_all=judge_all,
    )


def _open(config: RewardConfig, out: Path, embeddings: str | None) -> _Scoring:
    scorer = scoring.open_scorer(config, named_embedder(embeddings))
    return _Scoring(config=config, scorer=scorer, total=scoring.check_responses(config, scorer), out=out)


async def _judged(
    job: _Scoring, judging: RewardJudgesConfig, confirm: Callable[[Forecast], bool], shown: ShowProgress
) -> Result:
    judges, limits = judging.judges(), judging.limits()
    check_images(job.scorer.questions.values(), job.scorer.scenes, shown)
    if not confirm(_forecast(job, limits)):
        raise ConfigError("nothing was sent; score fewer responses, or set `max_cost`")
    with records.writing(job.out.parent), Journal(job.out.with_name(f".{job.out.stem}.judge.journal")) as journal:
        asked = asked_grounds(job.scorer.questions.values(), job.scorer.scenes, truth=True)
        await stand_on(journal, judge_grounds(judges) | asked, job.out)
        pool = Pool(journal, judging.budget())
        at_work = {
            name: pool.add(JournalledJudge(judge, journal=journal, budget=pool.budget, limits=limits[name]))
            for name, judge in judges.items()
        }
        with shown(job.name, job.total) as advance:
            async with pool:
                count = await pool.filled(
                    partial(_score, job, at_work, 2 * judging.concurrency, advance),
                    lambda _: dict.fromkeys((judge.name for judge in at_work.values()), _failed_grades(job.out)),
                )
        if any(judge.failures for judge in at_work.values()):  # the same call asks again
            await journal.next_round()
    found = write_agreement(job.out)
    files = (job.out, job.out.with_name(f"{job.out.stem}.agreement.json"))
    return Result(stage="reward", out=job.out, files=files, count=count, summary=_summary(job.out), details=found)


def _summary(out: Path) -> dict[str, float | int | None]:
    """The mean total, and how many responses have none because a part of them is unscored."""
    totals = [row["reward"]["total"] for row in records.read_jsonl(out, dict[str, Any])]
    known = [total for total in totals if total is not None]
    return {"mean_total": fmean(known) if known else None, "unscored": len(totals) - len(known)}


def _failed_grades(out: Path) -> int:
    """How many rows lack a grade because a judge failed."""
    return sum((row.get("judge") or {}).get("failure") is not None for row in records.read_jsonl(out, dict[str, Any]))


async def _score(job: _Scoring, judges: Mapping[str, JournalledJudge], in_flight: int, advance: Advance) -> int:
    from spatialreasoner.judges.rewards import JudgePanel

    panel = next(iter(judges.values())) if len(judges) == 1 else JudgePanel(judges)
    try:
        return await scoring.score_responses_async(
            job.config, job.scorer, job.out, judge=panel, in_flight=in_flight, progress=advance
        )
    except BudgetError as error:
        raise WorkError(f"{error}; what was judged is kept: run the same again with a larger limit to resume") from error


def _forecast(job: _Scoring, judges: Mapping[str, Limits]) -> Forecast:
    """What judging can take, if nothing is in the journal and, unless all is judged, geometry can tell nothing."""
    limits = list(judges.values())
    return Forecast(
        least_calls=job.total * len(limits) if job.config.judge_all else 0,
        most_calls=job.total * len(limits),
        most_tokens=job.total * sum(limit.max_tokens for limit in limits),
        most_cost=job.total * sum(limit.price.most(limit.max_tokens) for limit in limits),
        unknown_prices=unpriced(judges),
    )
