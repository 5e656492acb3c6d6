"""One answer judged against its reference, by the offline rules or by a model; files of them are the stage `score`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from spatialreasoner.core.loops import synchronous
from spatialreasoner.evaluation.answers import Verdict, judge
from spatialreasoner.evaluation.predictions import Prediction, QaInfo, type_of
from spatialreasoner.pipeline.explaining import require_category

if TYPE_CHECKING:
    from spatialreasoner.core.types import Category
    from spatialreasoner.evaluation.model_judge import AnswerJudgeConfig


async def judge_answer_async(
    category: Category, question: str, gt: str, pred: str, *, judging: AnswerJudgeConfig | None = None
) -> Verdict:
    """Judge one answer by the rules of SpatialRGPT-Bench.

    Args:
        category: The question's category, one of SpatialRGPT-Bench's 24.
        question: Its text.
        gt: The reference answer.
        pred: The answer.
        judging: A model that compares both answers; None uses the offline rules. Its judgement is not stored.

    Returns:
        The verdict; `success` is None if the answer cannot be read.

    Raises:
        InputError: If the category is unknown, or the judge's name is wrong.
        WorkError: If the judging model cannot be used.
    """
    require_category(category)
    if judging is None:
        return judge(category, question, gt, pred)
    from spatialreasoner.evaluation.model_judge import judge_answers_async

    kind = QaInfo(type=type_of(category), category=category)
    row = Prediction(question_id="answer", image="", question=question, pred=pred, gt=gt, model_id="", qa_info=kind)
    with tempfile.TemporaryDirectory() as folder:
        judged = await judge_answers_async([row], judging, Path(folder) / "journal")
    return judged.verdicts[0]


judge_answer = synchronous(judge_answer_async)
"""`judge_answer_async`, run to its end."""
