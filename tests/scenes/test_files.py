import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import build_scene
from spatialreasoner.core.errors import MissingFileError, RecordError, SceneError
from spatialreasoner.core.types import DepthMap, Scene
from spatialreasoner.scenes import files
from spatialreasoner.scenes.files import (
    check_scene,
    depth_png,
    load_scenes,
    read_depth,
    read_image,
    stored_orientation,
    write_depth,
)


def test_depth_survives_the_disk(tmp_path: Path) -> None:
    depth = np.array([[1.0, 2.5, np.nan], [0.001, 65.534, 70.0]], dtype=np.float32)
    write_depth(tmp_path / "d.png", depth)
    read = read_depth(DepthMap(path=str(tmp_path / "d.png"), units_per_metre=1000.0))
    assert read == pytest.approx(np.array([[1.0, 2.5, np.nan], [0.001, 65.534, np.nan]]), nan_ok=True)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK", "RGBA", "1", "I;16", "F", "LA"])
def test_every_kind_of_image_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "p.tif"
    Image.new(mode, (4, 3)).save(path)
    assert (read_image(path).mode, read_image(path).size) == ("RGB", (4, 3))


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "p.jpg", exif=exif)
    assert read_image(tmp_path / "p.jpg").size == (30, 40)


@pytest.mark.parametrize("size", [(20_000, 1), (1, 60_000), (30_000, 149)])
def test_a_strip_is_refused_before_anything_makes_a_square_of_it(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size).save(tmp_path / "strip.png")
    with pytest.raises(SceneError, match=f"200 times as long as the other; got {size[0]} x {size[1]}"):
        read_image(tmp_path / "strip.png")


@pytest.mark.parametrize("cut", [0, 1, 10, 60, -200])
def test_truncated_images_are_refused(tmp_path: Path, cut: int) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "p.png")
    data = (tmp_path / "p.png").read_bytes()
    (tmp_path / "p.png").write_bytes(data[:cut])
    with pytest.raises(SceneError, match="complete image"):
        read_image(tmp_path / "p.png")


def test_an_image_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(SceneError, match="pixels"):
        read_image(tmp_path / "bomb.png")


def test_a_jpeg_of_more_exif_than_cameras_write_is_refused_before_it_is_read(tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.new("RGB", (64, 48)).save(data, "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 65_535) + b"Exif\0\0" + b"x" * 65_527
    photo = tmp_path / "a.jpg"
    for count in (2, 65):
        photo.write_bytes(data.getvalue()[:2] + segment * count + data.getvalue()[2:])
        for read in (read_image, stored_orientation):
            if count == 65:
                with pytest.raises(SceneError, match="bytes of EXIF"):
                    read(photo)
            else:
                read(photo)


def test_a_file_that_is_larger_than_any_image_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(SceneError, match="at most 700000000 bytes"):
        read_image(tmp_path / "a.png")


def test_a_jpeg_of_many_scans_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "p.jpg", progressive=True)
    data = (tmp_path / "p.jpg").read_bytes()
    scan = data.rindex(b"\xff\xda")
    (tmp_path / "many.jpg").write_bytes(data[:scan] + data[scan:-2] * 200 + data[-2:])
    assert read_image(tmp_path / "p.jpg").size == (64, 48)
    with pytest.raises(SceneError, match="at most 100 scans"):
        read_image(tmp_path / "many.jpg")


def test_depth_must_have_16_bits(tmp_path: Path) -> None:
    Image.new("L", (4, 3)).save(tmp_path / "d.png")
    with pytest.raises(SceneError, match="16-bit"):
        read_depth(DepthMap(path=str(tmp_path / "d.png"), units_per_metre=1000.0))


def test_scenes_are_read_with_their_paths_resolved(scene: Scene) -> None:
    folder = Path(scene.image).parent
    (read,) = load_scenes(folder)
    assert read == scene


def test_a_scene_that_points_outside_is_refused(scene: Scene) -> None:
    folder = Path(scene.image).parent
    rows = (folder / "scenes.jsonl").read_text()
    (folder / "scenes.jsonl").write_text(rows.replace('"balls.png"', '"../../secret.png"'))
    with pytest.raises(RecordError, match="leads out of it"):
        list(load_scenes(folder))


def test_a_folder_without_scenes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"scenes\.jsonl"):
        list(load_scenes(tmp_path))


def test_repeated_ids_are_refused(scene: Scene) -> None:
    path = Path(scene.image).parent / "scenes.jsonl"
    path.write_text(path.read_text() * 2)
    with pytest.raises(RecordError, match="twice"):
        list(load_scenes(path.parent))


def test_masks_of_another_size_than_the_image_are_refused(scene: Scene) -> None:
    check_scene(scene)
    Image.new("RGB", (10, 10)).save(scene.image)
    with pytest.raises(SceneError, match="image's size"):
        check_scene(scene)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_what_is_not_depth_becomes_no_measurement(tmp_path: Path, kind: str) -> None:
    depth = np.array([[np.nan, np.inf, -np.inf, 0.0], [-1.0, 1e30, 1.5, 65.534]], dtype=kind)
    (tmp_path / "depth.png").write_bytes(depth_png(depth))
    found = read_depth(DepthMap(path=str(tmp_path / "depth.png"), units_per_metre=1000.0))
    assert found == pytest.approx(np.array([[np.nan] * 4, [np.nan, np.nan, 1.5, 65.534]]), nan_ok=True)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_deep_greys_are_the_same_however_many_rows_are_made_at_once(tmp_path: Path, monkeypatch, kind) -> None:
    values = np.random.default_rng(0).normal(0, 3e4, (50, 7)).clip(0 if kind is np.uint16 else -9e4, 6e4).astype(kind)
    if kind is np.float32:
        values[3, :3] = np.nan, np.inf, -np.inf
    path = tmp_path / ("deep.png" if kind is np.uint16 else "deep.tiff")
    Image.fromarray(values).save(path)
    once = np.asarray(read_image(path))
    monkeypatch.setattr(files, "_BAND", 3)
    assert np.array_equal(np.asarray(read_image(path)), once)
    most = np.finfo(np.float32).max if kind is np.float32 else values.max()
    known = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=most, neginf=0.0).clip(min=0.0)
    assert np.array_equal(once[..., 0], (known / most * 255).astype(np.uint8))


def test_a_label_is_a_name_and_not_a_book(tmp_path: Path) -> None:
    scene = build_scene(tmp_path)
    for length in (1000, 1001):
        regions = (replace(scene.regions[0], label="x" * length), *scene.regions[1:])
        name = Path(scene.image).name
        files.write_scenes(tmp_path, [replace(scene, image=name, depth=None, regions=regions)])
        if length == 1000:
            assert next(iter(load_scenes(tmp_path))).regions[0].label == "x" * length
        else:
            with pytest.raises(RecordError, match="at most 1000 characters; got 1001"):
                list(load_scenes(tmp_path))
