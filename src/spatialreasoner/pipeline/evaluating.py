"""The stage `evaluate`: predictions scored by the rules of SpatialRGPT-Bench, offline or by a judging model, with intervals."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.loops import synchronous
from spatialreasoner.core.outputs import keep_inputs
from spatialreasoner.core.progress import ShowProgress, progress_bar, quiet
from spatialreasoner.pipeline.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spatialreasoner.evaluation.agreement import AnswerAgreement
    from spatialreasoner.evaluation.answers import Verdict
    from spatialreasoner.evaluation.model_judge import AnswerJudgeConfig
    from spatialreasoner.evaluation.score import ModelComparison, Score
    from spatialreasoner.pipeline.inputs import PathLike
    from spatialreasoner.search.run import Forecast


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of a predictions file.

    Attributes:
        score: The score by the official rules.
        agreement: How far the offline rules agree with the judging model; None without one.
        comparison: This model against another, question by question; None if none was given.
    """

    score: Score
    agreement: AnswerAgreement | None = None
    comparison: ModelComparison | None = None


async def evaluate_async(
    predictions: PathLike,
    *,
    out: PathLike | None = None,
    against: PathLike | None = None,
    judging: AnswerJudgeConfig | None = None,
    questions: PathLike | None = None,
    seed: int = 0,
    confirm: Callable[[Forecast], bool] = lambda forecast: True,
    progress: ShowProgress | None = progress_bar,
) -> Result:
    """Score a predictions file.

    Args:
        predictions: The predictions file.
        out: The `score.json` to write; None writes nothing.
        against: Another model's predictions, to compare question by question.
        judging: A model that judges the answers; None uses the offline rules.
        questions: All questions; those without a prediction count as unscored.
        seed: Seed of the resampling behind the intervals.
        confirm: Called with the forecast of the judging before anything is sent; nothing is sent if it returns False.
        progress: Displays the progress; None displays nothing.

    Returns:
        The result; its summary is the content of `score.json`, and `details` an `Evaluation`.

    Raises:
        InputError: If a file is missing, a row is not a prediction, the judge's name is wrong, its cost is limited and its
            price unknown, the forecast is not confirmed, or `out` would replace an input.
        WorkError: If a budget is used up, or a journal or the output cannot be written.
    """
    from spatialreasoner.evaluation.predictions import read_predictions
    from spatialreasoner.evaluation.score import compare, score_to_json

    shown = progress or quiet
    if out is not None:
        keep_inputs(out, predictions, against, questions, beside=())
    if judging is not None and not confirm(_forecast([predictions, *([] if against is None else [against])], judging)):
        raise ConfigError("nothing was sent; judge fewer predictions, or set `max_cost`")
    found, verdicts = await _scored(predictions, out, judging, questions, seed, shown)
    comparison = None
    if against is not None:
        _, other = await _scored(against, None, judging, None, seed, shown)
        rows = read_predictions(os.fspath(against)), read_predictions(os.fspath(predictions))
        both = None if other is None or verdicts is None else (other, verdicts)
        comparison = compare(*rows, both, seed=seed)
    details = Evaluation(score=found.score, agreement=found.agreement, comparison=comparison)
    summary = score_to_json(found.score) | ({} if found.agreement is None else {"agreement": asdict(found.agreement)})
    path = None if out is None else Path(out)
    files = () if path is None else (path,)
    return Result(stage="evaluate", out=path, files=files, count=found.score.items, summary=summary, details=details)


evaluate = synchronous(evaluate_async)
"""`evaluate_async`, run to its end."""


def _forecast(files: Sequence[PathLike], judging: AnswerJudgeConfig) -> Forecast:
    """What judging can take, if nothing is in the journals."""
    from spatialreasoner.evaluation.predictions import read_predictions
    from spatialreasoner.inference.limits import unpriced
    from spatialreasoner.search.run import Forecast

    limits = judging.limited()
    calls = sum(row.unanswered is None for file in files for row in read_predictions(os.fspath(file)))
    return Forecast(
        least_calls=calls,
        most_calls=calls,
        most_tokens=calls * limits.max_tokens,
        most_cost=calls * limits.price.most(limits.max_tokens),
        unknown_prices=unpriced({judging.model: limits}),
    )


async def _scored(
    predictions: PathLike,
    out: PathLike | None,
    judging: AnswerJudgeConfig | None,
    questions: PathLike | None,
    seed: int,
    shown: ShowProgress,
) -> tuple[Evaluation, Sequence[Verdict] | None]:
    """The score, and the verdicts of the judging model if there is one."""
    from spatialreasoner.evaluation.score import run_score

    path = os.fspath(predictions)
    written, asked = (None if each is None else os.fspath(each) for each in (out, questions))
    if judging is None:
        return Evaluation(score=run_score(path, written, questions=asked, seed=seed)), None
    from spatialreasoner.evaluation.agreement import run_judged_score_async

    with shown(f"judge {path}", None) as advance:
        judged = await run_judged_score_async(path, judging, written, questions=asked, seed=seed, progress=advance)
    return Evaluation(score=judged.score, agreement=judged.agreement), judged.verdicts
