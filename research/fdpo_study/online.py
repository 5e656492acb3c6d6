"""The arms that answer as they learn: the product's own rounds of sampling and training (`pipeline.online`)."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

from research.fdpo_study.arms import Arm
from research.fdpo_study.config import ONLINE_SCENES, ROUNDS, StudyConfig

from spatialreasoner.core import records
from spatialreasoner.core.types import Question
from spatialreasoner.pipeline.online import OnlineConfig, train_online


def train_in_rounds(arm: Arm, config: StudyConfig, out: Path, run: int, overrides: Sequence[str]) -> None:
    """Train an arm in rounds on the questions of its rooms; it continues where it stopped."""
    assert arm.kind in ("dpo", "fdpo")
    rooms, seed_folder = out / "data" / arm.part, out / f"seed-{run}"
    asked = seed_folder / "online-questions.jsonl"
    records.write_jsonl(asked, few_questions(records.read_jsonl(rooms / "questions.jsonl", Question)))
    how = OnlineConfig(
        rounds=ROUNDS,
        samples=max(2, config.own_samples // ROUNDS),
        max_new_tokens=config.max_new_tokens,
        batch_size=32,
        seed=run,
    )
    train_online(
        asked,
        model=str(seed_folder / str(arm.start)),
        out=seed_folder / arm.name,
        kind=arm.kind,
        scenes=rooms / "scenes",
        config=how,
        overrides=overrides,
    )


def few_questions(questions: Iterable[Question]) -> list[Question]:
    """Of the questions about quantities those about the first `ONLINE_SCENES` rooms."""
    by_room = groupby(questions, key=lambda question: question.scene_id)
    return [question for _, group in islice(by_room, ONLINE_SCENES) for question in group]


def trained_folder(arm: Arm, out: Path, run: int) -> Path:
    """Where the model of an arm is: in its folder, or in that of its last round."""
    folder = out / f"seed-{run}" / arm.name
    return folder / f"round-{ROUNDS}" / "model" if arm.online else folder


def pairs_of_rounds(arm: Arm, out: Path, run: int) -> list[dict[str, Any]]:
    """The pairs of all rounds of an arm."""
    rounds = (out / f"seed-{run}" / arm.name / f"round-{number}" for number in range(1, ROUNDS + 1))
    return list(chain.from_iterable(records.read_jsonl(each / "pairs" / "pairs.jsonl", dict[str, Any]) for each in rounds))


def drop_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a training that has ended, or of its rounds."""
    for checkpoint in [*folder.glob("checkpoint-*"), *folder.glob("round-*/model/checkpoint-*")]:
        shutil.rmtree(checkpoint)
