"""The stage `pairs`: scored answers of searches become preference pairs with a gap per segment, and SFT examples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.loops import asynchronous
from spatialreasoner.core.progress import ShowStage, quiet, stage
from spatialreasoner.core.types import Question, RewardBreakdown
from spatialreasoner.pipeline.inputs import PathLike, inputs_of, read, trajectories_of
from spatialreasoner.pipeline.result import Result
from spatialreasoner.pipeline.scoring import ResponseRow, Scorer
from spatialreasoner.preferences.pairs import PairsConfig, write_pairs


def build_pairs(
    runs: PathLike | Sequence[PathLike],
    *,
    out: PathLike,
    scenes: PathLike | None = None,
    config: PairsConfig | None = None,
    progress: ShowStage | None = stage,
) -> Result:
    """Pair the scored answers of one or more search folders.

    Args:
        runs: The search folder, or several of them.
        out: The folder to write: `pairs.jsonl`, `sft.jsonl`, the images that they name, `summary.json`.
        scenes: The scenes folder, if the path stored with the searches is out of date.
        config: What makes a pair; None is the paper's.
        progress: Shows the stage; None shows nothing.

    Returns:
        The result; its count is that of the pairs, and `details` is the `PairsSummary`.

    Raises:
        InputError: If a folder was not written by the search, what it names is missing, or no pair comes out.
        WorkError: If the output cannot be written.
    """
    shown = progress or quiet
    folders = [Path(runs)] if isinstance(runs, str | os.PathLike) else [Path(run) for run in runs]
    asked = [read(*inputs_of(run, None if scenes is None else Path(scenes)), progress=shown) for run in folders]
    questions = {question.id: question for each in asked for question in each.questions}
    if len(questions) < sum(len(each.questions) for each in asked):
        raise RecordError("expected search folders of different questions; two of them share a question's id")
    index = {name: scene for each in asked for name, scene in each.scenes.items()}
    scorer = Scorer(list(questions.values()), index)

    def score(question: Question, text: str) -> RewardBreakdown:
        return scorer.grade(ResponseRow(question_id=question.id, text=text)).reward

    trajectories = chain.from_iterable(trajectories_of(run) for run in folders)
    with shown(f"pair the answers to {len(questions)} questions", len(questions)) as advance:
        made = write_pairs(questions, index, trajectories, score, config or PairsConfig(), Path(out), progress=advance)
    files = tuple(Path(out) / name for name in ("pairs.jsonl", "sft.jsonl", "summary.json"))
    return Result(stage="pairs", out=Path(out), files=files, count=made.ranked + made.hard, summary=asdict(made), details=made)


build_pairs_async = asynchronous(build_pairs)
