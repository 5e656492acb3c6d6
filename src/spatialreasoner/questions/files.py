"""Questions files: reading them with their scenes, and what a model is shown of a question."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import MissingFileError, RecordError
from spatialreasoner.core.types import Prompt, Question, Scene


def scenes_folder(questions: Path) -> Path:
    """Where the scenes of a questions file are: as its `.config.json` says, or beside it.

    Raises:
        MissingFileError: If neither is there.
    """
    beside = questions.parent / f"{questions.stem}.config.json"
    if beside.is_file():
        settings = records.read_json(beside, dict[str, Any]).get("config")
        if isinstance(settings, dict) and isinstance(settings.get("scenes"), str):
            return records.require_folder(questions.parent / settings["scenes"])
    if (questions.parent / "scenes.jsonl").is_file():
        return questions.parent
    raise MissingFileError(
        f"expected {beside} or a scenes.jsonl beside {questions}, to find the scenes; name the folder in `scenes`"
    )


def read_questions(path: Path, scenes: Mapping[str, Scene]) -> list[Question]:
    """The questions of a file, each checked against its scene.

    Raises:
        RecordError: If a row is not a question, repeats an id, or names a scene or region that there is not.
    """
    questions: dict[str, Question] = {}
    for question in records.read_jsonl(path, Question):
        where = f"{path}: question {question.id!r}"
        if question.id in questions:
            raise RecordError(f"{where}: expected every id once; it comes twice")
        if question.scene_id not in scenes:
            raise RecordError(f"{where}: there is no scene {question.scene_id!r}; name the folder of its scenes in `scenes`")
        known = {region.id for region in scenes[question.scene_id].regions}
        if not question.region_ids or not known.issuperset(question.region_ids):
            raise RecordError(f"{where}: expected regions of its scene, {sorted(known)}; got {list(question.region_ids)}")
        questions[question.id] = question
    return list(questions.values())


def prompt(question: Question, scene: Scene) -> Prompt:
    """What a model is shown of a question: the image, the question's own regions in order, and its text."""
    return Prompt(image=scene.image, regions=tuple(scene.region(name) for name in question.region_ids), request=question.text)
