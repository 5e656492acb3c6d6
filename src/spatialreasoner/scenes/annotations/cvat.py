"""CVAT's own XML, "CVAT for images 1.1" and "for video 1.1": polygons, boxes, ellipses, and masks as run lengths.

https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. A mask's run lengths start with zeros and run row by row
through its own box, unlike COCO's. Shapes of one label and one `group_id` other than 0 are one thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

import numpy as np

from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.scenes.annotations.document import Document
from spatialreasoner.scenes.annotations.shapes import (
    Annotated,
    AnnotatedShape,
    Bitmap,
    Drawn,
    Polygon,
    box,
    ellipse,
    join_groups,
)
from spatialreasoner.scenes.masks import MAX_PIXELS

_NO_AREA = frozenset({"points", "polyline", "cuboid", "skeleton", "tag"})


def detect(document: Document) -> bool:
    """Whether a document is XML whose root is <annotations>."""
    head = document.data[:4096]
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") and b"<annotations" in head


def read(document: Document) -> list[Annotated]:
    """Every image of the file; of a video every frame that shows something, called `frame_000000` and so on.

    Raises:
        RecordError: If it is not such an XML file.
        SceneError: If a shape is broken.
    """
    root = _parse(document)
    try:
        if root.find("track") is not None:
            return _frames(root)
        return [_image(element) for element in root.iter("image")]
    except KeyError as error:
        raise RecordError(f"{document.path}: an element lacks the attribute {error}") from None
    except ValueError as error:
        raise SceneError(f"{document.path}: {error}") from None


def _parse(document: Document) -> ElementTree.Element:
    """The tree, of text without declarations of its own: entities can make a small file fill the memory."""
    try:
        text = document.data.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise RecordError(f"{document.path}: expected XML without a document type, as CVAT writes it")
        root = ElementTree.fromstring(text)
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise RecordError(f"{document.path}: expected CVAT's XML; {error}") from None
    if root.tag != "annotations":
        raise RecordError(f"{document.path}: expected the element <annotations>; got <{root.tag}>")
    return root


def _image(element: ElementTree.Element) -> Annotated:
    attributes = element.attrib
    size = int(attributes["height"]), int(attributes["width"])
    regions = [region for child in element if (region := _drawn(child, child.attrib.get("label", ""), size)) is not None]
    return Annotated(
        image=attributes["name"], size=size, regions=join_groups(regions), skipped=_skipped(child.tag for child in element)
    )


def _frames(root: ElementTree.Element) -> list[Annotated]:
    size = _video_size(root)
    frames: dict[int, list[Drawn]] = {}
    for track in root.iter("track"):
        for shape in track:
            if shape.attrib.get("outside") == "1":
                continue
            label, group = track.attrib.get("label", ""), track.attrib.get("group_id", "0")
            region = _drawn(shape, label, size, group=group)
            if region is not None:
                frames.setdefault(int(shape.attrib["frame"]), []).append(region)
    return [
        Annotated(image=f"frame_{number:06d}", size=size, regions=join_groups(frames[number]), bare=True)
        for number in sorted(frames)
    ]


def _video_size(root: ElementTree.Element) -> tuple[int, int]:
    size = root.find("meta/*/original_size")
    if size is None:
        size = root.find("meta/original_size")
    if size is None:
        raise RecordError("expected the size of the video's frames (meta, original_size); there is none")
    return int(size.findtext("height") or 0), int(size.findtext("width") or 0)


def _skipped(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(tag for tag in tags if tag in _NO_AREA)


def _drawn(element: ElementTree.Element, label: str, size: tuple[int, int], *, group: str | None = None) -> Drawn | None:
    shape = _shape(element, size)
    if shape is None:
        return None
    group = element.attrib.get("group_id", "0") if group is None else group
    upright = element.tag == "box" and not float(element.attrib.get("rotation", 0))
    return Drawn(label=label.strip() or "object", parts=(shape,), is_box=upright, group=None if group == "0" else group)


def _shape(element: ElementTree.Element, size: tuple[int, int]) -> AnnotatedShape | None:
    values = element.attrib
    turned = float(values.get("rotation", 0))
    if element.tag == "polygon":
        return Polygon(outline=list(_points(values["points"])))
    if element.tag == "box":
        return box(*(float(values[key]) for key in ("xtl", "ytl", "xbr", "ybr")), degrees=turned)
    if element.tag == "ellipse":
        return ellipse(*(float(values[key]) for key in ("cx", "cy", "rx", "ry")), degrees=turned)
    if element.tag == "mask":
        left, top, width, height = (int(float(values[key])) for key in ("left", "top", "width", "height"))
        return Bitmap(pixels=_rows(values["rle"], (height, width)), left=left, top=top)
    return None


def _points(text: str) -> Iterator[tuple[float, float]]:
    for pair in filter(None, text.split(";")):
        x, y = pair.split(",")
        yield float(x), float(y)


def _rows(text: str, size: tuple[int, int]) -> np.ndarray:
    """The mask of run lengths that run row by row."""
    runs = [int(run) for run in text.split(",")]
    if min(size) < 1 or size[0] * size[1] > MAX_PIXELS or sum(runs) != size[0] * size[1] or min(runs) < 0:
        raise SceneError(f"expected run lengths of a mask of {size[0]} x {size[1]} pixels; they add up to {sum(runs)}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size)
