import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spatialreasoner.core.errors import InputError, MissingFileError
from spatialreasoner.scenes import rgbd
from spatialreasoner.scenes.files import load_scenes
from spatialreasoner.scenes.masks import decode
from spatialreasoner.scenes.measure import Measured

ENTRY: dict[str, Any] = {
    "image": "image.png",
    "depth": "depth.png",
    "depth_units_per_metre": 1000.0,
    "intrinsics": {"fx": 50.0, "fy": 50.0, "cx": 20.0, "cy": 15.0},
    "regions": [
        {"label": "box", "box": [2, 3, 12, 13]},
        {"label": "triangle", "polygon": [[20, 5], [30, 5], [25, 15]]},
        {"label": "runs", "rle": {"size": [30, 40], "counts": [10, 5, 1185]}},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "kitchen"
    folder.mkdir()
    Image.new("RGB", (40, 30)).save(folder / "image.png")
    Image.fromarray(np.full((30, 40), 1500, dtype=np.uint16)).save(folder / "depth.png")
    (folder / "scene.json").write_text(json.dumps(ENTRY))
    return folder


def test_the_folder_becomes_a_scene(folder: Path) -> None:
    scene = rgbd.load(folder)
    assert scene.id == "kitchen"
    assert [(r.id, r.label) for r in scene.regions] == [("region1", "box"), ("region2", "triangle"), ("region3", "runs")]
    assert decode(scene.regions[0].mask).sum() == 100
    assert decode(scene.regions[2].mask)[10:15, 0].all()


def set_at(path: str, value: object) -> dict[str, Any]:
    entry = json.loads(json.dumps(ENTRY))
    target = entry
    *parents, last = path.split(".")
    for key in parents:
        target = target[int(key) if key.isdigit() else key]
    if value is ...:
        del target[last]
    else:
        target[int(last) if last.isdigit() else last] = value
    return entry


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("image", "../other.png"),
        ("image", "/etc/passwd"),
        ("image", "missing.png"),
        ("depth", "image.png"),
        ("depth", ...),
        ("depth_units_per_metre", 0),
        ("depth_units_per_metre", -1000.0),
        ("intrinsics.fx", 0),
        ("intrinsics.fx", float("nan")),
        ("intrinsics.fy", float("inf")),
        ("intrinsics", ...),
        ("intrinsics", {}),
        ("regions", []),
        ("regions", {}),
        ("regions.0.label", ""),
        ("regions.0.label", 3),
        ("regions.0.box", [5, 5, 5, 9]),
        ("regions.0.box", [50, 5, 60, 9]),
        ("regions.0.polygon", [[0, 0], [1, 1], [2, 0]]),
        ("regions.1.polygon", [[0, 0], [1, 1]]),
        ("regions.2.rle", {"size": [10, 10], "counts": [50, 50]}),
        ("regions.2.rle", {"size": [30, 40], "counts": [50, 50]}),
        ("regions.2.rle", {"size": [30, 40], "counts": "nonsense"}),
        ("regions.2.rle", {"size": [0, 40], "counts": "0"}),
        ("gravity", [0, 0, 0]),
        ("gravity", [0, 1]),
        ("surprise", 1),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(folder: Path, path: str, value: object) -> None:
    (folder / "scene.json").write_text(json.dumps(set_at(path, value)))
    with pytest.raises(InputError) as caught:
        rgbd.load(folder)
    assert "kitchen" in str(caught.value)


def test_depth_of_another_size_is_refused(folder: Path) -> None:
    Image.fromarray(np.full((10, 10), 1500, dtype=np.uint16)).save(folder / "depth.png")
    with pytest.raises(InputError, match="image's size"):
        rgbd.load(folder)


def test_depth_without_any_measurement_is_refused(folder: Path) -> None:
    Image.fromarray(np.zeros((30, 40), dtype=np.uint16)).save(folder / "depth.png")
    with pytest.raises(InputError, match="no measurement"):
        rgbd.load(folder)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="expected a folder"):
        rgbd.load(tmp_path / "none")


def test_write_copies_and_reads_back(folder: Path, tmp_path: Path) -> None:
    assert rgbd.write_rgbd([folder], tmp_path / "out") == 1
    (scene,) = load_scenes(tmp_path / "out")
    assert scene.regions == rgbd.load(folder).regions
    assert Path(scene.image).is_file()


def test_nothing_is_written_when_one_folder_is_bad(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        rgbd.write_rgbd([folder, tmp_path / "none"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_folders_of_one_name_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="different names"):
        rgbd.write_rgbd([folder, folder], tmp_path / "out")


def test_real_photos_have_plausible_sizes(rgbd_folders: list[Path]) -> None:
    """A wardrobe of 1.2 m by 1.5 m, measured by hand from depth and polygon."""
    wardrobe = next(folder for folder in rgbd_folders if folder.name == "basement_b")
    measured = Measured(rgbd.load(wardrobe))
    assert measured.quantity("width", "region1").value == pytest.approx(1.22, rel=0.05)
    assert measured.quantity("height", "region1").value == pytest.approx(1.49, rel=0.05)


def test_sparse_lidar_is_measured_or_refused_with_a_reason(rgbd_folders: list[Path]) -> None:
    street = Measured(rgbd.load(next(folder for folder in rgbd_folders if folder.name == "street_a")))
    assert street.quantity("height", "region1").value == pytest.approx(1.43, rel=0.05)
    tram = street.quantity("height", "region3")
    assert tram.value is None
    assert "too few" in (tram.reason or "")
