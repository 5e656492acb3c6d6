"""Every example runs at a tiny size, or is read by what would read it where it needs hardware."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

import commands
import forms
from pages import ROOT, blocks
from spatialreasoner.cli import main
from spatialreasoner.training.config import CONFIGS, read_config
from workshop import Workshop

pytest.importorskip("trl")

EXAMPLES = ROOT / "examples"
SETTINGS = {"qwen_vl_one_gpu.yaml", "fsdp_8gpu.yaml"}

STUB = """#!/bin/sh
# Hands its arguments to the test, which runs the command in its own process: libraries are imported once
printf '%s\\n' "$@" > "$REQUESTS"
read -r code < "$REPLIES"
exit "$code"
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


def run_script(script: Path, *arguments: object, folder: Path, variables: Mapping[str, str]) -> list[str]:
    """Run a shell script whose `spatialreasoner` is this process; returns the commands that it gave."""
    requests, replies = folder / "requests", folder / "replies"
    os.mkfifo(requests)
    os.mkfifo(replies)
    stub = folder / "bin" / "spatialreasoner"
    stub.parent.mkdir()
    stub.write_text(STUB)
    stub.chmod(0o755)
    (stub.parent / "python").symlink_to(sys.executable)
    environment = {
        **os.environ, **variables, "PATH": f"{stub.parent}:{os.environ['PATH']}",
        "REQUESTS": str(requests), "REPLIES": str(replies),
    }  # fmt: skip
    command = 'bash "$0" "$@"; code=$?; printf "end\\n%s\\n" "$code" > "$REQUESTS"'
    process = subprocess.Popen(["bash", "-c", command, str(script), *map(str, arguments)], env=environment)
    given: list[str] = []
    while True:
        words = requests.read_text().splitlines()
        if words[0] == "end":
            process.wait(timeout=10)
            assert words[1] == "0", f"ended with {words[1]} after {given[-1:]}"
            return given
        given.append(" ".join(words))
        with pytest.raises(SystemExit) as ended:
            main(words)
        replies.write_text(f"{ended.value.code or 0}\n")


def test_the_embedded_pipeline(tmp_path: Path) -> None:
    sizes = {
        "SCENES": "4", "TEST_SCENES": "2", "PER_SCENE": "2", "MODEL": "tiny", "SFT_RATE": "2e-3", "FDPO_RATE": "1e-4",
        "STEPS": "2", "TOKENS": "4",
    }  # fmt: skip
    out = tmp_path / "a run"  # with a blank
    given = run_script(EXAMPLES / "embedded.sh", out, folder=tmp_path, variables=sizes)
    stages = ["scenes", "questions", "search", "pairs", "train", "train", "scenes", "questions"]
    stages += ["generate", "score", "generate", "score", "reward", "score", "report"]
    assert [command.split()[0] for command in given] == stages
    assert "<html" in (out / "report.html").read_text()
    assert len((out / "test/rewards.jsonl").read_text().splitlines()) == 4
    assert json.loads((out / "test/score-fdpo.json").read_text())["items"] == 4


def run_python(
    script: str, *arguments: object, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> tuple[str | int | None, str]:
    """Run an example in this process; returns what it ended with and what it printed."""
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    capfd.readouterr()
    try:
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    except SystemExit as ended:
        return ended.code, capfd.readouterr().out
    return 0, capfd.readouterr().out


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
def test_fdpo_of_text_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ("--out", tmp_path / "model", "--pairs", 16, "--epochs", 4)
    code, out = run_python("fdpo_text_only.py", *arguments, monkeypatch=monkeypatch, capfd=capfd)
    assert code == 0
    assert "gaps of plan and answer (4.0, 0.0): betas [0.125" in out
    assert float(re.findall(r"loss ([\d.]+);", out)[0]) < 0.69  # ln 2 is what it starts from
    assert (tmp_path / "model/model.safetensors").is_file()


def test_the_page_shows_the_example() -> None:
    source = (EXAMPLES / "fdpo_text_only.py").read_text()
    shown = source.partition("# essential:")[2].partition("\n")[2].partition("# essential ends")[0].strip()
    assert shown in [block.text.strip() for block in blocks(ROOT / "docs/fdpo-only.md")]
    assert len([line for line in shown.splitlines() if line.strip()]) <= 33


def test_own_photos(shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    depth, masks, model = (shop.path(thing) for thing in ("models/depth", "annotations.json", "sft"))
    arguments = ("--depth", depth, "--masks", masks, "--fov", 65, "--model", model)
    sizes = ("--out", tmp_path / "own", "--per-scene", 2, "--max-new-tokens", 4)
    code, out = run_python(
        "own_photos.py", shop.path("photos"), *arguments, *sizes, monkeypatch=monkeypatch, capfd=capfd
    )  # fmt: skip
    assert code == 0, out
    assert "2 photos with depth and regions" in out
    assert out.count("truth:") == 3
    assert json.loads((tmp_path / "own/score.json").read_text())["items"] == 4


def test_own_photos_says_what_is_wrong(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = (tmp_path, "--out", tmp_path / "own", "--depth", shop.path("models/depth"), "--masks", "none.json")
    code, _ = run_python("own_photos.py", *arguments, monkeypatch=monkeypatch, capfd=capfd)
    assert str(code).startswith("error: ")


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_settings_are_what_training_reads(name: str) -> None:
    for kind in ("sft", "fdpo"):
        config = read_config(CONFIGS[kind], EXAMPLES / name, [])
        assert config.per_device_train_batch_size * config.gradient_accumulation_steps * (8 if "8gpu" in name else 1) == 16


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_yaml_is_read(path: Path, tmp_path: Path) -> None:
    forms.check_yaml(path.read_text(), tmp_path)


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.*")), ids=lambda path: path.name)
def test_commands_in_comments_are_real(path: Path) -> None:
    """What a header tells to type, indented after '#' or in a docstring."""
    text = path.read_text() if path.suffix in {".yaml", ".py"} else ""
    lines = re.findall(r"^#? {3,4}((?:spatialreasoner|accelerate|python|ray) .*)$", text.split("import ")[0], re.MULTILINE)
    for words in (words for line in lines for words in commands.split(line)):
        commands.check(words)
    assert lines or path.suffix not in {".yaml", ".py"}, "a header says how to start it"


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_the_page_shows_the_settings(name: str) -> None:
    shown = [yaml.safe_load(block.text) for block in blocks(ROOT / "docs/how-to/qwen-vl.md") if block.language == "yaml"]
    assert yaml.safe_load((EXAMPLES / name).read_text()) in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_workers": 9}, "more workers than addresses"),
        ({"provider": {"type": "local", "head_ip": "10.0.0.1"}}, "worker_ips"),
        ({"auth": {}}, "ssh_user"),
        ({"num_workers": 3}, "unknown keys"),
    ],
)
def test_a_wrong_cluster_is_found(change: dict, message: str) -> None:
    values = yaml.safe_load((EXAMPLES / "ray_cluster.yaml").read_text())
    forms.check_cluster(values)
    with pytest.raises(AssertionError, match=message):
        forms.check_cluster({**values, **change})
