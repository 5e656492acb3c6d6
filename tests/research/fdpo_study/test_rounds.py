"""An arm that samples what it learns from itself, for real, from the nano that ships."""

import json
import shutil
from pathlib import Path

import pytest
from research.fdpo_study.analysis import analyse
from research.fdpo_study.arms import choose_arms
from research.fdpo_study.config import StudyConfig
from research.fdpo_study.jobs import plan
from research.fdpo_study.run import begin
from research.fdpo_study.work import do

from spatialreasoner.core.records import read_jsonl
from spatialreasoner.nano import WEIGHTS

pytest.importorskip("trl")
pytestmark = pytest.mark.skipif(not (WEIGHTS / "model.safetensors").is_file(), reason="the nano's weights are not installed")

CONFIG = StudyConfig(number_scenes=1, test_scenes=1, test_per_scene=4, own_samples=4, max_new_tokens=160, drift_answers=2)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
def test_an_online_arm_learns_in_rounds_and_its_last_model_is_measured(tmp_path: Path) -> None:
    begin(CONFIG, tmp_path)
    shutil.copytree(WEIGHTS, tmp_path / "seed-0" / "sft")
    jobs = {job.name: job for job in plan(CONFIG, choose_arms(["online-dpo"]), 1)}
    for name in ("data/numbers", "data/test", "seed-0/online-dpo"):
        do(jobs[name], CONFIG, tmp_path)
    folder = tmp_path / "seed-0" / "online-dpo"
    trained = [json.loads((folder / f"round-{number}/model/training.json").read_text()) for number in (1, 2)]
    assert [each["stage"] for each in trained] == ["train dpo"] * 2
    assert [each["config"]["model"] for each in trained] == [str(tmp_path / "seed-0/sft"), str(folder / "round-1/model")]
    assert not list(folder.rglob("checkpoint-*"))
    asked = json.loads((folder / "predictions.config.json").read_text())["config"]
    assert "round-2" in json.dumps(asked)
    pairs = [len(list(read_jsonl(folder / f"round-{number}/pairs/pairs.jsonl", dict))) for number in (1, 2)]
    summary = analyse(tmp_path).arms["online-dpo"]
    assert summary.gaps["pairs"] == sum(pairs) > 0
    assert "total" in summary.drift
