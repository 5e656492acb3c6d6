"""HEIC photos with a depth image, as iPhones write them: libheif encodes both, and the second becomes auxiliary to the first.

libheif cannot write depth itself, so the file's boxes are changed: an `auxl` reference, an `auxC` property with the type of
depth, and the offsets of all items moved by what the boxes grew (ISO/IEC 23008-12, 14496-12).
"""

from __future__ import annotations

import io
import struct

from PIL import Image

DEPTH_TYPE = b"urn:mpeg:hevc:2015:auxid:2\0"


def heic(photo: Image.Image, depth: Image.Image, xmp: bytes, *, exif: bytes | None = None, turned: bool = False) -> bytes:
    """A photo [RGB] with depth [L] that its XMP describes; `turned`: the depth has the photo's rotation, too."""
    import pillow_heif

    file = pillow_heif.from_pillow(photo)
    file.add_from_pillow(depth)
    file[1].info["xmp"] = xmp
    packed = io.BytesIO()
    file.save(packed, quality=-1, exif=exif)
    return _auxiliary(packed.getvalue(), turned)


def _auxiliary(data: bytes, turned: bool) -> bytes:
    top = _boxes(data, 0, len(data))
    kind, start, end = next(box for box in top if box[0] == b"meta")
    meta = data[start + 12 : end]
    ids = _items(meta)
    grown = _changed(meta, main=ids[0], depth=ids[1], shift=0, turned=turned)
    grown = _changed(meta, main=ids[0], depth=ids[1], shift=len(grown) - len(meta), turned=turned)
    return data[:start] + _box(kind, data[start + 8 : start + 12] + grown) + data[end:]


def _changed(meta: bytes, *, main: int, depth: int, shift: int, turned: bool) -> bytes:
    parts: list[bytes] = []
    for kind, start, end in _boxes(meta, 0, len(meta)):
        body = meta[start + 8 : end]
        if kind == b"iloc":
            body = _moved(body, shift)
        elif kind == b"iref":
            body += _box(b"auxl", struct.pack(">HHH", depth, 1, main))
        elif kind == b"iprp":
            body = _property(body, depth, turned)
        parts.append(_box(kind, body))
    return b"".join(parts)


def _items(meta: bytes) -> list[int]:
    """Ids of the coded images, in order."""
    _, start, end = next(box for box in _boxes(meta, 0, len(meta)) if box[0] == b"iinf")
    entries = [meta[a + 8 : b] for kind, a, b in _boxes(meta, start + 14, end) if kind == b"infe"]
    return [struct.unpack_from(">H", entry, 4)[0] for entry in entries if entry[8:12] in {b"hvc1", b"av01", b"unci"}]


def _moved(body: bytes, shift: int) -> bytes:
    """An iloc box (version 0 or 1) whose file offsets are larger by `shift`."""
    version, sizes, base_size = body[0], body[4], body[5] >> 4
    offset_size, length_size = sizes >> 4, sizes & 15
    index_size = body[5] & 15 if version else 0
    (count,) = struct.unpack_from(">H", body, 6)
    out, at = bytearray(body), 8
    for _ in range(count):
        method = struct.unpack_from(">H", body, at + 2)[0] & 15 if version else 0
        at += 6 if version else 4
        if method == 0 and base_size:
            _add(out, at, base_size, shift)
        at += base_size
        (extents,) = struct.unpack_from(">H", body, at)
        at += 2
        for _ in range(extents):
            at += index_size
            if method == 0 and not base_size:
                _add(out, at, offset_size, shift)
            at += offset_size + length_size
    return bytes(out)


def _add(out: bytearray, at: int, size: int, shift: int) -> None:
    out[at : at + size] = (int.from_bytes(out[at : at + size], "big") + shift).to_bytes(size, "big")


def _property(body: bytes, depth: int, turned: bool) -> bytes:
    """iprp with one more property, which the depth item has, beside the rotations that there are."""
    (_, first, last), (_, start, end) = _boxes(body, 0, len(body))[:2]
    number = len(_boxes(body, first + 8, last)) + 1
    turns = [k for k, box in enumerate(_boxes(body, first + 8, last), start=1) if box[0] in {b"irot", b"imir"}]
    properties = body[first + 8 : last] + _box(b"auxC", bytes(4) + DEPTH_TYPE)
    associations = body[start + 8 : end]
    assert associations[:4] == bytes(4), "expected ipma of version 0 with small indices"
    (count,) = struct.unpack_from(">I", associations, 4)
    out, at = bytearray(associations[:8]), 8
    for _ in range(count):
        item, entries = struct.unpack_from(">HB", associations, at)
        own = associations[at + 3 : at + 3 + entries]
        at += 3 + entries
        own += bytes([number, *(turns if turned else [])]) if item == depth else b""
        out += struct.pack(">HB", item, len(own)) + own
    return _box(b"ipco", properties) + _box(b"ipma", bytes(out))


def _boxes(data: bytes, start: int, end: int) -> list[tuple[bytes, int, int]]:
    found: list[tuple[bytes, int, int]] = []
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        size = size or end - start
        found.append((kind, start, start + size))
        start += size
    return found


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body
