"""The command line: every command explains itself, refuses bad input with one message, and the stages join."""

import importlib
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import workshop
from commands import check, split
from spatialreasoner.cli import COMMANDS, SCENES, main
from tiny import TINY

LISTED = [
    *([name] for commands in COMMANDS.values() for name, module in commands.items() if module),
    *(["scenes", name] for name in SCENES),
]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; returns exit code, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return call


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    workshop.run("scenes", "synthetic", "--count", 3, "--out", folder / "scenes")
    workshop.run("questions", folder / "scenes", "--per-scene", 2, "--out", folder / "questions.jsonl")
    return folder


@pytest.fixture
def made(made_once: Path, tmp_path: Path) -> Path:
    """A folder with three synthetic scenes and six questions about them, to do with as a test likes."""
    return Path(shutil.copytree(made_once, tmp_path / "made"))


@pytest.mark.parametrize("command", LISTED, ids=" ".join)
def test_every_command_explains_itself_by_examples_that_it_takes(run: Run, command: list[str]) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert "Usage:" in out
    module = (SCENES if len(command) > 1 else {n: m for each in COMMANDS.values() for n, m in each.items()})[command[-1]]
    function = getattr(importlib.import_module(f"spatialreasoner.cli.{module}"), module)
    examples = split(inspect.getdoc(function).partition("Examples:\n")[2])
    assert examples or command == ["study"]
    for example in examples:
        assert example[: len(command) + 1] == ["spatialreasoner", *command]
        check(example)


@pytest.mark.parametrize("group", [[], ["scenes"]], ids=["root", "scenes"])
def test_a_group_explains_itself_by_examples_that_it_takes(run: Run, group: list[str]) -> None:
    code, out, _ = run(*group, "--help")
    shown = [line.strip() for line in out.partition("Examples:")[2].partition("╭")[0].splitlines() if line.strip()]
    assert code == 0
    assert len(shown) >= 2
    for example in split("\n".join(shown)):
        assert example[: len(group) + 1] == ["spatialreasoner", *group]
        check(example)


def test_help_shows_groups_in_the_order_of_the_pipeline(run: Run) -> None:
    out = run("--help")[1]
    shown = re.findall(r"^╭─ (.*?) ─|^│ (\S+) ", out.partition("Start here")[2], re.MULTILINE)
    expected = [name for group, commands in COMMANDS.items() for name in (group, *commands) if name != "study"]
    assert ["Start here", *(group or name for group, name in shown)] == expected


def test_the_version_is_told(run: Run) -> None:
    assert run("--version")[1].strip() == "0.1.0"


def test_the_stages_join(run: Run, made: Path) -> None:
    """Scenes to report, with a model of a few thousand weights and a few steps of training."""
    teachers = [part for name in ("careful", "vague", "hasty") for part in ("--policy", f"scripted:{name}")]
    small = ("per_device_train_batch_size=2", "max_steps=2", "num_train_epochs=1")
    steps = (
        ("search", made / "questions.jsonl", *teachers, "--out", made / "search"),
        ("pairs", made / "search", "--out", made / "pairs", "--hard", 1),
        ("train", "sft", "--model", TINY, "--data", made / "pairs/sft.jsonl", "--out", made / "sft", *small),
        ("train", "fdpo", "--model", made / "sft", "--data", made / "pairs/pairs.jsonl", "--out", made / "fdpo", "max_steps=2"),
        ("generate", made / "questions.jsonl", "--model", made / "fdpo", "--out", made / "fdpo.predictions.jsonl",
         "--max-new-tokens", 8),
        ("generate", made / "questions.jsonl", "--model", "scripted:careful", "--out", made / "predictions.jsonl"),
        ("score", made / "predictions.jsonl", "--out", made / "score.json", "--against", made / "fdpo.predictions.jsonl"),
        ("reward", made / "questions.jsonl", made / "responses.jsonl", "--out", made / "rewards.jsonl", "--explain", 0),
        ("report", made, "--out", made / "report.html"),
    )  # fmt: skip
    for step in steps:
        if step[0] == "reward":
            rows = map(json.loads, (made / "predictions.jsonl").read_text().splitlines())
            lines = [json.dumps({"question_id": row["question_id"], "text": row["pred"]}) for row in rows]
            (made / "responses.jsonl").write_text("\n".join(lines))
        code, _, err = run(*step)
        assert code == 0, f"{step}: {err}"
    assert json.loads((made / "score.json").read_text())["items"] == 6
    rewards = [json.loads(line)["reward"]["total"] for line in (made / "rewards.jsonl").read_text().splitlines()]
    assert len(rewards) == 6
    assert all(0 <= total <= 16 for total in rewards)
    assert "<html" in (made / "report.html").read_text()


def test_the_same_seed_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = tmp_path / name
        run("scenes", "synthetic", "--count", 4, "--seed", 5, "--out", folder / "scenes")
        run("questions", folder / "scenes", "--per-scene", 3, "--seed", 5, "--out", folder / "questions.jsonl")
        policies = ("--policy", "scripted:careful", "--policy", "scripted:hasty")
        run("search", folder / "questions.jsonl", *policies, "--seed", 5, "--out", folder / "search")
        run("pairs", folder / "search", "--out", folder / "pairs", "--seed", 5)
    for name in ("scenes/scenes.jsonl", "questions.jsonl", "search/trajectories.jsonl", "pairs/pairs.jsonl", "pairs/sft.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    for image in (tmp_path / "a/scenes").rglob("*.png"):
        assert image.read_bytes() == (tmp_path / "b/scenes" / image.relative_to(tmp_path / "a/scenes")).read_bytes()


BAD = [
    ("scenes", "synthetic", "--count", "-1", "--out", "{out}"),
    ("scenes", "synthetic", "--count", "many", "--out", "{out}"),
    ("scenes", "synthetic", "--count", "3"),
    ("scenes", "synthetic", "--count", "1", "--width", "0", "--out", "{out}"),
    ("scenes", "rgbd", "{missing}", "--out", "{out}"),
    ("scenes", "rgbd", "{made}", "--out", "{out}"),
    ("scenes", "images", "{missing}", "--depth", "{missing}", "--masks", "{missing}", "--out", "{out}"),
    ("scenes", "images", "{made}/scenes/images", "--depth", "{missing}", "--masks", "{missing}", "--out", "{out}"),
    ("questions", "{missing}", "--out", "{out}"),
    ("questions", "{made}/scenes", "--per-scene", "0", "--out", "{out}"),
    ("questions", "{made}/questions.jsonl", "--out", "{out}"),
    ("questions", "{made}/scenes", "--out", "-"),
    ("scenes", "synthetic", "--count", "1", "--out", "-"),
    ("report", "{made}", "--out", "-"),
    ("search", "{missing}", "--policy", "scripted:careful", "--out", "{out}"),
    ("search", "{empty}", "--policy", "scripted:careful", "--out", "{out}"),
    ("search", "{broken}", "--policy", "scripted:careful", "--out", "{out}"),
    ("search", "{made}/questions.jsonl", "--policy", "scripted:genius", "--out", "{out}"),
    ("search", "{made}/questions.jsonl", "--policy", "oracle", "--out", "{out}"),
    ("search", "{made}/questions.jsonl", "--out", "{out}"),
    ("reward", "{made}/questions.jsonl", "{broken}", "--out", "{out}"),
    ("reward", "{made}/questions.jsonl", "{unknown}", "--out", "{out}"),
    ("reward", "{made}/questions.jsonl", "{unknown}"),
    ("pairs", "{made}", "--out", "{out}"),
    ("pairs", "{missing}", "--out", "{out}"),
    ("train", "rlhf", "--model", "tiny", "--data", "{empty}", "--out", "{out}"),
    ("train", "sft", "--model", "tiny", "--data", "{empty}", "--out", "{out}"),
    ("train", "sft", "--model", "tiny", "--data", "{broken}", "--out", "{out}"),
    ("train", "dpo", "--model", "{missing}", "--data", "{broken}", "--out", "{out}"),
    ("train", "sft", "--model", "tiny", "--data", "{unknown}", "--out", "{out}", "learning_rat=1"),
    ("generate", "{made}/questions.jsonl", "--model", "{missing}", "--out", "{out}"),
    ("score", "{missing}"),
    ("score", "{empty}"),
    ("score", "{broken}"),
    ("score", "{unknown}", "--out", "{out}"),
    ("report", "{missing}", "--out", "{out}"),
    ("app", "--model", "scripted:nobody"),
    ("app", "--model", "scripted:careful", "--photos", "{missing}"),
    ("ask", "{missing}", "Is <region1> tall?", "--model", "scripted:careful"),
    ("fly",),
]  # fmt: skip


@pytest.mark.parametrize("command", BAD, ids=" ".join)
def test_bad_input_is_one_message_and_leaves_nothing(run: Run, made: Path, command: tuple[str, ...]) -> None:
    (made / "empty.jsonl").write_text("")
    (made / "broken.jsonl").write_text('{"id": "a", "sce')
    (made / "unknown.jsonl").write_text('{"question_id": "moon-0", "text": "It is 2 m."}\n')
    places = {name: str(made / f"{name}.jsonl") for name in ("empty", "broken", "unknown", "missing")}
    places |= {"made": str(made), "out": str(made / "out")}
    code, _, err = run(*(part.format(**places) for part in command))
    assert code == 2
    assert len(re.findall(r"^error: |─ Error ─", err, re.MULTILINE)) == 1
    assert "Traceback" not in err
    left = [path for path in made.rglob("*") if "out" in path.relative_to(made).parts[0] and path.is_file()]
    assert left == []


def test_a_bad_photo_is_told_with_its_place(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "kitchen"
    folder.mkdir()
    Image.new("RGB", (8, 6)).save(folder / "image.png")
    Image.fromarray(np.ones((6, 8), dtype=np.uint16)).save(folder / "depth.png")
    (folder / "scene.json").write_text('{"image": "image.png", "depth": "depth.png", "depth_units_per_metre": 1000}')
    code, _, err = run("scenes", "rgbd", folder, "--out", tmp_path / "out")
    assert code == 2
    assert "kitchen/scene.json" in err
    assert "'intrinsics' is missing" in err


@pytest.mark.parametrize("stage", ["questions", "search", "generate"])
def test_a_truncated_image_is_found_before_work_begins(run: Run, made: Path, stage: str) -> None:
    for image in (made / "scenes/images").glob("*.png"):
        image.write_bytes(image.read_bytes()[:200])
    first = {
        "questions": ("questions", made / "scenes"),
        "search": ("search", made / "questions.jsonl", "--policy", "scripted:careful"),
        "generate": ("generate", made / "questions.jsonl", "--model", "scripted:careful"),
    }[stage]
    code, _, err = run(*first, "--out", made / "out")
    assert code == 2
    assert "expected a complete image" in err
    assert not (made / "out").exists()


def test_what_cannot_be_written_exits_with_1(run: Run, made: Path) -> None:
    (made / "file").write_text("")
    code, _, err = run("questions", made / "scenes", "--out", made / "file" / "questions.jsonl")
    assert code == 1
    assert "cannot write" in err


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_command_says_how_it_ended(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    command = [
        sys.executable,
        "-m",
        "spatialreasoner",
        "scenes",
        "synthetic",
        "--count",
        "100000",
        "--out",
        str(tmp_path / "s"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (tmp_path / "s").exists():
        time.sleep(0.05)
    os.kill(process.pid, sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
