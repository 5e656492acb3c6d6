"""The whole pipeline at its smallest: every stage for real."""

import json
from pathlib import Path

import pytest

from spatialreasoner.demo import DemoConfig, run

SMALL = DemoConfig(scenes=3, per_scene=2, test_scenes=1, photos=(), epochs=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    assert run(SMALL, out) == out / "report.html"
    return out


def test_every_stage_left_its_files(made: Path) -> None:
    for name in (
        "train/scenes/scenes.jsonl", "train/questions.jsonl", "train/search/trajectories.jsonl", "pairs/pairs.jsonl",
        "sft/model.safetensors", "dpo/model.safetensors", "fdpo/model.safetensors", "test/predictions-fdpo.jsonl",
    ):  # fmt: skip
        assert (made / name).stat().st_size > 0, name
    items = {json.loads(path.read_text())["items"] for path in (made / "test").glob("score-*.json")}
    assert items == {SMALL.test_scenes * SMALL.per_scene}


def test_the_report_shows_every_model(made: Path) -> None:
    page = (made / "report.html").read_text()
    for model in ("teacher", "sft", "dpo", "fdpo"):
        assert f">{model}<" in page
    assert "Search tree" in page


def test_the_same_command_again_repeats_nothing(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*.safetensors")}
    run(SMALL, made)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*.safetensors")} == before
