"""The bridge to lmms-eval: any questions file becomes an external task of it, so that every model it knows can run it.

`write_task` writes a folder for `--include_path`; the functions that its YAML names are here, and score with the same offline
judge as everything else. `read_samples` turns the samples that lmms-eval logs into prediction rows for `score` and `report`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, RecordError
from spatialreasoner.core.types import GROUPS, Question, Scene
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.evaluation.predictions import Prediction, QaInfo, type_of
from spatialreasoner.inference.showing import Showing, boxed
from spatialreasoner.questions.files import prompt
from spatialreasoner.scenes.files import read_image, save_png
from spatialreasoner.scenes.marks import draw

if TYPE_CHECKING:
    from PIL import Image

TASK = "spatialreasoner"
MARKED = "The regions are drawn on the image: <region1> carries the number 1, <region2> the number 2."
ASK = "Reason step by step. End with 'In conclusion,' and a short answer; give a length with its unit."

_HERE = "spatialreasoner.evaluation.lmms"
_GROUP_OF = {category: group for group, categories in GROUPS.items() for category in categories}


def write_task(
    questions: Sequence[Question],
    scenes: Mapping[str, Scene],
    out: Path,
    *,
    regions: Showing = "marks",
    max_new_tokens: int = 1024,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write a task folder: the YAML, one row per question, and the images.

    The rows name their images by absolute paths, so the folder stays where it was made.

    Args:
        questions: What to ask.
        scenes: Their scenes by id, paths resolved.
        out: The folder, for lmms-eval's `--include_path`.
        regions: "marks", "boxes" or "boxes-1000"; other models lack this package's region tokens.
        max_new_tokens: Maximum length of an answer in tokens; a chain of thought needs many.
        progress: Called with the number of questions written.

    Raises:
        ConfigError: If regions cannot be shown that way.
        SceneError: If an image or a mask cannot be used.
        WorkError: If the folder cannot be written.
    """
    if regions not in {"marks", "boxes", "boxes-1000"}:
        raise ConfigError(f"expected regions as marks, boxes or boxes-1000, which any model can see; got {regions!r}")
    rows: list[dict[str, str]] = []
    for question in questions:
        rows.append(_row(question, scenes[question.scene_id], out.resolve(), regions))
        progress(len(rows))
    records.write_jsonl(out / "questions.jsonl", rows)
    with records.atomic_write(out / f"{TASK}.yaml") as file:
        file.write(_yaml(max_new_tokens))


def _row(question: Question, scene: Scene, out: Path, regions: Showing) -> dict[str, str]:
    """One row: what the model is asked, what is true, and where the image is."""
    shown = prompt(question, scene)
    image = str(Path(scene.image).resolve())
    request = f"{shown.request}\n{MARKED}"
    if regions == "marks":
        target = out / "images" / f"{scene.id}-{'-'.join(question.region_ids)}.png"
        if not target.exists():
            save_png(draw(read_image(scene.image), shown.regions), target)
        image = str(target)
    else:
        request = boxed(shown, thousandths=regions == "boxes-1000").request
    return {
        "id": question.id, "scene": scene.id, "image_path": image, "request": f"{request}\n{ASK}",
        "question": question.text, "answer": question.answer, "category": question.category,
    }  # fmt: skip


def _yaml(max_new_tokens: int) -> str:
    metrics = "\n".join(
        f"  - metric: {name}\n    aggregation: mean\n    higher_is_better: {'false' if name == 'unscored' else 'true'}"
        for name in METRICS
    )
    return f"""\
# An external task for lmms-eval (--include_path of this folder, --tasks {TASK}), written by spatialreasoner.
task: {TASK}
dataset_path: json
dataset_kwargs:
  data_files:
    test: questions.jsonl
test_split: test
output_type: generate_until
doc_to_visual: !function {_HERE}.doc_to_visual
doc_to_text: !function {_HERE}.doc_to_text
doc_to_target: answer
process_results: !function {_HERE}.process_results
generation_kwargs:
  max_new_tokens: {max_new_tokens}
  temperature: 0
  do_sample: false
  until: []  # their default stops at the first blank line, which cuts an answer that reasons in paragraphs
metric_list:
{metrics}
metadata:
  - version: 1.0
"""


def _metric(name: str) -> str:
    return re.sub(r"\W", "_", name)


METRICS = ("qualitative", "quantitative", *map(_metric, GROUPS), "unscored")
"""Shares of right answers, 0..1: the totals and the 12 groups; and the share of answers that could not be read."""


def doc_to_visual(doc: Mapping[str, str]) -> list[Image.Image]:
    """The image of a row."""
    return [read_image(doc["image_path"])]


def doc_to_text(doc: Mapping[str, str], lmms_eval_specific_kwargs: object = None) -> str:
    """What a model is asked; their model-specific texts are not used."""
    return doc["request"]


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Judge one answer: 1.0 right, 0.0 wrong or unscored, for the total and the group that the question counts in."""
    verdict = judge(doc["category"], doc["question"], doc["answer"], results[0])
    right = float(verdict.success is True)
    return {
        type_of(doc["category"]): right,
        _metric(_GROUP_OF[doc["category"]]): right,
        "unscored": float(verdict.success is None),
    }


def read_samples(path: str | Path, task: Path, *, model_id: str) -> list[Prediction]:
    """The prediction rows of a run: lmms-eval writes `*_samples_spatialreasoner.jsonl` when given `--log_samples`.

    Args:
        path: That file.
        task: The task folder that was run; the samples name its rows by their place.
        model_id: The model.

    Raises:
        MissingFileError: If the file does not exist.
        RecordError: If a row is not a sample of this task.
    """
    docs = list(records.read_jsonl(task / "questions.jsonl", dict[str, Any]))
    samples = enumerate(records.read_jsonl(path, dict[str, Any]), start=1)
    return [_prediction(sample, docs, model_id, where=f"{path}: row {number}") for number, sample in samples]


def _prediction(sample: Mapping[str, Any], docs: Sequence[Mapping[str, Any]], model_id: str, *, where: str) -> Prediction:
    place, answer = sample.get("doc_id"), sample.get("filtered_resps")
    while isinstance(answer, list) and answer:
        answer = answer[0]
    doc = docs[place] if isinstance(place, int) and 0 <= place < len(docs) else {}
    if not isinstance(answer, str) or not doc or sample.get("target", doc["answer"]) != doc["answer"]:
        raise RecordError(f"{where}: expected a sample of the task {TASK!r} in this folder; got doc_id {place!r}")
    return Prediction(
        question_id=doc["id"], image=doc["scene"], question=doc["question"], pred=answer, gt=doc["answer"],
        model_id=model_id, qa_info=QaInfo(type=type_of(doc["category"]), category=doc["category"]),
    )  # fmt: skip
