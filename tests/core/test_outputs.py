"""Nothing but a file of results is ever replaced by one. The devices here are pipes and nodes of a test's own folder."""

import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from spatialreasoner import cli
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.outputs import apply_umask
from spatialreasoner.core.records import atomic_path, write_jsonl


def ended(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    return end.value.code


def make(kind, folder):
    path = folder / "out.jsonl"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        try:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("making a device needs root")
    else:
        path.symlink_to(folder / "away" / "out.jsonl")
    return path


@pytest.mark.parametrize("kind", ["pipe", "device", "link to nothing"])
def test_what_is_not_a_file_stays_what_it_is(kind, tmp_path, capsys):
    path = make(kind, tmp_path)
    before = path.lstat()
    with pytest.raises(ConfigError):
        write_jsonl(path, [1])
    assert ended("generate", tmp_path / "questions.jsonl", "--model", "nano", "--out", path) == 2
    assert capsys.readouterr().err.count("error: ") == 1
    assert path.lstat() == before
    assert [each.name for each in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_link_to_a_file_leads_there(tmp_path):
    (tmp_path / "real.jsonl").write_text("old")
    (tmp_path / "out.jsonl").symlink_to("real.jsonl")
    write_jsonl(tmp_path / "out.jsonl", [1])
    assert (tmp_path / "out.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").read_text() == "1\n"


@pytest.mark.parametrize(
    "command",
    [
        ["generate", "IN", "--model", "nano", "--out", "IN"],
        ["reward", "other.jsonl", "IN", "--out", "IN"],
        ["score", "IN", "--out", "./IN"],
        ["ask", "IN", "How wide is <region1>?", "--save-marked", "IN"],
    ],
)
def test_an_input_is_never_replaced(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "IN").write_text("mine")
    assert ended(*command) == 2
    assert "also an input" in capsys.readouterr().err
    assert (tmp_path / "IN").read_text() == "mine"


@pytest.mark.parametrize("out", ["", ".", "-", "folder", "a" * 300])
def test_a_file_needs_a_name(out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert ended("generate", "questions.jsonl", "--model", "nano", "--out", out) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_long_question_is_not_an_input(tmp_path, capsys):
    question = "How wide is <region1>? " * 20
    (tmp_path / "marked.png").write_text("old")
    assert ended("ask", tmp_path / "photo.png", question, "--region", "1,1,9,9", "--save-marked", tmp_path / "marked.png") == 2
    assert "photo.png" in capsys.readouterr().err


def test_a_full_disk_behind_standard_output_is_told(tmp_path):
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "spatialreasoner", "explain", "<region1> is 1.5 m wide."]
        end = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
    assert end.returncode == 1
    assert end.stderr == "error: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_weights_have_the_permissions_that_the_umask_gives(mask, mode, tmp_path):
    names = ("alone.safetensors", "folder/checkpoint-1/model.safetensors", "appears.safetensors")
    alone, deep, appears = (tmp_path / name for name in names)
    deep.parent.mkdir(parents=True)
    before = os.umask(mask)
    try:
        for path in (alone, deep):
            save_file({"a": np.zeros(1)}, path)
        with atomic_path(appears) as temporary:
            save_file({"a": np.zeros(1)}, temporary)
        apply_umask(alone)
        apply_umask(tmp_path / "folder")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (alone, deep, appears)] == [mode] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.safetensors", "appears.safetensors", "folder"]


def test_what_a_user_allowed_to_others_stays_so(tmp_path):
    path = tmp_path / "model.safetensors"
    path.touch(0o604)
    apply_umask(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
