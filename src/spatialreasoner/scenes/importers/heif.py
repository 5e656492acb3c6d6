"""The few boxes of a HEIF file that its readers do not hand on: whether the depth image is turned as the photo is.

ISO/IEC 14496-12 (boxes) and 23008-12 (`ipco` properties, `ipma` which item has which).
"""

from __future__ import annotations

import struct

_DEPTH_TYPES = (b"urn:mpeg:hevc:2015:auxid:2", b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth")
_MAX_BOXES = 10_000

Box = tuple[bytes, int, int]


def depth_is_turned(data: bytes) -> bool:
    """Whether the depth item has a rotation or mirroring of its own, which decoders apply.

    False also where the boxes cannot be read: a decoder has refused such a file before.
    """
    try:
        (_, start, end), *_ = [box for box in _boxes(data, 0, len(data)) if box[0] == b"meta"]
        (_, start, end), *_ = [box for box in _boxes(data, start + 12, end) if box[0] == b"iprp"]
        inner = _boxes(data, start + 8, end)
        (_, first, last), *_ = [box for box in inner if box[0] == b"ipco"]
        properties = _boxes(data, first + 8, last)
        depth = {number for number, box in enumerate(properties, start=1) if _is_depth(data, box)}
        turns = {number for number, box in enumerate(properties, start=1) if box[0] in {b"irot", b"imir"}}
        tables = [data[a + 8 : b] for kind, a, b in inner if kind == b"ipma"]
        return any(depth & own and turns & own for table in tables for own in _associations(table))
    except (ValueError, struct.error, IndexError):
        return False


def _is_depth(data: bytes, box: Box) -> bool:
    kind, start, end = box
    return kind == b"auxC" and data[start + 12 : end].startswith(_DEPTH_TYPES)


def _associations(table: bytes) -> list[set[int]]:
    """The numbers of the properties of each item."""
    version, wide = table[0], table[3] & 1
    (count,) = struct.unpack_from(">I", table, 4)
    at, found = 8, list[set[int]]()
    for _ in range(min(count, _MAX_BOXES)):
        at += 2 if version < 1 else 4
        entries = table[at]
        size = 2 if wide else 1
        numbers = [int.from_bytes(table[at + 1 + k * size : at + 1 + (k + 1) * size], "big") for k in range(entries)]
        found.append({number & (0x7FFF if wide else 0x7F) for number in numbers})
        at += 1 + entries * size
    return found


def _boxes(data: bytes, start: int, end: int) -> list[Box]:
    found: list[Box] = []
    while start + 8 <= end and len(found) < _MAX_BOXES:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
        size = size or end - start
        if size < 8:
            raise ValueError("a box is smaller than its header")
        found.append((kind, start, min(end, start + size)))
        start += size
    return found
