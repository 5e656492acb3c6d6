"""The bridge to lmms-eval; the last test runs it where lmms-eval is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from spatialreasoner.core.errors import ConfigError, RecordError
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.evaluation import lmms
from spatialreasoner.evaluation.score import score_predictions
from spatialreasoner.questions.files import read_questions
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.scenes.files import read_image, scene_index


@pytest.fixture
def asked(scene: Scene, tmp_path: Path) -> tuple[list[Question], dict[str, Scene]]:
    folder = Path(scene.image).parent
    write_questions(QuestionsConfig(scenes=str(folder), per_scene=20), tmp_path / "questions.jsonl")
    scenes = scene_index(folder)
    return read_questions(tmp_path / "questions.jsonl", scenes), scenes


def rows(task: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (task / "questions.jsonl").read_text().splitlines()]


class Loader(yaml.SafeLoader):
    """Reads `!function` as the name that it holds."""


Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def test_the_yaml_names_functions_and_metrics_that_exist(asked: Any, tmp_path: Path) -> None:
    lmms.write_task(*asked, tmp_path / "task", max_new_tokens=99)
    config = yaml.load((tmp_path / "task" / "spatialreasoner.yaml").read_text(), Loader)
    for name in ("doc_to_visual", "doc_to_text", "process_results"):
        assert config[name] == f"{lmms.__name__}.{name}"
        assert hasattr(lmms, name)
    assert config["generation_kwargs"]["max_new_tokens"] == 99
    assert config["generation_kwargs"]["until"] == []  # else an answer ends at its first blank line
    assert (tmp_path / "task" / config["dataset_kwargs"]["data_files"]["test"]).is_file()
    named = {entry["metric"] for entry in config["metric_list"]}
    found: set[str] = set()
    for doc in rows(tmp_path / "task"):
        assert lmms.doc_to_visual(doc)[0].size == (320, 240)
        assert lmms.doc_to_text(doc).startswith(doc["question"])
        found |= set(lmms.process_results(doc, [f"In conclusion, {doc['answer']}"]))
    assert {"qualitative", "quantitative", "unscored"} <= found <= named


def test_answers_are_judged_as_everywhere_else(asked: Any, tmp_path: Path) -> None:
    lmms.write_task(*asked, tmp_path / "task")
    doc = next(doc for doc in rows(tmp_path / "task") if doc["category"] == "width_data")
    assert lmms.process_results(doc, [doc["answer"]]) == {"quantitative": 1.0, "width": 1.0, "unscored": 0.0}
    assert lmms.process_results(doc, ["99 km"]) == {"quantitative": 0.0, "width": 0.0, "unscored": 0.0}
    assert lmms.process_results(doc, ["I cannot say."]) == {"quantitative": 0.0, "width": 0.0, "unscored": 1.0}


def test_boxes_in_text_need_no_drawn_images(asked: Any, tmp_path: Path) -> None:
    lmms.write_task(*asked, tmp_path / "task", regions="boxes")
    assert "[left, top, right, bottom] in pixels" in rows(tmp_path / "task")[0]["request"]
    assert not (tmp_path / "task" / "images").exists()
    with pytest.raises(ConfigError, match="which any model can see"):
        lmms.write_task(*asked, tmp_path / "task", regions="tokens")


def test_an_image_that_a_dying_process_left_torn_is_drawn_again(asked: Any, tmp_path: Path, monkeypatch: Any) -> None:
    def torn(image: Image.Image, file: Path, *more: object) -> None:
        Path(file).write_bytes(b"\x89PNG")
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(Image.Image, "save", torn)
        with pytest.raises(KeyboardInterrupt):
            lmms.write_task(*asked, tmp_path / "task")
    lmms.write_task(*asked, tmp_path / "task")
    for row in rows(tmp_path / "task"):
        assert read_image(row["image_path"]).mode == "RGB"


def test_samples_become_predictions(asked: Any, tmp_path: Path) -> None:
    lmms.write_task(*asked, tmp_path / "task")
    docs = rows(tmp_path / "task")
    samples = tmp_path / "samples.jsonl"
    written = [
        {"doc_id": n, "target": doc["answer"], "filtered_resps": [[doc["answer"]], doc["answer"]][n % 2]}
        for n, doc in enumerate(docs)
    ]
    samples.write_text("".join(json.dumps(row) + "\n" for row in written))
    predictions = lmms.read_samples(samples, tmp_path / "task", model_id="m")
    assert [row.question_id for row in predictions] == [doc["id"] for doc in docs]
    assert all(tally.rate == 1 for tally in score_predictions(predictions).totals.values())
    samples.write_text(json.dumps({"doc_id": 0, "target": "another answer", "filtered_resps": "x"}) + "\n")
    with pytest.raises(RecordError, match=r"samples\.jsonl: row 1: expected a sample of the task"):
        lmms.read_samples(samples, tmp_path / "task", model_id="m")


@pytest.mark.skipif(
    importlib.util.find_spec("lmms_eval") is None, reason="lmms-eval is not installed: pip install lmms-eval==0.7.3"
)
def test_lmms_eval_runs_the_task_on_a_tiny_model(asked: Any, tmp_path: Path) -> None:
    from spatialreasoner.testing.tiny_models import build_tiny

    questions, scenes = asked
    model = build_tiny("llava", tmp_path / "model", [question.text for question in questions])
    lmms.write_task(questions[:20], scenes, tmp_path / "task", max_new_tokens=16)
    command = [
        sys.executable, "-m", "lmms_eval", "--model", "llava_hf",
        "--model_args", f"pretrained={model},device=cpu,device_map=cpu,dtype=float32,attn_implementation=eager",
        "--include_path", str(tmp_path / "task"), "--tasks", lmms.TASK, "--batch_size", "1", "--log_samples",
        "--output_path", str(tmp_path / "out"),
    ]  # fmt: skip
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    subprocess.run(command, check=True, env=offline, cwd=tmp_path, timeout=280)
    samples = next((tmp_path / "out").rglob("*_samples_spatialreasoner.jsonl"))
    assert len(lmms.read_samples(samples, tmp_path / "task", model_id="tiny")) == len(questions[:20])
