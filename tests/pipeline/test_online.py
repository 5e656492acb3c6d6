"""Online DPO and fDPO: own answers are rated, paired and trained on in rounds; a run that was cut off ends like any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from builders import build_scene
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.nano import WEIGHTS
from spatialreasoner.pipeline import OnlineConfig, train_online
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from workshop import run

pytest.importorskip("trl")
pytestmark = [
    pytest.mark.skipif(not (WEIGHTS / "model.safetensors").is_file(), reason="the nano's weights are not installed"),
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),
]

SETTINGS = ("learning_rate=1e-4", "max_steps=1", "threads=1", "per_device_train_batch_size=2", "gradient_accumulation_steps=1")
CONFIG = OnlineConfig(rounds=2, samples=2, max_new_tokens=160, min_gap=0.01)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rooms")
    build_scene(folder)
    write_questions(QuestionsConfig(scenes=str(folder), per_scene=2), folder / "questions.jsonl")
    return folder / "questions.jsonl"


def test_rounds_train_on_the_models_own_answers_and_resume(questions: Path, tmp_path: Path) -> None:
    def start(name: str, config: OnlineConfig = CONFIG):
        return train_online(questions, model="nano", out=tmp_path / name, config=config, overrides=SETTINGS, progress=None)

    whole = start("whole")
    rounds = [json.loads(line) for line in (tmp_path / "whole" / "rounds.jsonl").read_text().splitlines()]
    assert whole.out == tmp_path / "whole" / "round-2" / "model"
    assert [row["round"] for row in rounds] == [1, 2]
    assert all(row["answers"] == 4 and 0 <= row["reward_total"] <= 16 for row in rounds)
    first, second = (json.loads((tmp_path / f"whole/round-{n}/model/training.json").read_text())["config"] for n in (1, 2))
    assert first["model"] == "nano"
    assert second["model"].endswith("round-1/model")
    pairs = [json.loads(line) for line in (tmp_path / "whole/round-2/pairs/pairs.jsonl").read_text().splitlines()]
    answers = [
        json.loads(line)["pred"]
        for n in (1, 2)
        for line in (tmp_path / f"whole/round-2/answers-{n}.jsonl").read_text().splitlines()
    ]
    assert {pairs[0]["chosen"][0]["content"], pairs[0]["rejected"][0]["content"]} <= set(answers)

    cut = tmp_path / "cut"  # killed while the second round wrote its second answers
    shutil.copytree(tmp_path / "whole", cut)
    for name in ("answers-2.jsonl", "answers-2.summary.json"):
        (cut / "round-2" / name).unlink()
    shutil.rmtree(cut / "round-2" / "pairs")
    shutil.rmtree(cut / "round-2" / "model")
    start("cut")
    for name in ("rounds.jsonl", "round-2/pairs/pairs.jsonl", "round-2/model/metrics.jsonl", "round-2/model/model.safetensors"):
        assert (cut / name).read_bytes().replace(b"/cut/", b"/whole/") == (tmp_path / "whole" / name).read_bytes(), name
    with pytest.raises(ConfigError, match="differs in samples"):
        start("cut", OnlineConfig(rounds=2, samples=3, max_new_tokens=160, min_gap=0.01))


def test_rounds_of_dpo_are_another_run_than_rounds_of_fdpo(questions: Path, tmp_path: Path) -> None:
    config = OnlineConfig(rounds=1, samples=2, max_new_tokens=160, min_gap=0.01)
    made = train_online(questions, model="nano", out=tmp_path, kind="dpo", config=config, overrides=SETTINGS, progress=None)
    assert json.loads((made.out / "training.json").read_text())["stage"] == "train dpo"
    with pytest.raises(ConfigError, match=r"expected the folder of 'train fdpo online'; .* holds 'train dpo online'"):
        train_online(questions, model="nano", out=tmp_path, config=config, overrides=SETTINGS, progress=None)


def test_only_preferences_go_online(questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError, match="ended with 2"):
        run("train", "sft", "--online", "--model", "nano", "--data", questions, "--out", tmp_path / "out")
    assert "--online is for dpo and fdpo" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"samples": 1}, {"temperature": 0.0}])
def test_there_must_be_answers_to_compare(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="answers to compare"):
        OnlineConfig(**wrong)  # pyright: ignore[reportArgumentType]
