"""Scenes as records and files: true, the same every time, and unhurt by being killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields

import numpy as np
import pytest

from spatialreasoner.core.errors import ConfigError, WorkError
from spatialreasoner.scenes import files, masks
from spatialreasoner.scenes.geometry import level, unproject
from spatialreasoner.scenes.synthetic import SyntheticConfig, make_scene, write_synthetic

CONFIG = SyntheticConfig(count=20, seed=11)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("scenes") / "out"
    assert write_synthetic(CONFIG, out, workers=1) == 20
    return out


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_loads(folder):
    scenes = list(files.load_scenes(folder))
    assert [scene.id for scene in scenes] == [f"synthetic-11-{index:06d}" for index in range(20)]
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "depth", "images", "scenes.jsonl"]
    for scene in scenes:
        assert files.read_image(scene.image).size == (128, 128)
        assert not np.isnan(files.read_depth(scene.depth)).any()


def test_the_same_seed_gives_the_same_bytes_whatever_the_workers(folder, tmp_path):
    counts = []
    write_synthetic(CONFIG, tmp_path / "two", counts.append, workers=2)
    assert contents(tmp_path / "two") == contents(folder)
    assert counts == sorted(counts)
    assert counts[-1] == 20


def test_other_seeds_give_other_scenes():
    assert make_scene(0, 0).scene.regions != make_scene(1, 0).scene.regions


def test_what_is_made_in_memory_is_what_is_written(folder):
    made = make_scene(11, 4)
    scene = files.scene_index(folder)[made.scene.id]
    assert (scene.regions, scene.objects) == (made.scene.regions, made.scene.objects)
    np.testing.assert_array_equal(np.asarray(files.read_image(scene.image)), made.image)
    np.testing.assert_allclose(files.read_depth(scene.depth), made.depth, atol=0.0005001)


def test_regions_are_disjoint_and_large_enough(folder):
    for scene in files.load_scenes(folder):
        decoded = [masks.decode(region.mask) for region in scene.regions]
        assert 3 <= len(decoded) <= 10
        assert min(mask.sum() for mask in decoded) >= 25
        assert sum(mask.astype(int) for mask in decoded).max() == 1
        assert [region.id for region in scene.regions] == [f"region{i}" for i in range(1, len(decoded) + 1)]


def test_the_depth_of_a_region_lies_in_its_objects_box(folder):
    """Lifted with the camera and levelled with gravity, every pixel is in the true box, give or take a rounded millimetre."""
    for scene in files.load_scenes(folder):
        points = unproject(files.read_depth(scene.depth), scene.intrinsics)
        for thing in scene.objects:
            if thing.region_id is None:
                continue
            own = level(points[masks.decode(scene.region(thing.region_id).mask)], scene.gravity)
            centre, half = np.array(thing.centre), np.array(thing.size) / 2
            assert (np.abs(own - centre) <= half + 0.001).all(), (scene.id, thing)


def test_objects_name_their_regions_and_supporters(folder):
    for scene in files.load_scenes(folder):
        assert {thing.region_id for thing in scene.objects} - {None} == {region.id for region in scene.regions}
        for index, thing in enumerate(scene.objects):
            assert 0 <= thing.visible <= 1
            assert thing.supported_by is None or thing.supported_by < index
            if thing.region_id:
                assert scene.region(thing.region_id).label == f"{thing.colour} {thing.kind}"


def test_what_is_hardly_seen_is_not_a_region():
    """In small images some things show fewer than 25 pixels: known as objects, but not shown as regions."""
    scenes = [make_scene(0, index, width=64, height=64).scene for index in range(40)]
    objects = [thing for scene in scenes for thing in scene.objects]
    assert any(thing.region_id is None for thing in objects)
    assert all(masks.decode(region.mask).sum() >= 25 for scene in scenes for region in scene.regions)
    assert any(thing.visible < 0.6 for thing in objects)
    assert np.mean([thing.visible == 1 for thing in objects]) > 0.4


def start(out, count, workers):
    """Make scenes in another process, which leads a group of its own; returns once three are made."""
    command = (
        "import sys; from spatialreasoner.scenes.synthetic import SyntheticConfig, write_synthetic\n"
        "if __name__ == '__main__':\n"
        f"    write_synthetic(SyntheticConfig(count={count}, seed=11), sys.argv[1], workers={workers})"
    )
    process = subprocess.Popen([sys.executable, "-c", command, str(out)], start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(out.glob(".unfinished/*.json"))) < 3:
        assert process.poll() is None, "it ended before three scenes were made"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return process


def group_lives(leader):
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_end_with_their_parent(tmp_path):
    process = start(tmp_path / "out", 2000, 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while group_lives(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(folder, tmp_path):
    out = tmp_path / "out"
    process = start(out, 20, 1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "scenes.jsonl").exists()
    finished = [path.stem for path in out.glob(".unfinished/*.json")]
    before = {name: (out / f"images/{name}.png").stat().st_mtime_ns for name in finished}
    write_synthetic(CONFIG, out, workers=1)
    shutil.copyfile(folder / "config.json", out / "config.json")  # names the commit, which another process reads again
    assert contents(out) == contents(folder)
    assert before == {name: (out / f"images/{name}.png").stat().st_mtime_ns for name in finished}


def test_a_finished_folder_is_left_alone(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert write_synthetic(CONFIG, folder) == 20
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_folder_of_other_settings_is_refused(folder):
    with pytest.raises(ConfigError, match="other settings"):
        write_synthetic(SyntheticConfig(count=20, seed=12), folder)


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "holiday.txt").write_text("mine")
    with pytest.raises(ConfigError, match="empty or new folder"):
        write_synthetic(CONFIG, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.txt"]
    with pytest.raises(ConfigError, match="it is a file"):
        write_synthetic(CONFIG, tmp_path / "holiday.txt")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": 1}', '{"stage": "scenes synthetic", "config": null}'])
def test_a_folder_with_a_broken_config_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError):
        write_synthetic(CONFIG, tmp_path)


def test_an_unwritable_place_is_a_work_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="cannot write"):
        write_synthetic(CONFIG, tmp_path / "file" / "below")


@pytest.mark.parametrize(
    "change",
    [
        {"count": 0},
        {"count": -1},
        {"count": 10**9},
        {"seed": -1},
        {"width": 0},
        {"width": 20},
        {"height": 100_000},
        {"width": 1024, "height": 128},
    ],
)
def test_senseless_settings_are_refused(change):
    with pytest.raises(ConfigError, match="got"):
        SyntheticConfig(**{"count": 5, **change})


def test_the_number_of_workers_is_checked(tmp_path):
    with pytest.raises(ConfigError, match="workers"):
        write_synthetic(CONFIG, tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("field", [field.name for field in fields(SyntheticConfig) if field.name != "count"])
def test_every_setting_matters(field):
    """Each field of the config changes the scene itself."""
    base = {"seed": 0, "width": 128, "height": 128}
    changed = make_scene(index=0, **{**base, field: base[field] + 64})
    assert changed.scene != make_scene(index=0, **base).scene
