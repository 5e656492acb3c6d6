"""`spatialreasoner reward --judge`, as a user runs it, against an endpoint on the loopback interface."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builders import build_scene
from judging import Endpoint, reply
from spatialreasoner.cli import main
from spatialreasoner.core import records
from spatialreasoner.core.types import Question

TEXT = (
    "<description><region1> is a red ball, <region2> is a blue ball.</description>\n"
    "<reasoning>### Step 1\n<region1> is to the left of <region2>.</reasoning>\n### In Conclusion\nYes."
)
FALSE = TEXT.replace("left", "right").replace("Yes", "No")

Judge = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path, question: Question) -> Path:
    """Questions about a scene with depth and one without, and four responses to each."""
    scenes = [build_scene(tmp_path / "made"), build_scene(tmp_path / "made", name="flat", depth=None)]
    lines = [json.dumps({**json.loads(records.dumps(scene)), "image": Path(scene.image).name}) for scene in scenes]
    lines[0] = json.dumps({**json.loads(lines[0]), "depth": {"path": "balls-depth.png", "units_per_metre": 5000.0}})
    (tmp_path / "made" / "scenes.jsonl").write_text("\n".join(lines) + "\n")
    asked = json.loads(records.dumps(question))
    records.write_jsonl(tmp_path / "made/questions.jsonl", [asked, {**asked, "id": "flat", "scene_id": "flat"}])
    texts = [TEXT, FALSE, TEXT + " Surely.", FALSE + " Surely."]
    rows = [{"question_id": name, "text": text} for text in texts for name in ("q", "flat")]
    records.write_jsonl(tmp_path / "made/responses.jsonl", rows)
    return tmp_path / "made"


@pytest.fixture
def judge(folder: Path, endpoint: Endpoint, capfd: pytest.CaptureFixture[str]) -> Judge:
    """Run the command with further options; returns exit code and all that it prints."""

    def call(*options: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            main(["reward", *inputs(folder), "--judge", endpoint.name, *map(str, options)])
        return int(caught.value.code or 0), "".join(capfd.readouterr())

    return call


def inputs(folder: Path) -> list[str]:
    return [str(folder / "questions.jsonl"), str(folder / "responses.jsonl")]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_only_what_geometry_cannot_tell_is_judged(judge: Judge, folder: Path, endpoint: Endpoint):
    code, said = judge("--out", folder / "out/rewards.jsonl")
    assert code == 0
    assert len(endpoint.requests) == 4
    assert "4 of 8 responses were judged; 0 have no total" in said
    for row in rows_of(folder / "out/rewards.jsonl"):
        assert row["reward"]["total"] is not None
        assert row["geometry"]["reward"]["visual"] == row["reward"]["visual"]
        flat = row["question_id"] == "flat"
        assert (row["judge"] is not None) == flat
        assert row["sources"]["spatial_reasoning"] == ("judge" if flat else "geometry")
        assert (row["geometry"]["reward"]["spatial_reasoning"] is None) == flat


def test_judging_all_compares_the_two(judge: Judge, folder: Path, endpoint: Endpoint):
    def grade(index: int) -> tuple[int, str]:
        text = endpoint.requests[index]["messages"][1]["content"][-1]["text"]
        return 200, reply(**{"spatial_reasoning": 0.0 if "to the right" in text.split("===")[1] else 1.0})

    endpoint.say = grade
    code, said = judge("--judge-all", "--out", folder / "rewards.jsonl")
    assert code == 0
    assert len(endpoint.requests) == 8
    rows = rows_of(folder / "rewards.jsonl")
    assert rows[2]["geometry"]["reward"]["spatial_reasoning"] == 0.0
    assert [row["judge"]["reward"]["spatial_reasoning"] for row in rows] == [4.0, 4.0, 0.0, 0.0] * 2
    assert rows[0]["reward"]["visual"] == rows[0]["geometry"]["reward"]["visual"] != rows[0]["judge"]["reward"]["visual"] == 2.0
    found = json.loads((folder / "rewards.agreement.json").read_text())
    spatial = found["criteria"]["spatial_reasoning"]
    assert (spatial["both"], spatial["judge_only"], spatial["spearman"]) == (4, 4, 1.0)
    assert spatial["mean_difference"] == pytest.approx(0.1, abs=0.2)  # geometry gives 0.9 of 4 for what is not asked
    assert found["criteria"]["visual"]["spearman"] is None  # the judge always says the same
    assert "spatial_reasoning" in said
    assert "+1.00" in said


@pytest.mark.parametrize("said", [(200, "I refuse."), (500, {"error": {"message": "oops"}})])
def test_a_failed_judgement_is_unscored(judge: Judge, folder: Path, endpoint: Endpoint, said: tuple[int, Any]):
    endpoint.say = lambda index: said
    code, printed = judge("--out", folder / "rewards.jsonl")
    assert code == 0
    assert "4 judgements failed and are unscored" in printed
    flat = [row for row in rows_of(folder / "rewards.jsonl") if row["question_id"] == "flat"]
    assert {row["reward"]["spatial_reasoning"] for row in flat} == {None}
    assert {row["reward"]["total"] for row in flat} == {None}
    assert all(row["judge"]["failure"] for row in flat)
    assert all("the judge failed" in row["reasons"]["spatial_reasoning"] for row in flat)
    endpoint.say = lambda index: (200, reply())
    assert "judgements failed" not in judge("--out", folder / "rewards.jsonl")[1]
    assert all(row["reward"]["total"] is not None for row in rows_of(folder / "rewards.jsonl"))


def test_no_grade_is_asked_for_twice(judge: Judge, folder: Path, endpoint: Endpoint):
    judge("--out", folder / "rewards.jsonl")
    first = (folder / "rewards.jsonl").read_bytes(), (folder / "rewards.agreement.json").read_bytes()
    judge("--out", folder / "rewards.jsonl")
    assert len(endpoint.requests) == 4
    judge("--judge-all", "--out", folder / "rewards.jsonl")
    assert len(endpoint.requests) == 8
    judge("--out", folder / "rewards.jsonl")
    assert first == ((folder / "rewards.jsonl").read_bytes(), (folder / "rewards.agreement.json").read_bytes())


def test_a_budget_stops_and_the_same_command_goes_on(judge: Judge, folder: Path, endpoint: Endpoint):
    code, said = judge("--out", folder / "rewards.jsonl", "--max-calls", 2, "--concurrency", 1)
    assert code == 1
    assert "--max-calls allows 2" in said
    assert "run the same again" in said
    assert len(endpoint.requests) == 2
    assert not (folder / "rewards.jsonl").exists()
    assert judge("--out", folder / "rewards.jsonl", "--max-calls", 4)[0] == 0
    assert len(endpoint.requests) == 4


def test_several_judges_are_averaged(judge: Judge, folder: Path, endpoint: Endpoint):
    other = endpoint.name.replace("test-judge", "other-judge")

    def grade(index: int) -> tuple[int, Any]:
        harsh = endpoint.requests[index]["model"] == "other-judge"
        return 200, reply(spatial_reasoning=0.25 if harsh else 0.75, spatial_description=None if harsh else 1.0)

    endpoint.say = grade
    assert judge("--judge", other, "--judge-all", "--out", folder / "rewards.jsonl")[0] == 0
    row = rows_of(folder / "rewards.jsonl")[0]
    assert row["judge"]["reward"]["spatial_reasoning"] == 2.0
    assert row["judge"]["reward"]["spatial_description"] == 4.0
    assert f"{other}: because spatial_reasoning" in row["judge"]["reasons"]["spatial_reasoning"]
    endpoint.say = lambda index: (200, "no")
    assert judge("--judge", endpoint.name, "--out", folder / "twice.jsonl")[0] == 2


def test_explaining_shows_both(judge: Judge):
    code, said = judge("--explain", 0, "--judge-all")
    assert code == 0
    assert "geometry" in said
    assert "judge" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "x.jsonl", "--judge", "gpt-4o"), "api:MODEL@BASE_URL"),
        (("--out", "x.jsonl", "--max-cost", "1"), "model's price"),
        ((), "expected --out FILE"),
    ],
)
def test_options_that_do_not_fit(
    judge: Judge, options: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    code, said = judge(*options)
    assert (code, message in said) == (2, True)


def test_judging_all_needs_a_judge(folder: Path, capfd: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["reward", *inputs(folder), "--judge-all", "--out", str(folder / "x.jsonl")])
    assert caught.value.code == 2
    assert "--judge-all needs --judge" in capfd.readouterr().err


def test_killed_and_started_again_it_ends_with_the_same_bytes(judge: Judge, folder: Path, endpoint: Endpoint):
    rows = [{**row, "text": f"{row['text']} {k}."} for k in range(8) for row in rows_of(folder / "responses.jsonl")]
    records.write_jsonl(folder / "responses.jsonl", rows)
    assert judge("--judge-all", "--out", folder / "whole.jsonl")[0] == 0
    killed, stuck, go_on = folder / "killed.jsonl", threading.Event(), threading.Event()

    def stick(index: int) -> tuple[int, Any]:
        if index >= len(rows) + 30:
            stuck.set()
            go_on.wait(60)
        return 200, reply()

    endpoint.say = stick
    command = [sys.executable, "-m", "spatialreasoner", "reward", *inputs(folder), "--judge", endpoint.name, "--judge-all"]
    with subprocess.Popen([*command, "--out", str(killed)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        assert stuck.wait(60)
        code, said = judge("--judge-all", "--out", killed)
        assert (code, "another process works in" in said) == (1, True)
        process.send_signal(signal.SIGKILL)
    assert not killed.exists()
    endpoint.say = lambda index: (200, reply())
    go_on.set()
    assert judge("--judge-all", "--out", killed)[0] == 0
    assert killed.read_bytes() == (folder / "whole.jsonl").read_bytes()
    assert len(endpoint.requests) <= 2 * len(rows) + 16  # what was in flight is asked again, and nothing else
