"""The whole method at its smallest: every stage for real, on a few questions."""

import json
import shlex
import sys
from importlib import import_module
from pathlib import Path

import pytest

from spatialreasoner import cli
from spatialreasoner.core.errors import MissingExtraError
from spatialreasoner.demo import TEACHERS, DemoConfig, next_commands, run_demo
from spatialreasoner.report.study import study_figures


@pytest.fixture(scope="module")
def small() -> DemoConfig:
    return DemoConfig(scenes=3, per_scene=2, test_scenes=1, photos=(), max_new_tokens=16)


@pytest.fixture(scope="module")
def made(small: DemoConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    assert run_demo(small, out) == out / "report.html"
    return out


def test_every_stage_left_its_files(made: Path, small: DemoConfig) -> None:
    for name in (
        "look/marked.png", "train/scenes/scenes.jsonl", "train/questions.jsonl", "train/search/trajectories.jsonl",
        "pairs/pairs.jsonl", "sft/model.safetensors", "dpo/model.safetensors", "fdpo/model.safetensors",
        "test/predictions-base.jsonl", "test/predictions-fdpo.jsonl",
    ):  # fmt: skip
        assert (made / name).stat().st_size > 0, name
    items = {json.loads(path.read_text())["items"] for path in (made / "test").glob("score-*.json")}
    assert items == {small.test_scenes * small.per_scene}


def test_the_teachers_searched_and_regions_are_tokens(made: Path) -> None:
    summary = json.loads((made / "train" / "search" / "summary.json").read_text())
    assert summary["by_policy"].keys() == set(TEACHERS)
    assert all(policy["calls"] > 0 for policy in summary["by_policy"].values())
    row = json.loads((made / "pairs" / "pairs.jsonl").read_text().splitlines()[0])
    assert len(row["regions"]) in {1, 2}


def test_the_report_shows_every_model_and_how_it_learned(made: Path) -> None:
    page = (made / "report.html").read_text()
    for model in ("base", "sft", "dpo", "fdpo"):
        assert f">{model}<" in page
    for part in ("Search tree", "margin by segment", "success rate by category"):
        assert part in page


def test_the_report_shows_the_study_as_the_studys(made: Path) -> None:
    page = (made / "report.html").read_text()
    assert "Measured by the study, not by this run" in page
    for row in (*study_figures().models, *study_figures().differences):
        assert f"<th>{row.title}</th><td>{row.seeds}</td>" in page


def test_the_same_command_again_repeats_nothing(made: Path, small: DemoConfig) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*.safetensors")}
    run_demo(small, made)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*.safetensors")} == before


def test_what_it_suggests_next_works(made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ask, app, train = (shlex.split(command)[1:] for command in next_commands(made))
    with pytest.raises(SystemExit, match="0"):
        cli.main([*ask, "--max-new-tokens", "4"])
    served = []
    monkeypatch.setattr(import_module("spatialreasoner.app.serve"), "serve", served.append)  # it would serve for ever
    with pytest.raises(SystemExit, match="0"):
        cli.main(app)
    assert served[0].models == (str(made / "fdpo"),)
    assert Path(served[0].runs[0]) == made
    with pytest.raises(SystemExit, match="0"):
        cli.main([*train, "max_steps=1"])
    assert (made / "fdpo-bolder" / "model.safetensors").is_file()


def test_without_what_training_needs_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=r"spatialreasoner\[train\]"):
        run_demo(DemoConfig(), tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
