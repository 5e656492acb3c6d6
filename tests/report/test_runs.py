"""What is found in run folders, and how broken files are told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from builders import THREE_BALLS, build_scene
from spatialreasoner.core.errors import InputError, MissingFileError, RecordError
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.report.report import write_report
from spatialreasoner.report.runs import find_runs


def test_finds_the_outputs_of_all_stages(run_dir: Path) -> None:
    runs = find_runs([run_dir])
    assert len(runs.scenes) == 1
    assert len(runs.questions) == 12
    assert set(runs.trees) == set(runs.questions) == set(runs.trajectories)
    assert {"ranked", "hard"} == {row.kind for row in runs.pairs}
    assert list(runs.predictions) == ["base", "fdpo"]
    assert [training.label for training in runs.trainings] == ["base", "fdpo"]
    assert {"search", "pairs", "questions", "train fdpo"} <= {stage.stage for stage in runs.stages}


def test_finds_the_scenes_that_questions_name_elsewhere(run_dir: Path, tmp_path: Path) -> None:
    write_questions(QuestionsConfig(scenes=str(run_dir / "scenes"), per_scene=2), tmp_path / "questions.jsonl")
    assert set(find_runs([tmp_path]).scenes) == {"balls"}
    (tmp_path / "questions.config.json").unlink()
    assert find_runs([tmp_path]).scenes == {}


def test_names_what_is_missing_or_broken(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="nowhere"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(InputError, match=r"expected outputs of stages.*found none"):
        find_runs([tmp_path])


NODE = {
    "parent": None, "stage": "", "text": "", "policy": "", "reward": 0.0, "visits": 1, "value": 0.5, "pruned": None,
    "success": None, "expansions": 1, "closed": False, "ratings": {}, "selections": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("trees.jsonl", {"nodes": [NODE]}, "question_id"),
        ("trees.jsonl", {"nodes": [{**NODE, "reward": "<b>"}]}, "nodes.0.reward"),
        ("trees.jsonl", {"nodes": [NODE, {**NODE, "parent": 1}]}, "after its parent"),
        ("trees.jsonl", {"nodes": [NODE, {**NODE, "parent": -1}]}, "after its parent"),
        ("trees.jsonl", {"nodes": []}, "one root"),
        ("trajectories.jsonl", {"question_id": "q"}, "is missing"),
        ("pairs.jsonl", {"question_id": "q", "chosen": "text"}, "chosen"),
        ("metrics.jsonl", ["a", "list"], "each an object"),
        ("config.json", None, None),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, row: object, message: str | None) -> None:
    if isinstance(row, dict) and name == "trees.jsonl" and message != "question_id":
        row = {"question_id": "q", "outcome": None, "rounds": 1, "model_rounds": 1, **row}
    (tmp_path / name).write_text("{" if row is None else json.dumps(row) + "\n")
    with pytest.raises(InputError, match=message or "not a JSON value") as error:
        find_runs([tmp_path])
    assert name in str(error.value)


def test_odd_but_harmless_values_are_taken(tmp_path: Path) -> None:
    turns = [{"role": "assistant", "content": [{"type": "text", "text": "said"}, {"type": "image"}, 7]}]
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"question_id": "q", "chosen": turns, "rejected": [{"content": 3}]}))
    (tmp_path / "config.json").write_text(json.dumps({"stage": "s", "config": {}, "versions": [1], "commit": 5}))
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": NaN}\n{"step": 2, "loss": 0.5}\n{"loss": "x"}\n')
    assert find_runs([tmp_path]).pairs[0].texts == ("said", "")
    write_report([tmp_path], tmp_path / "report.html")
    assert 'class="dot s0"' in (tmp_path / "report.html").read_text()


def test_two_models_of_one_name_stay_apart(run_dir: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        shutil.copytree(run_dir / "generate", tmp_path / folder)
    labels = list(find_runs([tmp_path]).predictions)
    assert len(labels) == len(set(labels)) == 4


def test_known_stages_of_training_come_last_and_in_their_order(run_dir: Path, tmp_path: Path) -> None:
    source = run_dir / "generate" / "base-predictions.jsonl"
    for name in ("predictions-fdpo", "predictions-dpo-2", "predictions-sft", "predictions-teacher"):
        shutil.copy(source, tmp_path / f"{name}.jsonl")
    assert list(find_runs([tmp_path]).predictions) == ["teacher", "sft", "dpo-2", "fdpo"]


def test_other_scenes_or_questions_of_the_same_name_are_refused(run_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(run_dir / "scenes", tmp_path / "scenes")
    shutil.copy(run_dir / "questions.jsonl", tmp_path / "questions.jsonl")
    find_runs([run_dir, tmp_path])  # the same twice is fine
    build_scene(tmp_path / "scenes", THREE_BALLS[:2])
    with pytest.raises(RecordError, match="another scene is also called 'balls'"):
        find_runs([run_dir, tmp_path])
    shutil.rmtree(tmp_path / "scenes")
    (tmp_path / "questions.jsonl").write_text((run_dir / "questions.jsonl").read_text().replace("region1", "region2"))
    with pytest.raises(RecordError, match="another question is also called"):
        find_runs([run_dir, tmp_path])


def test_a_stage_that_has_just_begun_is_passed_over(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("")
    assert find_runs([run_dir, tmp_path]).trainings == find_runs([run_dir]).trainings
