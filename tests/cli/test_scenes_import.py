"""`scenes import` as a person types it."""

from pathlib import Path

import numpy as np
import pytest

from captures import png, realsense
from spatialreasoner.cli import main
from spatialreasoner.scenes.files import load_scenes


def run(*arguments: object) -> int:
    """The exit code of a command line."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_a_capture_is_imported_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scenes", "import", realsense(tmp_path), "--out", tmp_path / "out", "--limit", "1") == 0
    assert "1 scenes of 2 frames" in capsys.readouterr().out
    assert len(list(load_scenes(tmp_path / "out"))) == 1


def test_a_camera_by_hand(tmp_path: Path) -> None:
    assert (
        run("scenes", "import", "--from", "png", png(tmp_path), "--out", tmp_path / "out", "--intrinsics", "58,59,32,24") == 0
    )
    (scene,) = load_scenes(tmp_path / "out")
    assert scene.intrinsics is not None
    assert np.allclose([scene.intrinsics.fx, scene.intrinsics.cy], [58, 24])


def test_the_kinds_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scenes", "import", "--kinds") == 0
    assert "record3d" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--intrinsics", "1,2,3"], "four numbers"),
        (["--from", "kinect9"], "expected --from auto or one of"),
        (["--from", "tum"], "rgb.txt"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scenes", "import", png(tmp_path), "--out", tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err
