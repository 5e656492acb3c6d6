"""A study at its smallest, every job for real, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from research.fdpo_study.arms import choose_arms
from research.fdpo_study.config import StudyConfig
from research.fdpo_study.data import preference_rows, sft_rows
from research.fdpo_study.jobs import plan
from research.fdpo_study.run import begin, run_study, write
from research.fdpo_study.work import do

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.records import read_jsonl
from spatialreasoner.nano.build import build_nano

ARMS = choose_arms(["fdpo-inverse", "sft-blind", "sft-chosen", "sft-exact"])


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    base = tmp_path_factory.mktemp("base")
    model, processor = build_nano(["In which direction is <region2> from <region1>?"], ["3 o'clock."])
    model.save_pretrained(base)
    processor.save_pretrained(base)
    return StudyConfig(
        base=str(base), sft_scenes=1, preference_scenes=2, exact_scenes=2, test_scenes=1, per_scene=2, test_per_scene=2,
        own_samples=2, max_new_tokens=4, drift_answers=2, sft_settings=("num_train_epochs=1", "freeze_vision=true"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(config: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study")
    begin(config, out)
    for job in plan(config, ARMS, 1):
        do(job, config, out)
    write(out)
    return out


def test_every_arm_has_a_result(made: Path) -> None:
    found = json.loads((made / "study.json").read_text())["config"]["result"]
    assert list(found["arms"]) == ["base", "sft", "sft-chosen", "sft-blind", "fdpo-inverse", "sft-exact"]
    assert found["arms"]["fdpo-inverse"]["drift"].keys() == {"description", "reasoning", "markup", "total", "error"}
    assert found["arms"]["fdpo-inverse"]["gaps"]["pairs"] > 0


def test_the_gaps_of_an_arm_are_those_of_its_rule(made: Path) -> None:
    arm = next(arm for arm in ARMS if arm.name == "fdpo-inverse")
    source = made / "seed-0" / "pairs" / "mixture" / "pairs.jsonl"
    before, after = (list(read_jsonl(path, dict)) for path in (source, preference_rows(arm, made, 0)))
    assert [(row["gap_reasoning"], row["gap_description"]) for row in before] == [
        (row["gap_description"], row["gap_reasoning"]) for row in after
    ]
    assert [row["chosen"] for row in before] == [row["chosen"] for row in after]


def test_blind_rows_show_nothing_and_short_rows_say_the_reference(made: Path) -> None:
    blind = list(read_jsonl(sft_rows("blind", made), dict))
    assert {row["images"][0] for row in blind} == {"grey.png"}
    assert not any(row["regions"] for row in blind)
    short = list(read_jsonl(sft_rows("short", made), dict))
    assert all(len(row["messages"][-1]["content"]) < 200 for row in short)
    assert "<description>" not in short[0]["messages"][-1]["content"]


def test_further_sft_starts_from_sft_and_learns_the_chosen_answers_of_the_pairs(made: Path) -> None:
    folder = made / "seed-0" / "pairs" / "mixture"
    pairs, rows = (list(read_jsonl(folder / name, dict)) for name in ("pairs.jsonl", "sft-sft-chosen.jsonl"))
    assert [row["messages"][-1] for row in rows] == [pair["chosen"][0] for pair in pairs]
    settings = json.loads((made / "seed-0" / "sft-chosen" / "training.json").read_text())["config"]
    assert settings["model"] == str(made / "seed-0" / "sft")


def test_all_arms_of_a_seed_read_one_reference(made: Path) -> None:
    rows = (made / "seed-0" / "fdpo-inverse" / "reference.jsonl").read_text().splitlines()
    pairs = list(read_jsonl(made / "seed-0" / "pairs" / "mixture" / "pairs.jsonl", dict))
    assert len(rows) == 1 + len(pairs)


def test_exact_answers_are_preferred_to_own_ones_that_earn_less(made: Path) -> None:
    pairs = list(read_jsonl(made / "seed-0" / "pairs" / "exact" / "pairs.jsonl", dict))
    taught = {
        row["question_id"]: row["text"] for row in read_jsonl(made / "data" / "exact" / "search" / "trajectories.jsonl", dict)
    }
    own = {row["question_id"]: row["pred"] for row in read_jsonl(made / "seed-0" / "own-exact.jsonl", dict)}
    assert pairs
    for pair in pairs:
        assert pair["chosen"][0]["content"] == taught[pair["question_id"]]
        assert pair["rejected"][0]["content"] == own[pair["question_id"]]
        assert pair["reward_chosen"] > pair["reward_rejected"]


def test_checkpoints_are_gone_and_models_stay(made: Path) -> None:
    assert not list(made.glob("seed-0/*/checkpoint-*"))
    assert (made / "seed-0" / "sft" / "model.safetensors").is_file()


def test_a_study_that_is_done_is_not_done_again(made: Path, config: StudyConfig) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.glob("seed-0/*/model.safetensors")}
    run_study(config, made, arms=ARMS, seeds=1, workers=1)
    assert {path: path.stat().st_mtime_ns for path in made.glob("seed-0/*/model.safetensors")} == before


def test_another_study_in_the_same_folder_is_refused(made: Path) -> None:
    with pytest.raises(ConfigError, match=r"differs in .*base"):
        begin(StudyConfig(), made)


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_jobs_end_with_the_study_that_is_killed(config: StudyConfig, tmp_path: Path) -> None:
    begin(config, tmp_path)
    code = (
        "import sys; from pathlib import Path; from research.fdpo_study import runner, jobs\n"
        "job = jobs.Job(name='data/sft', task='data', what='sft')\n"
        "print(runner.start_job(job, Path(sys.argv[1]), 1).pid, flush=True); import time; time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(600):
        if not _alive(child):
            return
        time.sleep(0.1)
    pytest.fail(f"process {child} outlived the study")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" not in status.read_text()
