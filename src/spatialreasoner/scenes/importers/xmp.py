"""XMP, in which phones describe what an auxiliary image means: packets out of JPEG and HEIF files, and fields out of packets.

JPEG keeps a packet in an APP1 segment, and a larger one in numbered pieces beside it (Adobe's "extended XMP", XMP
specification part 3). HEIF keeps each packet whole, anywhere in the file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from xml.etree import ElementTree

from spatialreasoner.core.errors import SceneError

_STANDARD = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED = b"http://ns.adobe.com/xmp/extension/\0"
_MAX_PACKETS = 64
_MAX_BYTES = 64 * 2**20


def packets(data: bytes) -> list[bytes]:
    """Every packet that lies whole in a file."""
    found = re.finditer(rb"<x:xmpmeta.*?</x:xmpmeta>", data[: 4 * _MAX_BYTES], re.DOTALL)
    return [match[0] for _, match in zip(range(_MAX_PACKETS), found, strict=False)]


def of_jpeg(data: bytes, where: str) -> list[bytes]:
    """The packets of a JPEG's own header: the standard one, and the extended one put together.

    Raises:
        SceneError: If the extended packet lacks a piece.
    """
    standard: list[bytes] = []
    pieces: dict[int, bytes] = {}
    whole = 0
    for segment in _segments(data):
        if segment.startswith(_STANDARD):
            standard.append(segment[len(_STANDARD) :])
        elif segment.startswith(_EXTENDED) and len(segment) > len(_EXTENDED) + 40:
            whole, offset = struct.unpack_from(">II", segment, len(_EXTENDED) + 32)
            pieces[offset] = segment[len(_EXTENDED) + 40 :]
    if not pieces:
        return standard
    joined = b"".join(pieces[offset] for offset in sorted(pieces))
    if len(joined) != whole or whole > _MAX_BYTES:
        raise SceneError(f"{where}: expected extended XMP of {whole} bytes; got {len(joined)}; the file was cut or edited")
    return [*standard, joined]


def _segments(data: bytes) -> Iterator[bytes]:
    """The APP1 segments of the first image."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in {0xDA, 0xD9}:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xE1:
            yield data[at + 4 : at + 2 + length]
        at += 2 + max(2, length)


def fields(packet: bytes, where: str) -> dict[str, str | list[str]]:
    """All simple fields and lists of a packet by "{namespace}name", whether written as attributes or as elements.

    Raises:
        SceneError: If it is not XML, or declares entities.
    """
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        raise SceneError(f"{where}: expected XMP without declarations; got some")
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except ElementTree.ParseError as error:
        raise SceneError(f"{where}: expected XMP; {error}") from None
    found: dict[str, str | list[str]] = {}
    for element in root.iter():
        for name, value in element.attrib.items():
            found.setdefault(name, value)
        items = [item.text or "" for item in element.findall(f"./*/{_RDF}li")]
        if items:
            found.setdefault(element.tag, items)
        elif element.text and element.text.strip():
            found.setdefault(element.tag, element.text.strip())
    return found


def groups(packet: bytes, marker: str, where: str) -> list[dict[str, str]]:
    """The attributes and simple children of every element that has a field of the namespace `marker`, in order.

    Raises:
        SceneError: If it is not XML.
    """
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    except ElementTree.ParseError as error:
        raise SceneError(f"{where}: expected XMP; {error}") from None
    found: list[dict[str, str]] = []
    for element in root.iter():
        own = dict(element.attrib) | {child.tag: (child.text or "").strip() for child in element if not len(child)}
        if any(name.startswith(f"{{{marker}}}") for name in own):
            found.append({name.rpartition("}")[2]: value for name, value in own.items()})
    return found


_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
