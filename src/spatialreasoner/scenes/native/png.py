"""PNGs by the library of `png.c`, to the byte as Pillow packs them, in a third of the time."""

from __future__ import annotations

import ctypes
import struct
import zlib
from functools import cache

import numpy as np
from jaxtyping import UInt8, UInt16

from spatialreasoner.core.native import PNG_LINES, address, open_library

PngPixels = UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w"]

LARGEST = 2**18
"""Bytes of pixels: of larger images most of the time goes into packing, which is the same."""

_BLOCK = 65536
"""Pillow cuts what it has packed into blocks of this many bytes."""


@cache
def png_library() -> ctypes.CDLL | None:
    """The library of `png.c`; None if there is none for this processor."""
    library = open_library(PNG_LINES)
    if library is not None:
        library.png_lines.restype = None
    return library


def packed_png(library: ctypes.CDLL, pixels: PngPixels) -> bytes | None:
    """The bytes of a PNG at the lightest level; None where they would be more than one block.

    Args:
        library: That of `png_library`.
        pixels: At most `LARGEST` bytes.
    """
    coloured = pixels.ndim == 3
    pixels = np.ascontiguousarray(pixels) if coloured else pixels.astype(">u2")
    height, width = pixels.shape[:2]
    step = pixels.strides[1]
    lines = np.empty((height, 1 + width * step), np.uint8)
    work = np.empty((5, step + width * step), np.uint8)
    counts = (ctypes.c_int64(count) for count in (height, width * step, step))
    library.png_lines(address(pixels), *counts, address(work), address(lines))
    packer = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_FILTERED)
    data = packer.compress(lines.data) + packer.flush()
    if len(data) >= _BLOCK:
        return None
    head = struct.pack(">IIBBBBB", width, height, *((8, 2) if coloured else (16, 0)), 0, 0, 0)
    chunks = (_chunk(name, content) for name, content in ((b"IHDR", head), (b"IDAT", data), (b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
