"""Every kind of capture, read from a file of its own layout: recognised, and depth, camera and gravity as its rule says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from captures import MAKERS, bop, depth_map, kitti_raw, metres, nyu, polycam, record3d
from spatialreasoner.core.errors import ConfigError, InputError, MissingFileError, RecordError, SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import KINDS, Frame, FrameOptions, find_kind, importers, open_capture, read_frames
from spatialreasoner.scenes.importers.store import open_store


def first(kind: str, folder: Path, **options: object) -> Frame:
    return next(read_frames(MAKERS[kind](folder), kind, options=FrameOptions(**options)))


def camera_of(frame: Frame) -> tuple[float, float, float, float]:
    camera = frame.intrinsics
    return camera.fx, camera.fy, camera.cx, camera.cy


def looks_down(degrees: float) -> tuple[float, float, float]:
    """Gravity of a level camera that looks down by an angle."""
    return (0.0, np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))


def grown(depth: np.ndarray, times: int) -> np.ndarray:
    """Depth of a smaller grid on the image's: each pixel its nearest."""
    return depth.repeat(times, axis=0).repeat(times, axis=1)


def test_every_kind_has_a_sample() -> None:
    assert set(KINDS) == set(MAKERS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_capture_is_recognised(kind: str, tmp_path: Path) -> None:
    found, _ = find_kind(open_store(MAKERS[kind](tmp_path)))
    assert found.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_of_one_grid(kind: str, tmp_path: Path) -> None:
    frames = list(read_frames(MAKERS[kind](tmp_path)))
    assert frames
    for frame in frames:
        assert frame.depth.shape == frame.size
        assert frame.depth.dtype == np.float32
        assert np.isfinite(frame.depth).any()
        assert np.isfinite(frame.depth).all() == (kind in {"iphone", "android"})  # phones fill every pixel


@pytest.mark.parametrize(
    ("kind", "camera", "depth"),
    [
        ("arkitscenes", None, None),
        ("7scenes", None, (48, 64)),
        ("bop", (60.0, 61.0, 31.0, 23.0), (48, 64)),
        ("tum", (105.0, 105.0, 63.5, 47.5), (96, 128)),
        ("realsense", (110.0, 111.0, 64.5, 47.0), (96, 128)),
        ("sunrgbd", (103.7, 103.9, 65.1, 50.7), (96, 128)),
        ("matterport3d", (107.5, 107.6, 63.0, 51.0), (96, 128)),
        ("diode", None, (48, 64)),
        ("exr", (60.0, 61.0, 31.0, 23.0), (48, 64)),
        ("npy", (60.0, 61.0, 31.0, 23.0), (48, 64)),
        ("pfm", (60.0, 61.0, 31.0, 23.0), (48, 64)),
        ("png", (60.0, 61.0, 31.0, 23.0), (48, 64)),
        ("nyu", None, (48, 64)),
    ],
)
def test_depth_and_camera_of_the_image_s_own_grid(kind, camera, depth, tmp_path: Path) -> None:
    frame = first(kind, tmp_path)
    if depth is not None:
        np.testing.assert_allclose(frame.depth, metres(depth_map(*depth)), rtol=1e-6)
    if camera is not None:
        assert camera_of(frame) == pytest.approx(camera)


def test_depth_of_bop_is_scaled_by_each_image_s_own_factor(tmp_path: Path) -> None:
    place = bop(tmp_path)
    both = list(read_frames(place))
    for frame in both:
        np.testing.assert_allclose(frame.depth, metres(depth_map(48, 64)), rtol=1e-6)
    assert [frame.units_per_metre for frame in both] == [1000, 10000]
    (place / "scene_camera.json").write_text('{"1": {"cam_K": [60, 0, 31, 0, 61, 23, 0, 0, 1]}}')
    with pytest.raises(RecordError, match="depth_scale"):
        next(read_frames(place))


@pytest.mark.parametrize(
    ("kind", "size", "scale", "rounding"),
    [
        ("replica", (68, 120), 1, 1 / 6553.5),
        ("vkitti", (60, 124), 1, 0.01),
        ("kitti", (60, 200), 5, 1 / 256),
        ("middlebury", (48, 64), 1, 1e-5),
    ],
)
def test_depth_to_within_the_file_s_own_rounding(kind, size, scale, rounding, tmp_path: Path) -> None:
    truth = metres(depth_map(*size)) * scale
    found = first(kind, tmp_path).depth
    assert np.isfinite(found).tolist() == np.isfinite(truth).tolist()
    assert np.nanmax(np.abs(found - truth)) <= rounding


def test_record3d_has_the_camera_of_the_image_and_the_depth_of_another_grid(tmp_path: Path) -> None:
    frames = list(read_frames(record3d(tmp_path)))
    assert [camera_of(frame) for frame in frames] == [(160.0, 161.0, 90.0, 120.0), (161.0, 162.0, 90.0, 120.0)]
    small = metres(depth_map(64, 48))
    small[:, -6:] = np.nan  # low confidence
    assert frames[0].size == (240, 180)
    columns, rows = (np.arange(180) + 0.5) * 48 // 180, (np.arange(240) + 0.5) * 64 // 240
    np.testing.assert_array_equal(frames[0].depth, small[rows.astype(int)[:, None], columns.astype(int)])
    assert frames[0].gravity == pytest.approx(looks_down(20), abs=1e-6)


def test_low_confidence_is_kept_where_one_asks(tmp_path: Path) -> None:
    frame = next(read_frames(record3d(tmp_path), options=FrameOptions(min_confidence=0)))
    assert np.isfinite(frame.depth[:, -20:]).all()
    only_high = next(read_frames(polycam(tmp_path), options=FrameOptions(min_confidence=2)))
    medium_too = next(read_frames(polycam(tmp_path), options=FrameOptions(min_confidence=1)))
    assert np.isfinite(only_high.depth).sum() < np.isfinite(medium_too.depth).sum()


def test_a_recording_without_confidence_keeps_all(tmp_path: Path) -> None:
    frame = next(read_frames(record3d(tmp_path, confidence=False)))
    assert np.isfinite(frame.depth[:, -20:]).all()


def test_polycam_takes_the_corrected_camera_and_turns_the_image_upright(tmp_path: Path) -> None:
    frame = first("polycam", tmp_path)
    assert frame.size == (256, 192)
    assert frame.gravity == pytest.approx(looks_down(15), abs=1e-6)
    fx, fy, cx, cy = camera_of(frame)
    assert (fx, fy) == (200.0, 200.0)
    assert (cx, cy) in {(95.0, 128.0), (96.0, 127.0)}  # one of the two quarter turns, by which way is down
    plain = next(read_frames(polycam(tmp_path, corrected=False), options=FrameOptions()))
    assert plain.intrinsics.fx == 181.0  # the sensor's fy, since the image is turned


def test_a_turned_frame_unprojects_to_the_same_points(tmp_path: Path) -> None:
    """Turning must move image, depth, camera and gravity together: heights above the camera stay."""
    from spatialreasoner.scenes.geometry import unproject

    path = MAKERS["arkitscenes"](tmp_path)
    kind, capture = open_capture(path)
    raw = next(capture.read([0]))
    frame = next(read_frames(path))
    assert kind.kind == "arkitscenes"
    assert frame.size == raw.size[::-1]
    heights = [np.sort((unproject(f.depth, f.intrinsics) @ np.asarray(f.gravity)).ravel()) for f in (raw, frame)]
    np.testing.assert_allclose(heights[0], heights[1], atol=1e-5)
    assert frame.gravity == pytest.approx(looks_down(25), abs=1e-5)


def test_stray_scanner_s_video_goes_with_its_depth(tmp_path: Path) -> None:
    path = MAKERS["stray"](tmp_path)
    frames = list(read_frames(path, every=2))
    assert [frame.name for frame in frames] == ["000000", "000002", "000004"]
    reds = [np.asarray(frame.image)[..., 0].mean() for frame in frames]
    assert reds == pytest.approx([0, 80, 160], abs=4)
    expected = metres(depth_map(48, 64)) + np.float32(0.002)
    expected[:, -4:] = np.nan
    np.testing.assert_allclose(frames[1].depth, grown(expected, 4), rtol=1e-6)
    assert camera_of(frames[1]) == (210.0, 211.0, 127.5, 95.5)
    assert frames[1].gravity == pytest.approx(looks_down(10), abs=1e-6)


@pytest.mark.parametrize("kind", ["scannet", "scannet-sens"])
def test_scannet_s_depth_is_brought_to_colour_by_both_cameras(kind: str, tmp_path: Path) -> None:
    frame = first(kind, tmp_path)
    assert camera_of(frame) == pytest.approx((220.0, 221.0, 127.0, 97.0))
    u, v = 200, 150
    at = round((u - 127.0) / 220.0 * 58.0 + 31.5), round((v - 97.0) / 221.0 * 58.5 + 23.5)
    assert frame.depth[v, u] == pytest.approx(metres(depth_map(48, 64))[at[1], at[0]])
    assert frame.gravity == pytest.approx(looks_down(30), abs=1e-6)


def test_scannet_without_a_pose_has_no_gravity(tmp_path: Path) -> None:
    frames = list(read_frames(MAKERS["scannet"](tmp_path)))
    assert frames[1].gravity is None


def test_sens_frames_can_be_skipped(tmp_path: Path) -> None:
    frames = list(read_frames(MAKERS["scannet-sens"](tmp_path), every=2))
    assert [frame.name for frame in frames] == ["000000", "000002"]
    assert np.nanmin(frames[1].depth) - np.nanmin(frames[0].depth) == pytest.approx(0.002, rel=1e-3)


def test_sunrgbd_has_its_newest_tilt_and_its_polygons(tmp_path: Path) -> None:
    frame = first("sunrgbd", tmp_path)
    assert frame.gravity == pytest.approx(looks_down(12), abs=1e-6)
    ((label, mask),) = frame.regions
    assert label == "chair"
    assert mask[50, 40]
    assert not mask[10, 10]


def test_nyu_has_things_and_no_walls(tmp_path: Path) -> None:
    frame = first("nyu", tmp_path)
    assert [(label, int(mask.sum())) for label, mask in frame.regions] == [("chair", 400), ("chair", 320)]
    assert frame.note == ""
    filled = next(read_frames(nyu(tmp_path, raw=False)))
    assert "filled in" in filled.note


def test_hypersim_s_distances_become_depth(tmp_path: Path) -> None:
    frame = first("hypersim", tmp_path)
    known = frame.depth[np.isfinite(frame.depth)]
    np.testing.assert_allclose(known, 2.0, rtol=1e-6)
    assert frame.intrinsics.fx == pytest.approx(886.81 * 128 / 1024, rel=1e-5)
    assert frame.gravity == pytest.approx(looks_down(18), abs=1e-6)


@pytest.mark.parametrize(("kind", "degrees"), [("matterport3d", 22), ("replica", 8), ("tum", 35)])
def test_gravity_of_a_world_with_z_up(kind: str, degrees: float, tmp_path: Path) -> None:
    assert first(kind, tmp_path).gravity == pytest.approx(looks_down(degrees), abs=1e-6)


def test_tum_pairs_the_nearest_in_time_once(tmp_path: Path) -> None:
    _, capture = open_capture(MAKERS["tum"](tmp_path))
    assert capture.names == ("1.000", "1.033")


def test_vkitti_has_its_car(tmp_path: Path) -> None:
    frame = first("vkitti", tmp_path)
    assert [(label, int(mask.sum())) for label, mask in frame.regions] == [("car", 600)]
    assert frame.gravity == pytest.approx((0, 1, 0))


def test_raw_kitti_drives_are_read_with_the_date_s_calibration(tmp_path: Path) -> None:
    path = kitti_raw(tmp_path)
    kind, capture = open_capture(path)
    assert (kind.kind, capture.names) == ("kitti", ("2011_09_26_drive_0001_sync-02-0000000005",))
    assert camera_of(next(read_frames(path))) == pytest.approx((120.5, 120.5, 99.1, 29.2))


def test_one_depth_file_takes_the_image_beside_it(tmp_path: Path) -> None:
    place = MAKERS["exr"](tmp_path)
    (place / "other.exr").write_bytes((place / "cup.exr").read_bytes())
    (place / "other.png").write_bytes((place / "cup.png").read_bytes())
    assert [frame.name for frame in read_frames(place / "cup.exr")] == ["cup"]


def test_a_camera_given_by_hand_is_taken(tmp_path: Path) -> None:
    camera = Intrinsics(fx=58.0, fy=58.0, cx=32.0, cy=24.0)
    assert first("png", tmp_path, intrinsics=camera).intrinsics == camera


def test_depth_without_a_camera_is_refused(tmp_path: Path) -> None:
    place = MAKERS["png"](tmp_path)
    (place / "intrinsics.txt").unlink()
    with pytest.raises(SceneError, match="`intrinsics`"):
        list(read_frames(place))


def test_a_name_for_no_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="record3d"):
        open_capture(tmp_path, "kinect9")


def test_a_capture_of_another_kind_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rgb\.txt"):
        open_capture(MAKERS["scannet"](tmp_path), "tum")


def test_an_unknown_folder_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match=r"notes\.txt"):
        open_capture(tmp_path)
    with pytest.raises(MissingFileError):
        open_capture(tmp_path / "none")


def test_an_azure_kinect_mkv_is_known_by_name(tmp_path: Path) -> None:
    (tmp_path / "take.mkv").write_bytes(b"\x1aE\xdf\xa3")
    with pytest.raises(InputError, match="azure_kinect_mkv_reader"):
        open_capture(tmp_path / "take.mkv")


@pytest.mark.parametrize("importer", importers(), ids=KINDS)
def test_every_kind_states_its_rule(importer) -> None:
    module = __import__(importer.open.__module__, fromlist=["x"])
    assert "Rule" in (module.__doc__ or "")
