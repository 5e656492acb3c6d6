"""The same clouds measured by Open3D 0.19 itself (tests/data/open3d/make.py)."""

import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np

from spatialreasoner.scenes.measure import Measured

DATA = Path(__file__).parents[1] / "data" / "open3d"


def maker():
    spec = importlib.util.spec_from_file_location("make_open3d", DATA / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_values_are_open3ds_and_intervals_hold_them():
    make = maker()
    measured = cache(lambda number: Measured(*make.noisy_room(number)))
    rows = json.loads((DATA / "open3d.json").read_text())["rows"]
    assert len(rows) > 300
    off, outside = [], []
    for number, quantity, regions, value in rows:
        found = measured(number).uncertainty.quantity(quantity, *regions)
        if found.value is None:  # the image's border cuts it
            continue
        off.append(abs(found.value - value) / max(value, 0.01))
        if not found.low - 1e-6 <= value <= found.high + 1e-6:
            outside.append((number, quantity, regions, value, found))
    assert len(off) > 250
    assert np.mean(np.array(off) <= 0.05) >= 0.95
    assert not outside
