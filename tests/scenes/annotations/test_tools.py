"""Files that the label tools made themselves (tests/data/annotations/make.py), read as the tools read them."""

import json
from pathlib import Path

import numpy as np
import pytest

from spatialreasoner.core.types import Rle
from spatialreasoner.scenes.annotations.finder import AnnotatedRegions
from spatialreasoner.scenes.masks import decode

DATA = Path(__file__).parents[2] / "data" / "annotations"
SIZE = (48, 64)


def expected(tool):
    masks = json.loads((DATA / f"{tool}.expected.json").read_text())["masks"]
    return [(mask["label"], decode(Rle(size=SIZE, counts=tuple(mask["counts"])))) for mask in masks]


@pytest.mark.parametrize(
    ("file", "tool"),
    [
        ("coco.json", "coco"),
        ("lvis.json", "lvis"),
        ("label-studio.json", "label-studio"),
        ("labelme.json", "labelme"),
        ("sam.json", "sam"),
        ("voc", "datumaro"),
    ],
)
def test_masks_are_those_of_the_tool(file, tool):
    found = AnnotatedRegions(DATA / file).find("a/photo.jpg", SIZE)
    truth = expected(tool)
    assert sorted(region.label for region in found) == sorted(label for label, _ in truth)
    for region, (label, mask) in zip(sorted(found, key=lambda r: r.label), sorted(truth, key=lambda t: t[0]), strict=True):
        assert region.label == label
        np.testing.assert_array_equal(region.mask, mask)


def test_cvat_as_datumaro_writes_it():
    ring, parts = AnnotatedRegions(DATA / "cvat" / "default.xml").find("/elsewhere/a/photo.jpg", SIZE)
    truth = expected("lvis")[0][1]
    assert (ring.label, ring.source) == ("ring", "drawn")
    np.testing.assert_array_equal(ring.mask[:, :44], truth[:, :44])  # the same triangle, without LVIS's second part
    assert (parts.label, parts.source, parts.mask.sum()) == ("parts", "box", 100)


def test_yolo_as_supervision_writes_it():
    """It takes corners in the middle of pixels for corners of pixels, so a rim of half a pixel is lost."""
    [found] = AnnotatedRegions(DATA / "yolo" / "labels").find("photo.png", SIZE)
    [(label, mask)] = expected("supervision")
    assert found.label == label
    grown = np.pad(mask, 1)
    rim = np.logical_or.reduce([np.roll(grown, step, axis) for step in (-1, 1) for axis in (0, 1)])[1:-1, 1:-1]
    assert not (found.mask & ~mask & ~rim).any()
    assert (found.mask & mask).sum() > 0.88 * mask.sum()
