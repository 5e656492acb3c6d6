"""What the verbs refuse before anything is done, in the words of Python: which argument, what was expected and what came."""

import json
import shutil
from pathlib import Path

import pytest

from spatialreasoner.core.errors import ConfigError, RecordError
from spatialreasoner.inference.registry import WritingConfig
from spatialreasoner.pipeline import generate, judge_answer, read_rgbd, report, reward, search, train
from spatialreasoner.scenes.files import load_scenes


def test_a_kind_of_training_that_is_unknown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`kind` to be one of sft, dpo, fdpo, grpo; got 'ppo'"):
        train(tmp_path / "rows.jsonl", kind="ppo", model="nano", out=tmp_path / "out", progress=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"policies": []}, "`policies` needs at least one model"),
        ({"policies": "nano"}, r"write policies=\['nano'\]"),
        (
            {"policies": ["scripted:careful"], "config": {"max_steps": 3}},
            "`config` takes a SearchConfig or a RunConfig; got dict",
        ),
    ],
)
def test_a_search_says_what_it_takes(run_dir: Path, tmp_path: Path, wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        search(run_dir / "questions.jsonl", out=tmp_path / "out", progress=None, **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_regions_that_nothing_shows_are_refused(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`regions` takes one of own, marks, boxes, boxes-1000, tokens; got 'blah'"):
        generate(
            run_dir / "questions.jsonl",
            model="scripted:careful",
            out=tmp_path / "p.jsonl",
            regions="blah",
            progress=None,  # type: ignore[arg-type]
        )


def test_questions_and_regions_have_bounds(run_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(run_dir / "scenes", tmp_path / "scenes")
    first, *_ = (run_dir / "questions.jsonl").read_text().splitlines()
    long = json.loads(first) | {"text": "How wide is <region1>? " * 1000}
    (tmp_path / "questions.jsonl").write_text(json.dumps(long) + "\n")
    with pytest.raises(RecordError, match="at most 20000 characters, as each is sent whole"):
        generate(
            tmp_path / "questions.jsonl", model="scripted:careful", out=tmp_path / "p.jsonl", scenes=tmp_path / "scenes",
            progress=None,
        )  # fmt: skip
    path = tmp_path / "scenes" / "scenes.jsonl"
    scene = json.loads(path.read_text().splitlines()[0])
    regions = [scene["regions"][0] | {"id": f"region{number}"} for number in range(1, 1002)]
    path.write_text(json.dumps(scene | {"regions": regions}) + "\n")
    with pytest.raises(RecordError, match="at most 1000 regions; got 1001"):
        list(load_scenes(tmp_path / "scenes"))


def test_an_unknown_category_has_no_verdict() -> None:
    with pytest.raises(ConfigError, match="expected one of the categories"):
        judge_answer("nope", "How wide?", "2 m", "2 m")  # type: ignore[arg-type]


def test_a_report_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`runs` needs at least one folder"):
        report([], out=tmp_path / "report.html", progress=None)


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"top_p": 0.0}, {"timeout": 0.0}, {"max_new_tokens": 0}, {"batch_size": 0}]
)
def test_how_a_model_writes_has_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}`"):
        WritingConfig(**wrong)  # type: ignore[arg-type]


def test_one_folder_is_taken_as_one(rgbd_folders: list[Path], tmp_path: Path) -> None:
    assert read_rgbd(rgbd_folders[0], out=tmp_path / "scenes", progress=None).count == 1


def test_a_reward_says_how_it_went(run_dir: Path, tmp_path: Path) -> None:
    answers = generate(run_dir / "questions.jsonl", model="scripted:careful", out=tmp_path / "answers.jsonl", progress=None)
    made = reward(run_dir / "questions.jsonl", tmp_path / "answers.jsonl", out=tmp_path / "rewards.jsonl", progress=None)
    assert made.count == answers.count
    assert 0 <= made.summary["mean_total"] <= 16
    assert made.summary["unscored"] == 0
