"""Frames to files: each an RGB-D folder of the project's own format, all together a scenes folder."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from spatialreasoner.core.types import DepthMap, Region, Scene
from spatialreasoner.scenes.files import SATURATED, depth_png
from spatialreasoner.scenes.finding import Found
from spatialreasoner.scenes.importers.frames import Frame
from spatialreasoner.scenes.masks import encode

_UNITS = (10000.0, 5000.0, 1000.0, 256.0, 100.0, 10.0)
"""Units per metre to write depth in that was not stored as whole numbers: the finest that holds the farthest point."""

_LARGEST = SATURATED - 1


def scene_id(title: str, name: str) -> str:
    """An id that can be part of a file's name, of a capture and its frame.

    >>> scene_id("my scan (2)", "frames/000012")
    'my_scan_2-frames_000012'
    """
    parts = [title] if name in {"", title} else [title, name]
    clean = [re.sub(r"[^\w.-]+", "_", part).strip("_.-") for part in parts]
    return "-".join(part for part in clean if part)[-150:] or "scene"


def files_of(frame: Frame, own_id: str, source: str, found: Sequence[Found] = ()) -> tuple[Scene, dict[str, bytes]]:
    """The scene of a settled frame, and the files of its folder by their paths in the scenes folder.

    Args:
        frame: The frame.
        own_id: The scene's id.
        source: What recorded it.
        found: Regions beside those of the frame.
    """
    units = units_for(frame)
    suffix = "jpg" if (frame.encoded or b"").startswith(b"\xff\xd8") else "png"
    image = f"{own_id}/image.{suffix}"
    told = "; ".join(part for part in (source, frame.note) if part)
    regions = [one for one in (*(Found(label, mask, None) for label, mask in frame.regions), *found) if one.mask.any()]
    scene = Scene(
        id=own_id,
        image=image,
        regions=tuple(
            Region(id=f"region{k}", label=one.label, mask=encode(one.mask), region_source=one.source)
            for k, one in enumerate(regions, start=1)
        ),
        intrinsics=frame.intrinsics,
        depth=DepthMap(path=f"{own_id}/depth.png", units_per_metre=units, metric=frame.metric),
        gravity=frame.gravity,
        source=told,
    )
    files = {
        image: frame.encoded or _packed(frame),
        f"{own_id}/depth.png": depth_png(frame.depth, units_per_metre=units),
        f"{own_id}/scene.json": json.dumps(scene_entry(scene, units), ensure_ascii=False, indent=1).encode() + b"\n",
    }
    return scene, files


def units_for(frame: Frame) -> float:
    """Units per metre in which the frame's depth fits 16 bits: the source's own, or the finest that holds it."""
    farthest = float(frame.depth.max(where=np.isfinite(frame.depth), initial=0.0)) or 1.0
    if frame.units_per_metre is not None and farthest * frame.units_per_metre <= _LARGEST:
        return frame.units_per_metre
    return next((units for units in _UNITS if farthest * units <= _LARGEST), _UNITS[-1])


def _packed(frame: Frame) -> bytes:
    file = io.BytesIO()
    frame.image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def scene_entry(scene: Scene, units: float) -> dict[str, object]:
    """The contents of `scene.json`."""
    assert scene.intrinsics is not None
    assert scene.depth is not None
    entry: dict[str, object] = {
        "image": scene.image.rsplit("/", 1)[-1],
        "depth": "depth.png",
        "depth_units_per_metre": units,
        "intrinsics": asdict(scene.intrinsics),
        "regions": [region_entry(region) for region in scene.regions],
    }
    if scene.gravity is not None:
        entry["gravity"] = scene.gravity
    if not scene.depth.metric:
        entry["metric"] = False
    return entry | {"source": scene.source}


def region_entry(region: Region) -> dict[str, object]:
    """A region of `scene.json`."""
    source = {} if region.region_source is None else {"region_source": region.region_source}
    return {"label": region.label, "rle": asdict(region.mask), **source}
