"""Data URIs, for pages and for requests to models."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from PIL.Image import Image


def data_uri(image: Image, kind: Literal["JPEG", "PNG"], **options: Any) -> str:
    """An image as a data URI.

    Args:
        image: The image.
        kind: The format that it is written in.
        options: Options of Pillow's writer of that format.
    """
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return bytes_uri(buffer.getvalue(), f"image/{kind.lower()}")


def bytes_uri(content: bytes, media_type: str) -> str:
    """The content of a file as a data URI.

    >>> bytes_uri(b"hi", "text/plain")
    'data:text/plain;base64,aGk='
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
