"""`scenes import` as a person types it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captures import png, realsense
from spatialreasoner.cli import main
from spatialreasoner.scenes import rgbd
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
        (["--from", "kinect9"], "expected --from to be auto or one of"),
        (["--from", "tum"], "rgb.txt"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scenes", "import", png(tmp_path), "--out", tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err


def test_regions_of_a_label_tool_come_with_it_and_boxes_are_cut_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = realsense(tmp_path)
    name = next(path.name for path in sorted(capture.rglob("*.jpg")))
    with Image.open(next(capture.rglob(name))) as image:
        size = image.size
    labels = {
        "images": [{"id": 1, "file_name": name, "width": size[0], "height": size[1]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [10, 10, 30, 20]}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    assert run("scenes", "import", capture, "--regions", tmp_path / "labels.json", "--out", tmp_path / "out") == 0
    scenes = [scene for scene in load_scenes(tmp_path / "out") if scene.regions]
    assert [[(one.label, one.region_source) for one in scene.regions] for scene in scenes] == [
        [("thing", "box, cut out by depth and colour")]
    ]
    assert rgbd.load(Path(scenes[0].image).parent).regions == scenes[0].regions
    labels["images"] = [{"id": 1, "file_name": "another.png", "width": size[0], "height": size[1]}]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    assert run("scenes", "import", capture, "--regions", tmp_path / "labels.json", "--out", tmp_path / "none") == 2
    assert "it names none of them" in capsys.readouterr().err
