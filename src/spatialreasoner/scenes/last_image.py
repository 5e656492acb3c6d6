"""The image that was read last, for questions about one image mostly come together."""

from __future__ import annotations

import os

from PIL.Image import Image

from spatialreasoner.scenes.files import read_image

_MOST_PIXELS = 2**22
"""Of an image that is kept."""


class LastImage:
    """Reads images as `read_image` does, but one that has just been read from memory, unless its file has changed since.

    Whoever asks for it gets the same image, and leaves it as it is.
    """

    def __init__(self) -> None:
        self._kept: tuple[object, Image] | None = None

    def read(self, path: str) -> Image:
        """An image.

        Raises:
            MissingFileError: If the file does not exist.
            SceneError: If it is not a complete image, or too large.
        """
        version, kept = _version(path), self._kept  # the version first: what is read may be newer, and is then read again
        if kept is None or kept[0] != version:
            image = read_image(path)
            if image.width * image.height > _MOST_PIXELS:
                return image
            self._kept = kept = version, image
        return kept[1]


def _version(path: str) -> object:
    """What changes with a file; None if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
