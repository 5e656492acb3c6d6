"""One job of a study, in a process of its own: `python -m research.fdpo_study.work OUT NAME`.

A job continues where it stopped, as its stages do. It exits when the process that started it is gone.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, cast

from research.fdpo_study.answering import answer_questions
from research.fdpo_study.arms import ARMS, AnsweredRooms, Arm, PairSet
from research.fdpo_study.config import StudyConfig
from research.fdpo_study.curves import TrainingCurve, curves, ends
from research.fdpo_study.drift import divergence, rows_of
from research.fdpo_study.jobs import Job, marker, plan
from research.fdpo_study.online import drop_checkpoints, pairs_of_rounds, train_in_rounds, trained_folder

from research.fdpo_study import data
from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, InputError, ResponseError
from spatialreasoner.core.types import Question, Record
from spatialreasoner.evaluation.answers import Verdict
from spatialreasoner.evaluation.predictions import Prediction, read_predictions
from spatialreasoner.evaluation.score import judge_all
from spatialreasoner.inference.registry import WritingConfig
from spatialreasoner.language import responses
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.training.run import run_training
from spatialreasoner.vlm.sources import source_of

SETTINGS = "study.config.json"
RESULT = "result.json"


@dataclass(frozen=True, kw_only=True)
class TrainingResult(Record):
    """What came of one training, or of the base model.

    Attributes:
        arm: The arm; "base" for the base model.
        run: The seed.
        right: Whether each test question was answered right; unreadable answers are wrong.
        unread: Share of the answers that could not be read.
        ratios: Of each length that was asked for and could be read, the logarithm of answer over truth.
        words: Mean words of the greedy answers, by segment.
        drift: Divergence from the reference (`drift.divergence`), or None if there is no reference.
        ends: Where the training's curves end (`curves.ends`).
        curves: The training's curves.
        gaps: Of the pairs: how many, mean gaps, mean weight of the reasoning.
    """

    arm: str
    run: int
    right: Mapping[str, bool]
    unread: float
    ratios: Mapping[str, float]
    words: Mapping[str, float]
    drift: Mapping[str, float] | None
    ends: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[float, float]]]
    gaps: Mapping[str, float]


def read_study_config(out: Path) -> StudyConfig:
    """The settings that a study was begun with.

    Raises:
        InputError: If there is no study in that folder, or its settings cannot be read.
    """
    found = records.read_json(out / SETTINGS, dict[str, Any])
    return records.parse_record(records.dumps(found.get("config")), StudyConfig, where=str(out / SETTINGS))


def do(job: Job, config: StudyConfig, out: Path) -> None:
    """Do a job and leave its marker."""
    began = time.monotonic()
    if job.task == "data":
        data.make_part(config, job.what, out)
    elif job.task == "own":
        data.sample_own(config, out, job.run, cast("AnsweredRooms", job.what))
    elif job.task == "pairs":
        data.pair_candidates(config, out, job.run, cast("PairSet", job.what))
    elif job.task == "base":
        _measure(None, config, out, 0, source_of(config.base))
    else:
        _train_arm(ARMS[job.what], config, out, job.run)
    records.write_json(marker(out, job), {"seconds": round(time.monotonic() - began, 1)})


def arm_settings(arm: Arm, config: StudyConfig) -> tuple[str, ...]:
    """What an arm is trained with, `key=value`: the study's settings of its kind, then its own; GRPO brings all of its own."""
    of_the_study = {"sft": config.sft_settings, "grpo": ()}.get(arm.kind, config.preference_settings)
    return (*of_the_study, *arm.settings)


def _train_arm(arm: Arm, config: StudyConfig, out: Path, run: int) -> None:
    seed_folder = out / f"seed-{run}"
    folder = seed_folder / arm.name
    shared = (
        f"seed={run}",
        "threads=1",
        "per_device_train_batch_size=16",
        "gradient_accumulation_steps=1",
        "save_steps=200",
        "save_total_limit=1",
    )
    model = source_of(config.base) if arm.start is None else str(seed_folder / arm.start)
    overrides = (*shared, *arm_settings(arm, config))
    if arm.online:
        train_in_rounds(arm, config, out, run, overrides)
    else:
        if arm.prefers:
            _lend_reference(seed_folder, arm)
        rows = data.training_rows(arm, out, run)
        run_training(arm.kind, model=model, data=rows, out=folder, config_file=None, overrides=overrides)
    drop_checkpoints(folder)
    _measure(arm, config, out, run, str(trained_folder(arm, out, run)))


REFERENCE = "reference.jsonl"
"""Where a training keeps the log-probabilities of its reference."""


def _lend_reference(seed_folder: Path, arm: Arm) -> None:
    """Hand on what another arm of the seed computed of the same reference; what it lacks is computed and appended."""
    folder = seed_folder / arm.name
    if (folder / REFERENCE).exists():
        return
    alike = [seed_folder / other.name / REFERENCE for other in ARMS.values() if other.prefers and other.start == arm.start]
    done = [path for path in sorted(alike) if path.exists() and (path.parent / RESULT).exists()]
    if done:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(max(done, key=lambda path: path.stat().st_size), folder / REFERENCE)


def _measure(arm: Arm | None, config: StudyConfig, out: Path, run: int, model: str) -> None:
    """Answer the test questions and write the result."""
    folder = out / "base" if arm is None else out / f"seed-{run}" / arm.name
    test = out / "data" / "test"
    questions = list(records.read_jsonl(test / "questions.jsonl", Question))
    blind = data.grey(folder / "grey.png") if arm is not None and arm.answers == "blind" else None
    writing = WritingConfig(max_new_tokens=config.max_new_tokens, batch_size=32)
    answer_questions(model, questions, test / "scenes", folder / "predictions.jsonl", writing, blind=blind)
    predictions = read_predictions(folder / "predictions.jsonl")
    verdicts = judge_all(predictions)
    found: dict[str, TrainingCurve] = {}
    if arm is not None:
        found = curves(list(records.read_jsonl(Path(model) / "metrics.jsonl", dict[str, Any])))
    result = TrainingResult(
        arm="base" if arm is None else arm.name,
        run=run,
        right={p.question_id: v.success is True for p, v in zip(predictions, verdicts, strict=True)},
        unread=fmean(v.success is None for v in verdicts),
        ratios=log_ratios(predictions, verdicts),
        words=words(predictions),
        drift=_drift(config, out, run, folder, model) if arm is not None and arm.follows else None,
        ends=ends(found),
        curves=found,
        gaps={} if arm is None else _gaps(arm, out, run),
    )
    records.write_json(folder / RESULT, result)


def _gaps(arm: Arm, out: Path, run: int) -> dict[str, float]:
    if arm.online:
        return gap_statistics(pairs_of_rounds(arm, out, run))
    return gap_statistics(list(records.read_jsonl(data.preference_rows(arm, out, run), dict[str, Any]))) if arm.prefers else {}


def _drift(config: StudyConfig, out: Path, run: int, folder: Path, model: str) -> Mapping[str, float] | None:
    scenes = out / "data" / "test" / "scenes"
    questions = data.drift_questions(config, out)
    writing = WritingConfig(temperature=1.0, max_new_tokens=config.max_new_tokens, batch_size=32)
    answer_questions(model, questions, scenes, folder / "sampled.jsonl", writing)
    index = scene_index(scenes)
    rows = rows_of(read_predictions(folder / "sampled.jsonl"), {each.id: each for each in questions}, index)
    return divergence(model, str(out / f"seed-{run}" / "sft"), rows) if len(rows) > 1 else None


FACTOR = 4.0
"""An answer that is further off counts as so far off."""


def log_ratios(predictions: Sequence[Prediction], verdicts: Sequence[Verdict]) -> dict[str, float]:
    """The logarithm of answer over truth of lengths, at most a factor of `FACTOR` either way; hours are not lengths."""
    limit = math.log(FACTOR)
    return {
        each.question_id: max(-limit, min(limit, math.log(verdict.pred_value / verdict.gt_value)))
        for each, verdict in zip(predictions, verdicts, strict=True)
        if each.qa_info.category.endswith("_data") and verdict.pred_value and verdict.gt_value
    }


def words(predictions: Sequence[Prediction]) -> dict[str, float]:
    """Mean words of the answers, by segment."""
    counts: dict[str, list[int]] = {"description": [], "reasoning": []}
    for prediction in predictions:
        try:
            found = responses.spans(prediction.pred)
        except ResponseError:  # too long to be an answer
            continue
        for segment, values in counts.items():
            values.append(len(prediction.pred[slice(*found[segment])].split()))
    return {segment: fmean(values) if values else 0.0 for segment, values in counts.items()}


def gap_statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How many pairs there are, their mean gaps, and the share of them whose description has the larger gap."""
    gaps = [(float(row["gap_description"]), float(row["gap_reasoning"])) for row in rows]
    return {
        "pairs": len(rows),
        "hard": sum(row["kind"] == "hard" for row in rows),
        "description": fmean(description for description, _ in gaps),
        "reasoning": fmean(reasoning for _, reasoning in gaps),
        "description larger": fmean(description > reasoning for description, reasoning in gaps),
    }


def main(arguments: Sequence[str]) -> None:
    """Do the job of a name in the study of a folder."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    out, name, seeds = Path(arguments[0]), arguments[1], int(arguments[2])
    config = read_study_config(out)
    job = next((job for job in plan(config, list(ARMS.values()), seeds) if job.name == name), None)
    if job is None:
        raise ConfigError(f"expected a job of the study; got {name!r}")
    do(job, config, out)


def _end_with_parent() -> None:
    """Leave at once when the starting process has gone: its end of standard input closes."""
    while os.read(0, 1):  # not sys.stdin, whose lock an ending interpreter would wait for
        pass
    os._exit(1)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InputError as error:
        sys.exit(f"error: {error}")
