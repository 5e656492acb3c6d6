"""What several stages read: a questions file with its scenes, and the folders that searches wrote."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spatialreasoner.core import records
from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.progress import ShowProgress, progress_bar
from spatialreasoner.core.types import Question, Scene, Trajectory
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.questions.files import read_questions, scenes_folder
from spatialreasoner.scenes.files import check_scene, scene_index

_LONGEST_QUESTION = 20_000
"""Longest question of a file, characters."""

PathLike = str | os.PathLike[str]
"""A file or folder; the `Result` of an earlier stage is one, too."""


def paths_of(given: PathLike | Sequence[PathLike]) -> list[Path]:
    """One path, or several, as a list."""
    return [Path(given)] if isinstance(given, str | os.PathLike) else [Path(each) for each in given]


@dataclass(frozen=True, kw_only=True)
class QuestionsInScenes:
    """A questions file, read together with its scenes."""

    questions: list[Question]
    scenes: Mapping[str, Scene]
    folder: Path


def read_inputs(
    questions: PathLike, scenes: PathLike | None = None, *, progress: ShowProgress = progress_bar
) -> QuestionsInScenes:
    """Read a questions file and its scenes, from the folder given or from where the file says they are.

    Raises:
        InputError: If one of them is missing or broken.
    """
    path = records.require_file(os.fspath(questions))
    folder = records.require_folder(os.fspath(scenes)) if scenes is not None else scenes_folder(path)
    index = scene_index(folder)
    asked = QuestionsInScenes(questions=read_questions(path, index), scenes=index, folder=folder)
    long = next((question for question in asked.questions if len(question.text) > _LONGEST_QUESTION), None)
    if long is not None:
        raise RecordError(
            f"{path}: expected questions of at most {_LONGEST_QUESTION} characters, as each is sent whole; {long.id!r} has "
            f"{len(long.text)}"
        )
    check_images(asked.questions, index, progress)
    return asked


def check_images(questions: Iterable[Question], scenes: Mapping[str, Scene], progress: ShowProgress = progress_bar) -> None:
    """Refuse images that cannot be used, before anything is paid for."""
    used = sorted({question.scene_id for question in questions})
    with progress(f"check {len(used)} images", len(used)) as advance:
        for done, scene_id in enumerate(used, start=1):
            check_scene(scenes[scene_id])
            advance(done)


def succeeds(question: Question, text: str) -> bool | None:
    """Whether an answer is right by the rules of SpatialRGPT-Bench; None if it cannot be read."""
    return judge(question.category, question.text, question.answer, text).success


def inputs_of(run: Path, scenes: Path | None) -> tuple[Path, Path | None]:
    """The questions file and the scenes folder that a search folder was made from."""
    path = records.require_folder(run) / "config.json"
    inputs = records.read_json(path, dict[str, object]).get("config")
    inputs = inputs.get("inputs") if isinstance(inputs, dict) else None
    if not isinstance(inputs, dict) or not {"questions", "scenes"} <= set(inputs):
        raise RecordError(f"{path}: expected the record of a search, with its questions and scenes; run 'search' first")
    return run / str(inputs["questions"]), scenes if scenes is not None else run / str(inputs["scenes"])


def trajectories_of(run: Path) -> Iterator[Trajectory]:
    """The scored answers of a search folder, one at a time."""
    return records.read_jsonl(run / "trajectories.jsonl", Trajectory)
