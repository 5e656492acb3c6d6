"""VGG Image Annotator: the project or annotation JSON of version 2, its CSV, and the project of version 3.

https://www.robots.ox.ac.uk/~vgg/software/via/: rectangles, polygons, circles and ellipses (`theta` in radians, clockwise as
one sees it). Attributes are the project's own, so the first that reads like a name is the label. VIA does not know the size
of an image.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.scenes.annotations.document import Document
from spatialreasoner.scenes.annotations.shapes import Annotated, AnnotatedShape, Drawn, Polygon, box, ellipse

_NAMES = ("label", "name", "class", "category", "type", "object", "object_name")
"""Attributes that are taken for the name first."""

_COLUMNS = frozenset({"region_shape_attributes", "region_attributes"})


def detect(document: Document) -> bool:
    """Whether a document is one of VIA's three forms."""
    if document.has("_via_img_metadata") or document.has("project", "metadata", "file"):
        return True
    rows = document.json
    if isinstance(rows, dict) and rows:
        return all(isinstance(row, dict) and {"filename", "regions"} <= row.keys() for row in rows.values())
    return document.json is None and all(name.encode() in document.data[:4096] for name in _COLUMNS)


def read(document: Document) -> list[Annotated]:
    """Every image of the file.

    Raises:
        RecordError: If it is not VIA's form.
        SceneError: If a shape is broken.
    """
    try:
        if document.json is None:
            return _of_table(document)
        if document.has("project", "metadata", "file"):
            return _of_third(document.json)
        entries = document.json.get("_via_img_metadata", document.json)
        return [_annotated(entry["filename"], _entries(entry["regions"])) for entry in entries.values()]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise RecordError(f"{document.path}: expected VIA's form; an entry lacks {error}") from None
    except ValueError as error:
        raise SceneError(f"{document.path}: {error}") from None


def _entries(regions: Any) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Shape and attributes of each region; version 1 numbers them by keys."""
    rows = regions.values() if isinstance(regions, dict) else regions
    return [(row["shape_attributes"], row.get("region_attributes", {})) for row in rows]


def _of_table(document: Document) -> list[Annotated]:
    images: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for row in csv.DictReader(io.StringIO(document.data.decode("utf-8-sig"))):
        name = row.get("filename") or row.get("#filename") or ""
        shape = json.loads(row["region_shape_attributes"] or "{}")
        regions = images.setdefault(name, [])
        if shape:
            regions.append((shape, json.loads(row["region_attributes"] or "{}")))
    return [_annotated(name, regions) for name, regions in images.items()]


def _of_third(project: Mapping[str, Any]) -> list[Annotated]:
    """Version 3 lists files, views of them, and metadata whose `xy` begins with the shape's number."""
    views = {view: entry["fid_list"][0] for view, entry in project["view"].items()}
    files = {str(number): entry.get("fname") or entry["src"] for number, entry in project["file"].items()}
    options = {number: entry.get("options", {}) for number, entry in project.get("attribute", {}).items()}
    found: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {name: [] for name in files.values()}
    for entry in project["metadata"].values():
        if entry["xy"]:
            attributes = {key: options.get(key, {}).get(value, value) for key, value in entry.get("av", {}).items()}
            found[files[str(views[entry["vid"]])]].append((_third_shape(entry["xy"]), attributes))
    return [_annotated(name, regions) for name, regions in found.items()]


def _third_shape(xy: list[float]) -> Mapping[str, Any]:
    kind, values = int(xy[0]), xy[1:]
    if kind == 2:
        return dict(zip(("name", "x", "y", "width", "height"), ("rect", *values), strict=True))
    if kind == 3:
        return dict(zip(("name", "cx", "cy", "r"), ("circle", *values), strict=True))
    if kind == 4:
        return dict(zip(("name", "cx", "cy", "rx", "ry"), ("ellipse", *values), strict=True))
    if kind == 7:
        return {"name": "polygon", "all_points_x": values[::2], "all_points_y": values[1::2]}
    return {"name": {1: "point", 5: "line", 6: "polyline"}.get(kind, "shape")}


def _annotated(name: str, regions: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Annotated:
    drawn: list[Drawn] = []
    skipped: list[str] = []
    for shape, attributes in regions:
        outline = _shape(shape)
        if outline is None:
            skipped.append(str(shape["name"]))
        else:
            drawn.append(Drawn(label=_label(attributes), parts=(outline,), is_box=shape["name"] == "rect"))
    return Annotated(image=name, size=None, regions=tuple(drawn), skipped=tuple(skipped))


def _label(attributes: Mapping[str, Any]) -> str:
    """The name among a region's attributes; a group of tick boxes is a mapping of what is ticked."""
    known = sorted(attributes, key=lambda key: _NAMES.index(key.lower()) if key.lower() in _NAMES else len(_NAMES))
    for key in known:
        value = attributes[key]
        if isinstance(value, dict):
            value = ", ".join(name for name, ticked in value.items() if ticked)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return "object"


def _shape(values: Mapping[str, Any]) -> AnnotatedShape | None:
    kind = values["name"]
    if kind == "rect":
        return box(values["x"], values["y"], values["x"] + values["width"], values["y"] + values["height"])
    if kind == "polygon":
        return Polygon(outline=list(zip(values["all_points_x"], values["all_points_y"], strict=True)))
    if kind == "circle":
        return ellipse(values["cx"], values["cy"], values["r"], values["r"])
    if kind == "ellipse":
        theta = math.degrees(float(values.get("theta", 0.0)))
        return ellipse(values["cx"], values["cy"], values["rx"], values["ry"], degrees=theta)
    return None
