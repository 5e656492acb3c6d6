import json

import numpy as np
import pytest

from spatialreasoner.core.errors import MissingFileError, RecordError, SceneError
from spatialreasoner.scenes import masks
from spatialreasoner.scenes.annotations.coco import CocoRegions

SIZE = (6, 8)


def write(path, *annotations, height=6, width=8):
    coco = {
        "info": {"year": 2026},
        "images": [{"id": 7, "file_name": "some/where/photo.jpg", "height": height, "width": width, "license": 1}],
        "categories": [{"id": 3, "name": " dining table ", "supercategory": "furniture"}],
        "annotations": [
            {"id": i, "image_id": 7, "category_id": 3, "iscrowd": 0, "area": 1.5, **annotation}
            for i, annotation in enumerate(annotations)
        ],
    }
    path.write_text(json.dumps(coco))
    return path


def test_polygons_runs_and_boxes_are_read(tmp_path):
    """A box of 3 x 2 pixels at (2, 1), in each of the forms."""
    runs = {"size": [6, 8], "counts": [13, 2, 4, 2, 4, 2, 21]}
    path = write(
        tmp_path / "coco.json",
        {"segmentation": [[2, 1, 4, 1, 4, 2, 2, 2]]},
        {"segmentation": runs},
        {"bbox": [2, 1, 3, 2]},
        {"segmentation": [], "bbox": [2, 1, 3, 2]},
    )
    found = CocoRegions(path).find("/elsewhere/photo.jpg", SIZE)
    assert [label for label, _ in found] == ["dining table"] * 4
    for _, mask in found:
        assert masks.box_of(mask) == (2, 1, 5, 3)
        assert mask.sum() == 6


def test_the_polygons_of_one_object_are_joined(tmp_path):
    path = write(tmp_path / "coco.json", {"segmentation": [[0, 0, 1, 0, 1, 1, 0, 1], [5, 4, 6, 4, 6, 5, 5, 5]]})
    [(_, mask)] = CocoRegions(path).find("photo.jpg", SIZE)
    assert mask.sum() == 8
    assert mask[0, 0]
    assert mask[5, 6]


def test_a_photo_that_the_file_does_not_name_has_no_regions(tmp_path):
    assert CocoRegions(write(tmp_path / "coco.json", {"bbox": [0, 0, 1, 1]})).find("other.jpg", SIZE) == []


def test_an_unknown_category_is_an_object(tmp_path):
    path = write(tmp_path / "coco.json", {"bbox": [0, 0, 1, 1], "category_id": 99})
    assert CocoRegions(path).find("photo.jpg", SIZE)[0][0] == "object"


@pytest.mark.parametrize(
    ("annotation", "error"),
    [
        ({}, RecordError),
        ({"bbox": [0, 0, -1, 1]}, SceneError),
        ({"segmentation": [[0, 0, 1]]}, SceneError),
        ({"segmentation": [[0, 0, 1, 1]]}, SceneError),
        ({"segmentation": {"size": [6, 8], "counts": [1, 2]}}, SceneError),
        ({"segmentation": {"size": [3, 4], "counts": [12]}}, SceneError),
    ],
)
def test_broken_annotations_are_named(tmp_path, annotation, error):
    regions = CocoRegions(write(tmp_path / "coco.json", annotation))
    with pytest.raises(error, match=r"photo\.jpg"):
        regions.find("photo.jpg", SIZE)


def test_masks_of_another_size_are_refused(tmp_path):
    regions = CocoRegions(write(tmp_path / "coco.json", {"bbox": [0, 0, 1, 1]}, height=60))
    with pytest.raises(SceneError, match=r"\(6, 8\).*\(60, 8\)"):
        regions.find("photo.jpg", SIZE)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": []}', '{"images": 1, "annotations": []}'])
def test_what_is_no_annotation_file_is_refused(tmp_path, text):
    (tmp_path / "coco.json").write_text(text)
    with pytest.raises(RecordError, match=r"coco\.json"):
        CocoRegions(tmp_path / "coco.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="nothing"):
        CocoRegions(tmp_path / "nothing.json")


def test_masks_are_boolean_arrays(tmp_path):
    [(_, mask)] = CocoRegions(write(tmp_path / "coco.json", {"bbox": [0, 0, 8, 6]})).find("photo.jpg", SIZE)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, True)
