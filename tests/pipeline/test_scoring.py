import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, InputError, RecordError
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.pipeline.scoring import RewardConfig, open_scorer, read_response, run_reward
from spatialreasoner.rewards.explain import print_explanation

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


def test_predictions_are_read_as_they_are_and_what_else_a_row_holds_is_kept(config: RewardConfig, tmp_path: Path):
    write(
        config,
        {"question_id": "q", "pred": GOOD, "model_id": "m", "qa_info": {"type": "qualitative"}, "reward": "mine"},
        {"question_id": "q", "text": GOOD},
    )
    run_reward(config, tmp_path / "rewards.jsonl")
    own, plain = (json.loads(line) for line in (tmp_path / "rewards.jsonl").read_text().splitlines())
    assert own["text"] == plain["text"] == GOOD
    assert own["reward"] == plain["reward"]
    assert (own["model_id"], own["qa_info"]) == ("m", {"type": "qualitative"})
    assert own.keys() - plain.keys() == {"model_id", "qa_info"}


def test_the_same_command_writes_the_same_bytes(config: RewardConfig, tmp_path: Path):
    write(config, {"question_id": "q", "text": GOOD})
    out = tmp_path / "rewards.jsonl"
    run_reward(config, out)
    before = out.read_bytes(), (tmp_path / "rewards.config.json").read_bytes()
    run_reward(config, out)
    assert before == (out.read_bytes(), (tmp_path / "rewards.config.json").read_bytes())


@pytest.mark.parametrize("row", [{"question_id": "other", "text": "x"}, {"question_id": "q"}, {"question_id": 3, "text": "x"}])
def test_broken_rows_are_named_and_nothing_is_written(config: RewardConfig, tmp_path: Path, row: dict[str, object]):
    write(config, {"question_id": "q", "text": GOOD}, row)
    with pytest.raises(RecordError, match=r"responses.jsonl"):
        run_reward(config, tmp_path / "rewards.jsonl")
    assert not (tmp_path / "rewards.jsonl").exists()


def test_a_broken_row_is_told_by_its_line(config: RewardConfig, tmp_path: Path):
    lines = [json.dumps({"question_id": "q", "text": GOOD})] * 3
    for bad, message in (
        ('{"question_id": "q", "text": ', "not a ResponseRow: .*JSON"),
        ('{"question_id": "q", "text": 3}', "not a ResponseRow: text: .*string"),
        ('{"question_id": "other", "text": "x"}', "there is no question 'other'"),
        ('{"question_id": "q", "text": "x", "index": "1"}', "not a ResponseRow: index: .*integer"),
        ("[1]", "not a ResponseRow"),
    ):
        Path(config.responses).write_text("\n".join([*lines[:2], "", bad, *lines[2:]]) + "\n")
        with pytest.raises(RecordError, match=rf"responses\.jsonl:4: {message}"):
            run_reward(config, tmp_path / "rewards.jsonl")
    assert not (tmp_path / "rewards.jsonl").exists()


def test_a_megabyte_of_text_costs_little_and_earns_nothing(config: RewardConfig, tmp_path: Path):
    write(config, {"question_id": "q", "text": GOOD + " <region1> is 2 m wide." * 50_000}, {"question_id": "q", "text": GOOD})
    started = time.process_time()
    assert run_reward(config, tmp_path / "rewards.jsonl") == 2
    assert time.process_time() - started < 5
    rows = [json.loads(line) for line in (tmp_path / "rewards.jsonl").read_text().splitlines()]
    assert rows[0]["reward"]["total"] == 0.0
    assert "at most" in rows[0]["reasons"]["response"]
    assert rows[1]["reward"]["total"] > 8


def test_of_relative_depth_only_the_order_counts(tmp_path: Path, make_scene: Callable[..., Scene], question: Question):
    scene = make_scene()
    assert scene.depth is not None
    scene = make_scene(depth=replace(scene.depth, path="balls-depth.png", metric=False))
    folder = Path(scene.image).parent
    records.write_jsonl(folder / "questions.jsonl", [question])
    text = GOOD.replace("<region1> is to the left of <region2>.</", "<region1> is in front of <region2>, and 0.6 m wide.</")
    records.write_jsonl(folder / "responses.jsonl", [{"question_id": "q", "text": text}])
    run_reward(
        RewardConfig(questions=str(folder / "questions.jsonl"), responses=str(folder / "responses.jsonl")),
        tmp_path / "rewards.jsonl",
    )
    row = json.loads((tmp_path / "rewards.jsonl").read_text())
    verdicts = {said["kind"]: (said["verdict"], said["reason"]) for said in row["assertions"]}
    assert verdicts["front"][0] == "true"
    assert verdicts["width"] == ("unscored", "region1: the scene's depth is relative: it orders pixels but has no metres")
    assert verdicts["left"][0] == "unscored"
    assert row["reward"]["spatial_reasoning"] > 3


def test_killed_and_called_again_it_goes_on(config: RewardConfig, tmp_path: Path):
    write(config, *({"question_id": "q", "text": f"{GOOD} {k}."} for k in range(6)))
    run_reward(config, tmp_path / "whole.jsonl")

    def stop(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_reward(config, tmp_path / "rewards.jsonl", progress=stop)
    told: list[int] = []
    assert run_reward(config, tmp_path / "rewards.jsonl", progress=told.append) == 6
    assert told == [5, 6]
    assert (tmp_path / "rewards.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    write(config, {"question_id": "q", "text": BAD})
    assert run_reward(config, tmp_path / "rewards.jsonl") == 1


def test_missing_inputs(config: RewardConfig, tmp_path: Path):
    with pytest.raises(InputError):
        run_reward(config, tmp_path / "rewards.jsonl")


def test_explaining_colours_statements_by_verdict(config: RewardConfig):
    write(config, {"question_id": "q", "text": BAD + "\x1b[2J [bold]"})
    scorer = open_scorer(config)
    row = read_response(config, 0)
    console = Console(record=True, force_terminal=True, width=160)
    print_explanation(scorer.questions["q"], row.text, scorer.grade(row), console=console)
    shown = console.export_text(styles=True)
    assert "\x1b[1;31m<region1> is to the right of <region2>" in shown
    assert "\x1b[2J" not in shown
    assert "[bold]" in shown
    assert "spatial_reasoning" in shown
    with pytest.raises(ConfigError, match=r"0\.\.0"):
        read_response(config, 1)
