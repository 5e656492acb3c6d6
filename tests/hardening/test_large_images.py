"""Memory that large images take on the way: a number of bytes per pixel, with the same results as all at once."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from spatialreasoner.app.views import surfaces
from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import DepthMap, Intrinsics, Region, Scene
from spatialreasoner.scenes import files, foreground, marks
from spatialreasoner.scenes.files import depth_png, pixels_of
from spatialreasoner.scenes.foreground import in_box
from spatialreasoner.scenes.geometry import lifted, unproject
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.marks import draw
from spatialreasoner.scenes.masks import encode
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.pixel_noise import Noise
from spatialreasoner.scenes.uncertainty import Sensor, Uncertainty

HEIGHT, WIDTH = 800, 1000
CAMERA = Intrinsics(fx=900.0, fy=910.0, cx=499.5, cy=399.5)
BOX = 200, 150, 850, 650


def _peak(work: Callable[[], object]) -> float:
    """The most memory of arrays and bytes that some work takes, bytes per pixel of the image."""
    tracemalloc.start()
    work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / (HEIGHT * WIDTH)


@pytest.fixture(scope="module")
def depth() -> np.ndarray:
    """A thing before a wall, with holes."""
    values = np.full((HEIGHT, WIDTH), 3.0, dtype=np.float32)
    values[200:600, 300:700] = 2.0
    values[::50, ::50] = np.nan
    return values


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Its image."""
    pixels = np.full((HEIGHT, WIDTH, 3), 200, dtype=np.uint8)
    pixels[200:600, 300:700] = 90, 60, 30
    return pixels


@pytest.fixture(scope="module")
def region() -> Region:
    """A region of a third of the image, which its border does not cut."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[200:600, 300:960] = True
    return Region(id="region1", label="thing", mask=encode(mask))


@pytest.fixture
def measured(depth: np.ndarray, region: Region) -> Measured:
    """The region's scene."""
    where = DepthMap(path="none.png", units_per_metre=1000.0)
    scene = Scene(id="large", image="none.png", regions=(region,), intrinsics=CAMERA, depth=where)
    return Measured(scene, depth)


def test_a_thing_is_cut_out_of_a_large_box_by_a_share_of_its_pixels(depth, image, monkeypatch) -> None:
    thing = image[..., 0] == 90
    monkeypatch.setattr(foreground, "MOST_LOOKED_AT", 30_000)
    found = in_box(BOX, depth, image)
    assert (found & thing).sum() > 0.85 * (found | thing).sum()
    assert _peak(lambda: in_box(BOX, depth, image)) < 12


def test_points_of_some_pixels_are_those_of_all(depth) -> None:
    kept = np.random.default_rng(0).random(depth.shape) < 0.01
    part = slice(100, 700), slice(50, 900)
    all_points = unproject(depth[part], CAMERA, (50, 100))[kept[part]]
    assert np.array_equal(lifted(depth[part], CAMERA, *np.nonzero(kept[part]), (50, 100)), all_points, equal_nan=True)


def test_a_large_region_is_measured_from_few_arrays(measured: Measured) -> None:
    assert _peak(lambda: measured.quantity("width", "region1")) < 60  # of 100,000 points, mostly
    sensor = Sensor(noise=Noise(near=0.002), rim=1, offset=True)
    assert _peak(lambda: Uncertainty(measured, sensor).quantity("width", "region1")) < 30
    assert measured.quantity("width", "region1").value is not None


def test_marks_are_drawn_in_little_memory(image, region: Region, monkeypatch) -> None:
    monkeypatch.setattr(marks, "MOST_MEASURED", 20_000)
    many = [region] * 8
    opened = Image.fromarray(image)
    assert _peak(lambda: draw(opened, many)) < 17


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "F", "1"])
def test_pixels_are_copied_band_by_band_as_all_at_once(mode: str, monkeypatch) -> None:
    made = Image.effect_noise((70, 50), 90)
    opened = Image.fromarray(np.asarray(made).astype(np.uint16) * 200) if mode == "I;16" else made.convert(mode)
    monkeypatch.setattr(files, "_BAND", 7)
    copied = pixels_of(opened)
    assert copied.dtype == np.asarray(opened).dtype
    assert np.array_equal(copied, np.asarray(opened))


def test_depth_is_written_and_read_in_little_memory(depth, monkeypatch) -> None:
    whole = depth_png(depth)
    numbers = decode.depth16(whole, "d.png")
    assert _peak(lambda: depth_png(depth)) < 9
    assert _peak(lambda: decode.metres(numbers, 1000)) < 6
    assert _peak(lambda: decode.valid(depth)) < 8
    monkeypatch.setattr(files, "_BAND", 7)
    assert depth_png(depth) == whole


def test_surfaces_of_a_large_image_are_made_of_few_of_its_pixels(depth, image, region: Region) -> None:
    assert _peak(lambda: surfaces(image, depth, CAMERA, [region])) < 150  # of 300 x 240 corners and their faces, mostly


def _npz(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, depth=array)
    return file.getvalue()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("pack", [_npy, _npz])
@pytest.mark.parametrize("kind", ["<f8", ">f4", "<u2", "<f2", "|i1"])
def test_arrays_are_those_that_numpy_reads(pack: Callable[[np.ndarray], bytes], kind: str) -> None:
    array = np.asfortranarray(np.arange(60).reshape(3, 20).astype(kind))
    assert np.array_equal(decode.npy(pack(array), "a"), array)
    assert decode.npy(pack(array), "a").dtype == array.dtype


def test_an_array_that_is_too_large_is_refused_before_it_is_unpacked() -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**5, 10**5)})
    with pytest.raises(SceneError, match="at most 64000000"):
        decode.npy(head.getvalue(), "a.npy")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("depth.npy", "w", force_zip64=True) as entry:
        entry.write(head.getvalue())
        for _ in range(520):
            entry.write(bytes(10**6))
    packed = bomb.getvalue()
    assert len(packed) < 10**6
    tracemalloc.start()
    with pytest.raises(SceneError, match="unpacks to"):
        decode.npy(packed, "a.npz")
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


OBJECTS = b"\x93NUMPY\x01\x00\x10\x00{'descr': '|O'}  \n"


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"PK\x03\x04", OBJECTS, _npy(np.ones(9))[:-8]])
def test_broken_arrays_are_refused(data: bytes) -> None:
    with pytest.raises(SceneError, match="NumPy array"):
        decode.npy(data, "a.npy")


def test_an_openexr_file_of_many_channels_is_refused_before_it_is_read(tmp_path, monkeypatch) -> None:
    openexr = pytest.importorskip("OpenEXR")
    from spatialreasoner.scenes.importers import plain
    from spatialreasoner.scenes.importers.store import open_store

    channels = {name: np.zeros((20, 30), np.float32) for name in ("Z", "R", "G", "B")}
    openexr.File({}, channels).write(str(tmp_path / "a.exr"))
    monkeypatch.setattr(plain, "MAX_NUMBERS", 2399)
    with pytest.raises(SceneError, match="4 channels of 30 x 20"):
        plain.read_depth_file(open_store(tmp_path / "a.exr"), "a.exr")
    monkeypatch.setattr(plain, "MAX_NUMBERS", 2400)
    assert plain.read_depth_file(open_store(tmp_path / "a.exr"), "a.exr")[0].shape == (20, 30)
