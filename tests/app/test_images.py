import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.images import MAX_UPLOAD_SIDE, Examples, ImageOpener, two_regions
from spatialreasoner.core.errors import ConfigError, InputError, SceneError
from spatialreasoner.scenes.files import read_depth, read_image


@pytest.fixture(scope="module")
def opener():
    return ImageOpener(AppConfig(max_megabytes=1, max_pixels=4_000_000))


def png_of(width, height):
    """A PNG that promises many pixels and holds none."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not an image that can be read"),
        (b"<html><script>alert(1)</script>", "not an image that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image that can be read"),
        (b"\0" * 1_000_001, "1.0 MB; at most 1 MB"),
        (png_of(30_000, 30_000), "30000 x 30000 pixels; at most 4 million|not an image"),
        (png_of(3_000, 3_000), "3000 x 3000 pixels; at most 4 million"),
        (png_of(300, 300), "expected a complete image"),
    ],
)
def test_uploads_that_are_not_images_are_refused(opener, tmp_path, data, said):
    (tmp_path / "upload.png").write_bytes(data)
    with pytest.raises(SceneError, match=said):
        opener.open(tmp_path / "upload.png", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["upload.png"]


def test_a_large_image_is_shrunk_and_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5200, 2600)).save(tmp_path / "a.jpg", exif=exif)
    scene = ImageOpener(AppConfig()).open(tmp_path / "a.jpg", tmp_path)
    assert read_image(scene.image).size == (MAX_UPLOAD_SIDE // 2, MAX_UPLOAD_SIDE)
    assert (scene.id, scene.depth, scene.regions) == ("a", None, ())


def test_examples_know_their_depth_and_regions(tmp_path):
    examples = Examples(tmp_path, ())
    assert (examples.first(), examples.names[0]) == (0, "room 1")
    for scene in map(examples.scene, range(2)):
        assert read_depth(scene.depth).shape == (448, 448)
        first, second = two_regions(scene)
        assert first != second
        assert np.asarray(read_image(scene.image)).shape == (448, 448, 3)


def test_a_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(InputError, match="is neither"):
        Examples(tmp_path, [str(tmp_path)])


@pytest.mark.parametrize("wrong", [{"models": ("a", "a")}, {"port": 70_000}, {"field_of_view": 0.0}, {"queue": 0}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ConfigError):
        AppConfig(**wrong)
