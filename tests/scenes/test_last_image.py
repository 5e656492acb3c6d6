import os
from pathlib import Path

import pytest
from PIL import Image

from spatialreasoner.core.errors import MissingFileError
from spatialreasoner.scenes import last_image
from spatialreasoner.scenes.last_image import LastImage


@pytest.fixture
def counted(monkeypatch):
    """Paths that were read from the disk."""
    read: list[str] = []
    monkeypatch.setattr(last_image, "read_image", lambda path, old=last_image.read_image: (read.append(path), old(path))[1])
    return read


def saved(path: Path, colour: str, size: int = 8) -> str:
    Image.new("RGB", (size, size), colour).save(path)
    return str(path)


def test_an_image_is_read_once_until_another_is(tmp_path: Path, counted: list[str]) -> None:
    red, blue = saved(tmp_path / "red.png", "red"), saved(tmp_path / "blue.png", "blue")
    images = LastImage()
    found = [images.read(path).getpixel((0, 0)) for path in (red, red, blue, blue, red)]
    assert found == [(255, 0, 0)] * 2 + [(0, 0, 255)] * 2 + [(255, 0, 0)]
    assert counted == [red, blue, red]


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    images, path = LastImage(), saved(tmp_path / "one.png", "red")
    images.read(path)
    before = os.stat(path)
    saved(tmp_path / "one.png", "lime")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert images.read(path).getpixel((0, 0)) == (0, 255, 0)
    os.remove(path)
    with pytest.raises(MissingFileError):
        images.read(path)


def test_large_images_are_not_kept(tmp_path: Path, counted: list[str], monkeypatch) -> None:
    monkeypatch.setattr(last_image, "_MOST_PIXELS", 60)
    images, path = LastImage(), saved(tmp_path / "red.png", "red")
    images.read(path)
    images.read(path)
    assert counted == [path, path]
