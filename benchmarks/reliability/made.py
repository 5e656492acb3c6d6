"""Good inputs to damage: two small rooms, questions, responses, a search, predictions. Made once per process."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from reliability.trial import command
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.questions.files import read_questions
from spatialreasoner.scenes.files import load_scenes

_FOLDER = tempfile.TemporaryDirectory(prefix="reliability-")


@cache
def room() -> Path:
    """A folder with `scenes`, `questions.jsonl`, `responses.jsonl`, `search`, `predictions.jsonl`."""
    folder = Path(_FOLDER.name) / "room"
    steps = (
        ("scenes", "synthetic", "--count", 2, "--width", 64, "--height", 64, "--out", folder / "scenes"),
        ("questions", folder / "scenes", "--per-scene", 2, "--out", folder / "questions.jsonl"),
        ("search", folder / "questions.jsonl", "--policy", "scripted:careful", "--policy", "scripted:hasty",
         "--rounds", 4, "--out", folder / "search"),
        ("generate", folder / "questions.jsonl", "--model", "scripted:careful", "--out", folder / "predictions.jsonl"),
        ("pairs", folder / "search", "--hard", 1, "--min-gap", 0, "--out", folder / "pairs"),
    )  # fmt: skip
    for step in steps:
        command(*step)()
    rows = lines(folder / "predictions.jsonl")
    responses = [json.dumps({"question_id": row["question_id"], "text": row["pred"]}) for row in rows]
    (folder / "responses.jsonl").write_text("\n".join(responses) + "\n")
    return folder


def copy_to(folder: Path) -> Path:
    """A copy of the room to damage."""
    return Path(shutil.copytree(room(), folder / "room"))


def lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@cache
def asked() -> tuple[Scene, Question]:
    """A scene and a question about two of its regions."""
    scenes = {scene.id: scene for scene in load_scenes(room() / "scenes")}
    questions = read_questions(room() / "questions.jsonl", scenes)
    question = next(question for question in questions if len(question.region_ids) == 2)
    return scenes[question.scene_id], question
