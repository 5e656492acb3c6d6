"""Rows of GRPO: questions with their scenes, which the verified reward reads beside each completion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core import progress, records
from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.questions.files import read_questions, scenes_folder
from spatialreasoner.scenes.carry import attach, png_info
from spatialreasoner.scenes.files import check_scene, read_image, scene_index
from spatialreasoner.scenes.marks import draw

if TYPE_CHECKING:
    from datasets import Dataset


def read_grpo(path: str | Path) -> Dataset:
    """Read questions with their scenes.

    Args:
        path: The questions file; its scenes are found as by `generate`.

    Returns:
        Columns `question_id`, `images` (the scene's own, absolute paths), `prompt`, `question` and `scene` (JSON text).

    Raises:
        MissingFileError: If the file, its scenes or an image is not there.
        RecordError: If a row is not a question, or there is none.
        SceneError: If an image or a depth map is unusable.
    """
    from datasets import Dataset

    file = records.require_file(path)
    scenes = {name: _absolute(scene) for name, scene in scene_index(scenes_folder(file)).items()}
    questions = read_questions(file, scenes)
    if not questions:
        raise RecordError(f"{path}: expected one question per line; the file is empty")
    used = sorted({question.scene_id for question in questions})
    with progress.progress_bar(f"check {len(used)} scenes", len(used)) as advance:
        for done, name in enumerate(used, start=1):
            check_scene(scenes[name])
            advance(done)
    return Dataset.from_list([_row(question, scenes[question.scene_id]) for question in questions])


def with_regions_shown(rows: Dataset, folder: Path, *, tokens: bool) -> Dataset:
    """The rows with images that show each question's regions, written where they are not there yet.

    Args:
        rows: What `read_grpo` gave.
        folder: Where the images go.
        tokens: Whether they carry their regions, for models with region tokens; else numbered marks are drawn.

    Raises:
        WorkError: If an image cannot be written.
    """
    made = [show_regions(row["question"], row["scene"], folder, tokens=tokens) for row in _pairs(rows)]
    return rows.remove_columns("images").add_column("images", [[path] for path in made])


def show_regions(question: str, scene: str, folder: Path, *, tokens: bool) -> str:
    """The path of the image that shows a question's regions; arguments as of `with_regions_shown`, one row."""
    asked = records.parse_record(question, Question, where="the question")
    seen = records.parse_record(scene, Scene, where="the scene")
    path = folder / f"{seen.id}-{'-'.join([*asked.region_ids, 'tokens' if tokens else 'marks'])}.png"
    if not path.exists():
        regions = [seen.region(name) for name in asked.region_ids]
        shown = (attach if tokens else draw)(read_image(seen.image), regions)
        with records.writing(folder), records.atomic_path(path) as temporary:
            shown.save(temporary, format="PNG", pnginfo=png_info(shown))
    return str(path)


def _pairs(rows: Dataset) -> Sequence[dict[str, Any]]:
    return rows.select_columns(["question", "scene"]).to_list()


def _row(question: Question, scene: Scene) -> dict[str, Any]:
    return {
        "question_id": question.id,
        "images": [scene.image],
        "prompt": [{"role": "user", "content": question.text}],
        "question": records.dumps(question),
        "scene": records.dumps(scene),
    }


def _absolute(scene: Scene) -> Scene:
    """The scene with paths that hold wherever it is read."""
    depth = None if scene.depth is None else replace(scene.depth, path=str(Path(scene.depth.path).resolve()))
    return replace(scene, image=str(Path(scene.image).resolve()), depth=depth)
