"""What a visitor takes home: the scene as an RGB-D folder, its regions as COCO, its measurements as CSV, its shape as GLB."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from spatialreasoner.app import views
from spatialreasoner.app.measuring import OpenImage, relations
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Region
from spatialreasoner.report.measurements import MeasurementTable, measurement_table
from spatialreasoner.scenes.importers.write import scene_entry
from spatialreasoner.scenes.masks import box_of, decode

Export = Callable[[OpenImage, Sequence[Region]], tuple[bytes, str, str]]
"""Makes the bytes, the file's name and its media type."""


def export(what: str, opened: OpenImage, regions: Sequence[Region]) -> tuple[bytes, str, str]:
    """A file of the open image and its regions.

    Args:
        what: One of `EXPORTS`.
        opened: The image.
        regions: The drawn regions.

    Returns:
        Its bytes, name and media type.

    Raises:
        InputError: If there is no such export, or it needs depth that there is not.
    """
    if what not in EXPORTS:
        raise InputError(f"expected one of {', '.join(EXPORTS)}; got {what[:40]!r}")
    return EXPORTS[what](opened, regions)


def _scene_json(opened: OpenImage, regions: Sequence[Region]) -> tuple[bytes, str, str]:
    scene = opened.scene
    if scene.depth is None or scene.intrinsics is None:
        raise InputError("scene.json describes an image with depth and a camera; this one has none: export COCO")
    image = f"image{Path(scene.image).suffix}"
    entry = scene_entry(replace(scene, image=image, regions=tuple(regions)), scene.depth.units_per_metre)
    return json.dumps(entry, ensure_ascii=False, indent=1).encode() + b"\n", "scene.json", "application/json"


def _folder(opened: OpenImage, regions: Sequence[Region]) -> tuple[bytes, str, str]:
    scene = opened.scene
    entry, _, _ = _scene_json(opened, regions)
    assert scene.depth is not None
    name = scene.id
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # images are packed already
        archive.writestr(f"{name}/scene.json", entry)
        archive.write(scene.image, f"{name}/image{Path(scene.image).suffix}")
        archive.write(scene.depth.path, f"{name}/depth.png")
    return file.getvalue(), f"{name}.zip", "application/zip"


def _coco(opened: OpenImage, regions: Sequence[Region]) -> tuple[bytes, str, str]:
    height, width = opened.size
    names = list(dict.fromkeys(region.label for region in regions))
    annotations = [_annotation(number, region, names) for number, region in enumerate(regions, start=1)]
    image = {"id": 1, "file_name": Path(opened.scene.image).name, "width": width, "height": height}
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    written = json.dumps({"images": [image], "annotations": annotations, "categories": categories}, ensure_ascii=False)
    return written.encode(), f"{opened.scene.id}.coco.json", "application/json"


def _annotation(number: int, region: Region, names: Sequence[str]) -> dict[str, object]:
    mask = decode(region.mask)
    x0, y0, x1, y1 = box_of(mask)
    return {
        "id": number, "image_id": 1, "category_id": names.index(region.label) + 1, "iscrowd": 0,
        "segmentation": {"size": list(region.mask.size), "counts": region.mask.counts},
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": int(mask.sum()),
    }  # fmt: skip


def _csv(opened: OpenImage, regions: Sequence[Region]) -> tuple[bytes, str, str]:
    measured = opened.measured(regions)
    table = measurement_table(measured.scene, measured)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["quantity", "region", "name", "to", "to_name", "value", "unit", "error", "low", "high", "why_not"])
    writer.writerows(_rows(table, regions))
    for a, first in enumerate(regions, start=1):
        for b, second in enumerate(regions[a:], start=a + 1):
            words = [*relations(measured, first.id, second.id)]
            writer.writerows([["relation", a, _cell(first.label), b, _cell(second.label), word, *[""] * 5] for word in words])
    return file.getvalue().encode("utf-8"), f"{opened.scene.id}.csv", "text/csv; charset=utf-8"


def _rows(table: MeasurementTable, regions: Sequence[Region]) -> list[list[object]]:
    numbers = {region.id: (number, region.label) for number, region in enumerate(regions, start=1)}
    rows: list[list[object]] = []
    for row in (*table.sizes, *table.pairs):
        named = [part for region_id in row.regions for part in (numbers[region_id][0], _cell(numbers[region_id][1]))]
        rows.append(
            [
                row.quantity,
                *named,
                *[""] * (4 - len(named)),
                row.value,
                row.unit,
                row.error,
                row.low,
                row.high,
                row.reason or "",
            ]
        )
    return rows


def _cell(text: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _glb(opened: OpenImage, regions: Sequence[Region]) -> tuple[bytes, str, str]:
    scene = opened.scene
    if not opened.metric or opened.depth is None or scene.intrinsics is None:
        raise InputError("a GLB needs depth in metres and a camera")
    glb = views.surfaces(opened.image, opened.depth, scene.intrinsics, regions, scene.gravity)
    return glb, f"{scene.id}.glb", "model/gltf-binary"


EXPORTS: Mapping[str, Export] = {"folder": _folder, "scene": _scene_json, "coco": _coco, "csv": _csv, "glb": _glb}
"""What can be exported; "folder" is a zip of the RGB-D folder, which can be opened again."""
