"""A training that was killed anywhere ends as one that was not; what is damaged or has changed is told."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.checkpoints import damage_of, latest_checkpoint
from spatialreasoner.training.run import run_training
from tiny import TINY

SAME = ("model.safetensors", "metrics.jsonl", "training.json", "README.md")


@pytest.fixture
def start(data, fast, tmp_path):
    def start(out, *overrides, model=TINY):
        run_training("sft", model=model, data=data / "sft.jsonl", out=tmp_path / out, overrides=[*fast, *overrides])
        return tmp_path / out

    return start


@pytest.mark.parametrize("limit", ["max_steps=2", "max_steps=4", "num_train_epochs=0.5", "num_train_epochs=1.4"])
def test_killed_after_the_last_checkpoint_it_takes_no_further_step(start, cut_before_saving, limit):
    whole = start("whole", limit, "save_steps=1")

    for _ in range(3):  # each time at the same moment, as on a disk that stays full
        with cut_before_saving():
            start("cut", limit, "save_steps=1")
    cut = start("cut", limit, "save_steps=1")
    for name in SAME:
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.safetensors", "scheduler.json", "trainer_state.json", "config.json"]
)
def test_of_damaged_checkpoints_the_newest_whole_one_is_used_and_said(start, tmp_path, name, caplog):
    whole = start("whole", "max_steps=4", "save_steps=1", "save_total_limit=3")
    out = tmp_path / "cut"
    shutil.copytree(whole, out)
    for made in ("README.md", "model.safetensors", "metrics.jsonl"):
        (out / made).unlink()
    damaged = out / "checkpoint-4" / name
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    assert latest_checkpoint(out) == out / "checkpoint-3"
    assert f"{name} is not as it was written" in caplog.text
    start("cut", "max_steps=4", "save_steps=1", "save_total_limit=3")
    for made in ("model.safetensors", "metrics.jsonl"):
        assert (out / made).read_bytes() == (whole / made).read_bytes(), made


@pytest.mark.parametrize("name", ["scheduler.json", "model.safetensors", "trainer_state.json", "digests.json"])
@pytest.mark.parametrize("kind", ["a folder", "a pipe"])
def test_what_is_no_file_in_a_checkpoint_is_said_and_out_of_the_way(start, tmp_path, kind, name, caplog):
    whole = start("whole", "max_steps=2", "save_steps=1")
    out = tmp_path / "cut"
    shutil.copytree(whole, out)
    for made in ("README.md", "model.safetensors", "metrics.jsonl"):
        (out / made).unlink()
    (out / "checkpoint-2" / name).unlink()
    (Path.mkdir if kind == "a folder" else os.mkfifo)(out / "checkpoint-2" / name)
    start("cut", "max_steps=2", "save_steps=1")
    assert f"{name} is not a file" in caplog.text
    assert (out / "checkpoint-2.not-a-checkpoint").is_dir()
    for made in ("model.safetensors", "metrics.jsonl", f"checkpoint-2/{name}"):
        assert (out / made).read_bytes() == (whole / made).read_bytes(), made


def vouch(checkpoint):
    """Write the digests of the files as they are: they were written so."""
    files = [path for path in checkpoint.iterdir() if path.name != "digests.json"]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (checkpoint / "digests.json").write_text(json.dumps(digests))


def altered(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


LIES = {
    "a step far ahead": lambda folder: altered(folder / "trainer_state.json", global_step=10**9),
    "a step in words": lambda folder: altered(folder / "trainer_state.json", global_step="two"),
    "a schedule of no keys": lambda folder: (folder / "scheduler.json").write_text("{}"),
    "a schedule that is a list": lambda folder: (folder / "scheduler.json").write_text("[1]"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_checkpoint_that_contradicts_itself_is_passed_over(start, tmp_path, lie, caplog):
    whole = start("whole", "max_steps=2", "save_steps=1")
    out = tmp_path / "cut"
    shutil.copytree(whole, out)
    for made in ("README.md", "model.safetensors", "metrics.jsonl"):
        (out / made).unlink()
    LIES[lie](out / "checkpoint-2")
    vouch(out / "checkpoint-2")
    start("cut", "max_steps=2", "save_steps=1")
    assert "checkpoint-2 is not used" in caplog.text
    for made in ("model.safetensors", "metrics.jsonl"):
        assert (out / made).read_bytes() == (whole / made).read_bytes(), made


def test_an_optimizer_of_other_shapes_is_refused_before_it_is_used(start, tmp_path):
    out = start("out", "max_steps=3", "save_steps=1")
    for made in ("README.md", "model.safetensors", "metrics.jsonl"):
        (out / made).unlink()
    shutil.rmtree(out / "checkpoint-3", ignore_errors=True)
    path = out / "checkpoint-2" / "optimizer.safetensors"
    with safe_open(path, framework="pt") as file:
        kept = file.metadata()
    cut = {name: value[..., :1].clone() if value.ndim else value for name, value in load_file(path).items()}
    save_file(cut, path, kept)
    vouch(out / "checkpoint-2")
    with pytest.raises(ConfigError, match=r"states of another training: ValueError: exp_avg of shape.*checkpoint before it"):
        start("out", "max_steps=3", "save_steps=1")


def test_a_checkpoint_without_digests_is_whole_if_all_of_it_can_be_read(start):
    checkpoint = start("out", "max_steps=1") / "checkpoint-1"
    (checkpoint / "digests.json").unlink()
    assert damage_of(checkpoint) is None
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    assert "model.safetensors cannot be read" in (damage_of(checkpoint) or "")
    (checkpoint / "trainer_state.json").unlink()
    assert damage_of(checkpoint) == "it is not complete"


def test_a_base_model_or_an_image_that_changed_is_told_instead_of_an_old_result(start, data, tmp_path):
    base = start("base", "max_steps=1")
    start("tuned", "max_steps=1", model=str(base))
    start("tuned", "max_steps=1", model=str(base))
    template = base / "chat_template.jinja"
    template.write_text(template.read_text() + "{# changed #}")
    with pytest.raises(ConfigError, match=r"differs in model_files"):
        start("tuned", "max_steps=1", model=str(base))
    image = next((data / "images").glob("*.png")) if (data / "images").is_dir() else next(data.rglob("*.png"))
    Image.open(image).convert("RGB").rotate(180).save(image)
    with pytest.raises(ConfigError, match=r"differs in images"):
        start("base", "max_steps=1")
