import json
from pathlib import Path

import pytest
from rich.console import Console

from spatialreasoner import records
from spatialreasoner.errors import ConfigError, InputError, RecordError
from spatialreasoner.rewards.explain import explain
from spatialreasoner.rewards.stage import RewardConfig, open_scorer, read_response, run_reward
from spatialreasoner.types import Question, Scene

GOOD = (
    "<description><region1> is a red ball and <region2> is a blue ball.</description>\n"
    "<reasoning>### Rationale\nCompare them.\n### Step 1\n<region1> is to the left of <region2>.</reasoning>\n"
    "### In Conclusion\nYes, <region1> is to the left of <region2>."
)
BAD = GOOD.replace("left", "right").replace("Yes", "No")


@pytest.fixture
def config(tmp_path: Path, scene: Scene, question: Question) -> RewardConfig:
    questions = Path(scene.image).parent / "questions.jsonl"
    records.write_jsonl(questions, [question])
    return RewardConfig(questions=str(questions), responses=str(tmp_path / "responses.jsonl"))


def write(config: RewardConfig, *rows: dict[str, object]) -> None:
    records.write_jsonl(config.responses, rows)


def test_a_row_a_response(config: RewardConfig, tmp_path: Path):
    write(
        config,
        {"question_id": "q", "text": GOOD},
        {"question_id": "q", "text": BAD},
        {"question_id": "q", "text": GOOD, "index": 7},
    )
    told: list[int] = []
    assert run_reward(config, tmp_path / "out" / "rewards.jsonl", progress=told.append) == 3
    rows = [json.loads(line) for line in (tmp_path / "out" / "rewards.jsonl").read_text().splitlines()]
    assert [(row["question_id"], row["index"]) for row in rows] == [("q", 0), ("q", 1), ("q", 7)]
    assert set(rows[0]["reward"]) == {
        "visual", "spatial_description", "spatial_reasoning", "logical", "description", "reasoning", "total",
    }  # fmt: skip
    assert rows[0]["reward"]["total"] > rows[1]["reward"]["total"] + 4
    assert [(a["segment"], a["kind"], a["verdict"]) for a in rows[1]["assertions"]] == [("reasoning", "right", "false")] * 2
    assert rows[1]["assertions"][0]["truth"] == pytest.approx(-0.99, abs=0.02)
    assert told == [1, 2, 3]
    assert json.loads((tmp_path / "out" / "rewards.config.json").read_text())["stage"] == "reward"


def test_the_same_command_writes_the_same_bytes(config: RewardConfig, tmp_path: Path):
    write(config, {"question_id": "q", "text": GOOD})
    out = tmp_path / "rewards.jsonl"
    run_reward(config, out)
    before = out.read_bytes(), (tmp_path / "rewards.config.json").read_bytes()
    run_reward(config, out)
    assert before == (out.read_bytes(), (tmp_path / "rewards.config.json").read_bytes())


@pytest.mark.parametrize(
    "row", [{"question_id": "other", "text": "x"}, {"question_id": "q"}, {"question_id": "q", "text": "x", "extra": 1}]
)
def test_broken_rows_are_named_and_nothing_is_written(config: RewardConfig, tmp_path: Path, row: dict[str, object]):
    write(config, {"question_id": "q", "text": GOOD}, row)
    with pytest.raises(RecordError, match=r"responses.jsonl"):
        run_reward(config, tmp_path / "rewards.jsonl")
    assert not (tmp_path / "rewards.jsonl").exists()


def test_missing_inputs(config: RewardConfig, tmp_path: Path):
    with pytest.raises(InputError):
        run_reward(config, tmp_path / "rewards.jsonl")


def test_explaining_colours_statements_by_verdict(config: RewardConfig):
    write(config, {"question_id": "q", "text": BAD + "\x1b[2J [bold]"})
    scorer = open_scorer(config)
    row = read_response(config, 0)
    console = Console(record=True, force_terminal=True, width=160)
    explain(scorer.questions["q"], row.text, scorer.grade(row), console=console)
    shown = console.export_text(styles=True)
    assert "\x1b[1;31m<region1> is to the right of <region2>" in shown
    assert "\x1b[2J" not in shown
    assert "[bold]" in shown
    assert "spatial_reasoning" in shown
    with pytest.raises(ConfigError, match=r"0\.\.0"):
        read_response(config, 1)
