"""Images that rows hold themselves, as bytes or `data:` URLs, as files named by their contents."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from pathlib import Path

from spatialreasoner.core import records
from spatialreasoner.core.errors import RecordError

_DATA = re.compile(r"data:[^,;]{0,80}(?P<base64>;base64)?,", re.IGNORECASE)

MAX_IMAGE = 64 * 2**20
"""Longest image that a row may hold, bytes."""


def keep_image(data: bytes, folder: Path) -> Path:
    """Write an image into a folder, unless it is there already; returns its path.

    Args:
        data: The image file's bytes.
        folder: The folder.
    """
    target = folder / f"{hashlib.sha256(data).hexdigest()[:32]}.png"
    if not target.exists():
        with records.atomic_path(target) as temporary:
            temporary.write_bytes(data)
    return target


def is_data_url(name: str) -> bool:
    """Whether what should name an image is the image itself."""
    return name[:5].lower() == "data:"


def image_bytes(url: str) -> bytes:
    """The bytes in a `data:` URL.

    Raises:
        RecordError: If they are not in base64, or too many.
    """
    head = _DATA.match(url)
    if head is None or not head["base64"]:
        raise RecordError(f"expected an image as data:image/png;base64,...; got {url[:40]!r}")
    if len(url) > 4 * MAX_IMAGE // 3 + 100:
        raise RecordError(
            f"expected an image of at most {MAX_IMAGE} bytes in a row; got more. Save it as a file, and name that"
        )
    try:
        return base64.b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise RecordError(f"expected an image in base64; got {url[:40]!r}: {error}") from None
