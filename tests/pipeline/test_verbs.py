"""Verbs that the command line only calls: what they return to those who write Python."""

from pathlib import Path

import pytest
from rich.text import Text

from captures import realsense
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.pipeline import explain_text, measure, read_capture, train


def test_measuring_gives_the_table(rgbd_folders):
    found = measure(rgbd_folders[0], progress=None)
    assert (found.stage, found.out, found.complete) == ("measure", None, True)
    assert found.count == len(found.details.regions) > 0


def test_a_text_is_explained_and_an_unknown_category_refused():
    assert "1.5" in explain_text("<region1> is 1.5 m wide.", question="How wide is <region1>?", category="width_data")
    with pytest.raises(ConfigError, match="expected one of the categories"):
        explain_text("No.", category="width")


def test_a_frame_that_cannot_be_used_is_told_and_leaves_the_result_complete(tmp_path: Path):
    path = realsense(tmp_path)
    (path / "depth" / "000000.png").write_bytes(b"broken")
    found = read_capture(path, out=tmp_path / "out", progress=None)
    assert (found.count, found.complete) == (1, True)
    assert list(found.summary["left_out"]) == ["000000"]
    assert found.details.left_out == found.summary["left_out"]


@pytest.mark.parametrize("kind", ["sft", "fdpo"])
def test_a_dry_run_gives_the_plan_and_writes_nothing(kind, run_dir, tmp_path, capsys):
    pytest.importorskip("trl")
    data = run_dir / "pairs" / ("sft.jsonl" if kind == "sft" else "pairs.jsonl")
    done = train(data, kind=kind, model="tiny", out=tmp_path / "out", dry_run=True, progress=None, max_steps=7)
    assert (done.out, (tmp_path / "out").exists()) == (None, False)
    assert "in one process 7 steps" in done.summary["plan"]
    assert isinstance(done.details, Text) == (kind == "fdpo")
    assert "check the rows" not in capsys.readouterr().err
