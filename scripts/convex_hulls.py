"""Finds the convex hulls of the things in procedural rooms, and writes them beside `shapes.py`.

    python scripts/convex_hulls.py

The order of faces decides bytes of rooms, so the file is made anew only when a kind of thing is added or changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull

from spatialreasoner.scenes.synthetic import shapes


def part_hull(points: shapes.Points) -> dict[str, Any]:
    """The triangles of a part, their corners counter-clockwise from outside, and its outline seen from above."""
    hull = ConvexHull(points)
    flipped = np.linalg.det(points[hull.simplices] - points.mean(axis=0)) < 0
    faces = np.where(flipped[:, None], hull.simplices[:, ::-1], hull.simplices)
    return {"faces": faces.tolist(), "outline": ConvexHull(points[:, [0, 2]]).vertices.tolist()}


def kind_hull(kind: str) -> dict[str, Any]:
    """The hulls of a kind's parts, and which of all their corners the hull of the whole has."""
    parts = shapes.part_points(kind)
    whole = ConvexHull(np.concatenate(parts)).vertices
    return {"hull": whole.tolist(), "parts": [part_hull(points) for points in parts]}


if __name__ == "__main__":
    target = Path(shapes.__file__).with_name("hulls.json")
    rows = (f"{json.dumps(kind)}: {json.dumps(kind_hull(kind), separators=(',', ':'))}" for kind in shapes.SHAPE_KINDS)
    target.write_text("{\n" + ",\n".join(rows) + "\n}\n", "utf-8")
