"""From a capture to files: RGB-D folders that the product reads, whole, resumable, with what was left out told."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captures import MAKERS, depth_map, grey, metres
from spatialreasoner.core.errors import ConfigError, SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes import rgbd
from spatialreasoner.scenes.files import load_scenes, read_depth, read_image
from spatialreasoner.scenes.importers import KINDS, Frame, chosen, import_scenes
from spatialreasoner.scenes.importers.write import files_of, scene_id, units_for


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_scenes(kind: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path)
    done = import_scenes(path, out=tmp_path / "out")
    scenes = list(load_scenes(tmp_path / "out"))
    assert done.kind == kind
    assert len(scenes) == done.scenes >= 1
    for scene in scenes:
        assert scene.depth is not None
        image, depth = read_image(scene.image), read_depth(scene.depth)
        assert depth.shape == (image.height, image.width)
        assert scene.source


def test_each_scene_s_folder_is_an_rgbd_folder(tmp_path: Path) -> None:
    import_scenes(MAKERS["sunrgbd"](tmp_path), out=tmp_path / "out")
    (scene,) = load_scenes(tmp_path / "out")
    read = rgbd.load(Path(scene.image).parent)
    assert (read.id, read.intrinsics, read.regions) == (scene.id, scene.intrinsics, scene.regions)
    assert read.gravity == pytest.approx(scene.gravity)


def test_a_folder_without_regions_says_what_to_do(tmp_path: Path) -> None:
    import_scenes(MAKERS["png"](tmp_path), out=tmp_path / "out")
    (scene,) = load_scenes(tmp_path / "out")
    with pytest.raises(Exception, match="draw them in the app"):
        rgbd.load(Path(scene.image).parent)
    assert rgbd.load(Path(scene.image).parent, need_regions=False).regions == ()


def test_the_app_shows_an_import_in_which_regions_are_to_be_drawn(tmp_path: Path) -> None:
    from spatialreasoner.app.images import Examples

    import_scenes(MAKERS["png"](tmp_path), out=tmp_path / "out")
    assert Examples(tmp_path, [str(tmp_path / "out")]).scene(0).regions == ()


def test_whole_numbers_are_kept_as_they_are(tmp_path: Path) -> None:
    import_scenes(MAKERS["tum"](tmp_path), out=tmp_path / "out")
    scene = next(load_scenes(tmp_path / "out"))
    assert scene.depth is not None
    assert scene.depth.units_per_metre == 5000
    np.testing.assert_array_equal(np.asarray(Image.open(scene.depth.path)), depth_map(96, 128) * 5)


def test_a_jpeg_is_copied_and_not_packed_anew(tmp_path: Path) -> None:
    path = MAKERS["realsense"](tmp_path)
    import_scenes(path, out=tmp_path / "out")
    scene = next(load_scenes(tmp_path / "out"))
    assert Path(scene.image).read_bytes() == (path / "color" / "000000.jpg").read_bytes()


def test_the_same_call_continues_and_another_is_refused(tmp_path: Path) -> None:
    path = MAKERS["realsense"](tmp_path)
    first = import_scenes(path, out=tmp_path / "out")
    before = (tmp_path / "out" / "scenes.jsonl").read_bytes()
    assert import_scenes(path, out=tmp_path / "out") == first
    assert (tmp_path / "out" / "scenes.jsonl").read_bytes() == before
    with pytest.raises(ConfigError, match="other settings"):
        import_scenes(path, out=tmp_path / "out", every=2)
    (path / "depth" / "000000.png").write_bytes(b"another recording")
    with pytest.raises(ConfigError, match="the capture changed since"):
        import_scenes(path, out=tmp_path / "out")


def test_a_broken_frame_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = MAKERS["realsense"](tmp_path)
    (path / "depth" / "000000.png").write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        done = import_scenes(path, out=tmp_path / "out")
    assert (done.scenes, list(done.left_out)) == (1, ["000000"])
    assert "000000" in caplog.text
    assert [scene.id for scene in load_scenes(tmp_path / "out")] == ["realsense-000001"]


def test_where_no_frame_is_usable_the_reason_is_raised(tmp_path: Path) -> None:
    path = MAKERS["png"](tmp_path)
    (path / "a_depth.png").write_bytes(grey(depth_map(48, 64) * 0))
    with pytest.raises(SceneError, match="no pixel"):
        import_scenes(path, out=tmp_path / "out")


def test_a_camera_of_another_resolution_is_refused(tmp_path: Path) -> None:
    path = MAKERS["png"](tmp_path)
    (path / "intrinsics.txt").write_text("600 600 319 239")
    with pytest.raises(SceneError, match=r"another resolution.*multiply fx, fy, cx and cy by 0.1"):
        import_scenes(path, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("count", "every", "limit", "places"),
    [(5, 1, None, [0, 1, 2, 3, 4]), (5, 2, None, [0, 2, 4]), (100, 1, 3, [0, 50, 99]), (3, 1, 100, [0, 1, 2]), (7, 3, 1, [0])],
)
def test_frames_are_chosen_evenly(count: int, every: int, limit: int | None, places: list[int]) -> None:
    assert chosen(count, every, limit) == places


@pytest.mark.parametrize(("every", "limit"), [(0, None), (1, 0), (-1, 5)])
def test_a_choice_of_nothing_is_refused(every: int, limit: int | None) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        chosen(3, every, limit)


def frame(depth: np.ndarray, **changes: object) -> Frame:
    image = Image.new("RGB", depth.shape[::-1])
    camera = Intrinsics(fx=50.0, fy=50.0, cx=depth.shape[1] / 2, cy=depth.shape[0] / 2)
    return Frame(name="a", image=image, depth=depth, intrinsics=camera, **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("farthest", "own", "units"),
    [(3.0, None, 10000), (8.0, None, 5000), (50.0, None, 1000), (300.0, 256.0, 100), (80.0, 256.0, 256)],
)
def test_the_unit_is_the_finest_that_holds_the_depth(farthest: float, own: float | None, units: float) -> None:
    depth = np.full((4, 4), farthest, dtype=np.float32)
    assert units_for(frame(depth, units_per_metre=own)) == units


def test_depth_without_scale_says_so_in_both_files() -> None:
    scene, files = files_of(frame(metres(depth_map(48, 64)), metric=False), "a", "phone")
    assert scene.depth is not None
    assert scene.depth.metric is False
    assert json.loads(files["a/scene.json"])["metric"] is False


def test_ids_are_parts_of_file_names() -> None:
    assert scene_id("../../etc", "a/b\0c") == "etc-a_b_c"
    assert scene_id("", "") == "scene"
    assert len(scene_id("x" * 500, "y")) == 150
