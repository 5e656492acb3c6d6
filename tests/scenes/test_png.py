"""Small images are packed by the library of png.c to the bytes that Pillow packs, and by Pillow where they would not be."""

import zlib

import numpy as np
import pytest

from native_fixtures import built_anew
from spatialreasoner.core.native import PNG_LINES
from spatialreasoner.scenes import files
from spatialreasoner.scenes.native import png
from spatialreasoner.scenes.native.png import LARGEST, packed_png, png_library


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with built_anew(PNG_LINES, tmp_path_factory.mktemp("native"), png, png_library) as found:
        if not files.packs_alike(found):
            pytest.skip("Pillow has a zlib of its own here")
        yield found


def images(seed):
    """An image in colour and one of 16 bits: noise of some range, or slopes."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 90, 2)
    colours = rng.integers(0, rng.choice([2, 20, 256]), (height, width, 3), np.uint8)
    numbers = rng.integers(0, rng.choice([2, 300, 65536]), (height, width), dtype=np.uint16)
    if seed % 2:
        return np.cumsum(colours, axis=1, dtype=np.uint8), np.cumsum(numbers, axis=0, dtype=np.uint16)
    return colours, numbers


@pytest.mark.parametrize("seed", range(30))
def test_images_are_packed_to_the_bytes_of_pillow(library, seed):
    for pixels in images(seed):
        assert packed_png(library, pixels) == files.pillow_png(pixels)


def test_views_of_larger_images_are_packed_too(library):
    whole = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for pixels in (whole[::2, 5:30], whole[:, ::-1], whole[..., 0].astype(np.uint16)[:, ::3]):
        assert packed_png(library, pixels) == files.pillow_png(np.ascontiguousarray(pixels))


def test_what_needs_several_blocks_is_left_to_pillow(library, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    assert noise.nbytes <= LARGEST
    assert packed_png(library, noise) is None
    monkeypatch.setattr(files, "_trusted_png_library", lambda: library)
    assert files.png(noise) == files.pillow_png(noise)


def test_a_zlib_that_packs_otherwise_is_not_taken(library, monkeypatch):
    assert files.packs_alike(library)
    pack = zlib.compressobj
    monkeypatch.setattr(png.zlib, "compressobj", lambda level, *more: pack(level + 1, *more))
    assert not files.packs_alike(library)
