"""How far two judges of the same answers agree, and where they do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from spatialreasoner.core import records
from spatialreasoner.core.types import Category, Record
from spatialreasoner.evaluation.answers import Verdict
from spatialreasoner.evaluation.model_judge import UNSCORED, AnswerJudgeConfig, Judged, judge_answers_async
from spatialreasoner.evaluation.predictions import Prediction, read_predictions, without_prediction
from spatialreasoner.evaluation.score import Score, judge_all, score_predictions, score_to_json
from spatialreasoner.language.responses import conclusion

AnswerOutcome = Literal["right", "wrong", "unscored"]

MAX_LISTED_CONCLUSION = 160
"""Of an answer's conclusion, so much is listed."""


@dataclass(frozen=True, kw_only=True)
class Disagreement(Record):
    """One answer that the two judge differently.

    Attributes:
        question_id: The question.
        category: Its category.
        reference: The reference answer.
        answer: The end of the answer's conclusion.
        judge: What the model says.
        offline: What the offline rules say.
    """

    question_id: str
    category: Category
    reference: str
    answer: str
    judge: AnswerOutcome
    offline: AnswerOutcome


@dataclass(frozen=True, kw_only=True)
class AnswerAgreement(Record):
    """The agreement of a judging model with the offline rules.

    Attributes:
        judge: The model.
        items: Answers that both judged: all but those whose judgement by the model failed.
        observed: Share of them with the same outcome of right, wrong and unscored; None without items.
        kappa: Cohen's kappa over the three outcomes; None if both always say the same one, so that chance explains all.
        failures: Number of failed judgements, by kind.
        disagreements: The answers with different outcomes.
    """

    judge: str
    items: int
    observed: float | None
    kappa: float | None
    failures: Mapping[str, int] = field(default_factory=dict[str, int])
    disagreements: Sequence[Disagreement] = ()


@dataclass(frozen=True, kw_only=True)
class JudgedScore:
    """A score by a model's verdicts, and how far the offline rules agree with them."""

    score: Score
    agreement: AnswerAgreement
    verdicts: Sequence[Verdict]


async def run_judged_score_async(
    predictions: str | Path,
    config: AnswerJudgeConfig,
    out: str | Path | None = None,
    *,
    questions: str | Path | None = None,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> JudgedScore:
    """The stage `score` with a model as judge; judgements are kept in a hidden journal beside the predictions.

    Args:
        predictions: The predictions file.
        config: The model and how it is asked.
        out: Where `score.json` is written, if anywhere; it has the score's fields and `compare_with_offline`.
        questions: All questions; those without a prediction count as unscored. None takes the predictions for all.
        seed: Seed of the resampling behind the intervals.
        progress: Called with the number of predictions judged.

    Raises:
        InputError: If there is no such file, a row is not a prediction, or the model's name has another form.
        MissingExtraError: If the `httpx2` package is not installed.
        WorkError: If the journal or the output cannot be written.
    """
    path = Path(predictions)
    rows = read_predictions(path)
    judged = await judge_answers_async(rows, config, path.with_name(f".{path.stem}.judge.journal"), progress=progress)
    absent = [] if questions is None else without_prediction(rows, questions)
    verdicts = [*judged.verdicts, *[UNSCORED] * len(absent)]
    result = replace(score_predictions([*rows, *absent], verdicts, seed=seed), judge=judged.judge)
    found = compare_with_offline(rows, judged, judge_all(rows))
    if out is not None:
        records.write_json(out, {**score_to_json(result), "agreement": asdict(found)})
    return JudgedScore(score=result, agreement=found, verdicts=judged.verdicts)


def compare_with_offline(predictions: Sequence[Prediction], judged: Judged, offline: Sequence[Verdict]) -> AnswerAgreement:
    """Set a model's verdicts beside the offline ones.

    Args:
        predictions: What was judged.
        judged: What the model made of them.
        offline: The offline verdicts, in the same order.
    """
    rows: list[tuple[Prediction, AnswerOutcome, AnswerOutcome]] = [
        (prediction, outcome(model), outcome(rule))
        for prediction, model, rule in zip(predictions, judged.verdicts, offline, strict=True)
        if prediction.question_id not in judged.failures
    ]
    pairs = [(model, rule) for _, model, rule in rows]
    return AnswerAgreement(
        judge=judged.judge,
        items=len(rows),
        observed=sum(model == rule for model, rule in pairs) / len(pairs) if pairs else None,
        kappa=cohen_kappa(pairs),
        failures=judged.kinds,
        disagreements=[_disagreement(*row) for row in rows if row[1] != row[2]],
    )


def outcome(verdict: Verdict) -> AnswerOutcome:
    """A verdict in a word."""
    return "unscored" if verdict.success is None else "right" if verdict.success else "wrong"


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Agreement beyond chance, (p_o - p_e) / (1 - p_e) (Cohen 1960); None if p_e is 1 or there are no pairs.

    >>> cohen_kappa([("right", "right"), ("right", "wrong"), ("wrong", "wrong"), ("wrong", "wrong")])
    0.5
    """
    count = len(pairs)
    first, second = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    same = sum(one == other for one, other in pairs)
    chance = sum(first[name] * second[name] for name in first)  # in counts, so that "1" is exact
    return (count * same - chance) / (count * count - chance) if chance < count * count else None


def _disagreement(prediction: Prediction, model: AnswerOutcome, rule: AnswerOutcome) -> Disagreement:
    return Disagreement(
        question_id=prediction.question_id,
        category=prediction.qa_info.category,
        reference=prediction.gt[:MAX_LISTED_CONCLUSION],
        answer=conclusion(prediction.pred)[-MAX_LISTED_CONCLUSION:],
        judge=model,
        offline=rule,
    )
