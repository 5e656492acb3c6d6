# ruff: noqa: E501 - the forms of tools are long lines
"""Every form of annotation file as its tool writes it, and how photos find their entries."""

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as pycoco

from spatialreasoner.core.errors import ConfigError, MissingFileError, RecordError, SceneError
from spatialreasoner.scenes import masks
from spatialreasoner.scenes.annotations.finder import AnnotatedRegions

SIZE = (6, 8)
BOX, DRAWN = "box", "drawn"
BLOCK = (2, 1, 5, 3)
"""A box of 3 x 2 pixels at (2, 1), drawn in each of the forms."""

CORNERS = [[2, 1], [5, 1], [5, 3], [2, 3]]
FLAT = [2, 1, 5, 1, 5, 3, 2, 3]


def block():
    mask = np.zeros(SIZE, dtype=bool)
    mask[1:3, 2:5] = True
    return mask


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def packed_png(mask, mode="L"):
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).convert(mode).save(file, "PNG")
    return file.getvalue()


def only(path, photo="photo.jpg", **options):
    """The one region of a photo: label, box, number of pixels, source."""
    [(label, mask, source)] = AnnotatedRegions(path, **options).find(photo, SIZE)
    assert mask.dtype == bool
    return label, masks.box_of(mask), int(mask.sum()), source


def coco(*annotations, name="some/where/photo.jpg", height=6, width=8):
    return {
        "images": [{"id": 7, "file_name": name, "height": height, "width": width}],
        "categories": [{"id": 3, "name": " dining table ", "supercategory": "furniture"}],
        "annotations": [{"id": i, "image_id": 7, "category_id": 3, **values} for i, values in enumerate(annotations)],
    }


def task(result, **changes):
    """A task of Label Studio with one result of an image of 8 x 6 pixels."""
    whole = {
        "original_width": 8,
        "original_height": 6,
        "image_rotation": 0,
        "id": "a",
        "type": "x",
        "to_name": "image",
        **result,
    }
    return [{"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-photo.jpg"}, "annotations": [{"result": [whole]}], **changes}]


PERCENT = {"x": 25.0, "y": 100 / 6, "width": 37.5, "height": 200 / 6, "rotation": 0}

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
  <image id="0" name="some/photo.jpg" width="8" height="6">{}</image></annotations>"""

FORMS = {
    "coco polygon": (coco({"segmentation": [FLAT]}), "dining table", DRAWN),
    "coco run lengths": (coco({"segmentation": {"size": [6, 8], "counts": [13, 2, 4, 2, 4, 2, 21]}, "iscrowd": 1}), "dining table", DRAWN),
    "coco text": (
        coco({"segmentation": {"size": [6, 8], "counts": pycoco.encode(np.asfortranarray(block(), np.uint8))["counts"].decode()}}),
        "dining table",
        DRAWN,
    ),
    "coco box": (coco({"bbox": [2, 1, 3, 2]}), "dining table", BOX),
    "lvis": (
        {
            "images": [{"id": 1, "height": 6, "width": 8, "coco_url": "http://x.org/val/photo.jpg", "neg_category_ids": []}],
            "categories": [{"id": 3, "name": "cup", "frequency": "f", "synset": "cup.n.01"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "segmentation": [FLAT], "bbox": [2, 1, 3, 2]}],
        },
        "cup",
        DRAWN,
    ),
    "omni3d": (
        {
            "info": {},
            "images": [{"id": 1, "height": 6, "width": 8, "file_path": "SUNRGBD/image/photo.jpg", "K": [[1, 0, 0]], "dataset_id": 0}],
            "categories": [{"id": 3, "name": "chair", "supercategory": ""}],
            "annotations": [
                {
                    "id": 1, "image_id": 1, "category_id": 3, "category_name": "chair", "valid3D": True,
                    "bbox2D_tight": [-1, -1, -1, -1], "bbox2D_trunc": [2, 1, 5, 3], "bbox2D_proj": [0, 0, 8, 6],
                }
            ],
        },
        "chair",
        BOX,
    ),
    "sa-1b": (
        {
            "image": {"image_id": 1, "width": 8, "height": 6, "file_name": "photo.jpg"},
            "annotations": [{"bbox": [2, 1, 3, 2], "segmentation": {"size": [6, 8], "counts": [13, 2, 4, 2, 4, 2, 21]}}],
        },
        "object",
        DRAWN,
    ),
    "label studio rectangle": (task({"value": {**PERCENT, "rectanglelabels": ["cup"]}}), "cup", BOX),
    "label studio polygon": (
        task({"value": {"points": [[x / 8 * 100, y / 6 * 100] for x, y in CORNERS], "polygonlabels": ["cup"]}}), "cup", DRAWN,
    ),
    "label studio turned": (
        task({"value": {"x": 25.0, "y": 50.0, "width": 25.0, "height": 50.0, "rotation": -90, "rectanglelabels": ["cup"]}}),
        "cup",
        DRAWN,
    ),
    "labelme polygon": (
        {"version": "5.10.1", "flags": {}, "shapes": [{"label": "cup", "points": CORNERS, "group_id": None, "shape_type": "polygon"}],
         "imagePath": "..\\photos\\photo.jpg", "imageData": None, "imageHeight": 6, "imageWidth": 8},
        "cup",
        DRAWN,
    ),
    "labelme rectangle": (
        {"shapes": [{"label": "cup", "points": [[5, 3], [2, 1]], "shape_type": "rectangle"}], "imagePath": "photo.jpg"}, "cup", BOX,
    ),
    "labelme mask": (
        {"shapes": [{"label": "cup", "points": [[2, 1], [4, 2]], "shape_type": "mask",
                     "mask": base64.b64encode(packed_png(np.ones((2, 3), bool))).decode()}], "imagePath": "photo.jpg"},
        "cup",
        DRAWN,
    ),
    "via project": (
        {"_via_settings": {}, "_via_img_metadata": {"photo.jpg99": {"filename": "photo.jpg", "size": 99, "file_attributes": {}, "regions": [
            {"shape_attributes": {"name": "rect", "x": 2, "y": 1, "width": 3, "height": 2}, "region_attributes": {"id": "7", "name": "cup"}}]}}},
        "cup",
        BOX,
    ),
    "via annotations": (
        {"photo.jpg99": {"filename": "photo.jpg", "size": 99, "file_attributes": {}, "regions": {"0": {
            "shape_attributes": {"name": "polygon", "all_points_x": [2, 5, 5, 2], "all_points_y": [1, 1, 3, 3]},
            "region_attributes": {"type": {"cup": True, "box": False}}}}}},
        "cup",
        DRAWN,
    ),
    "via 3": (
        {"project": {"pid": "x"}, "config": {}, "attribute": {"1": {"aname": "kind", "type": 4, "options": {"0": "cup"}}},
         "file": {"1": {"fid": "1", "fname": "photo.jpg", "type": 2, "loc": 1, "src": "photo.jpg"}},
         "metadata": {"a": {"vid": "1", "flg": 0, "z": [], "xy": [2, 2, 1, 3, 2], "av": {"1": "0"}}}, "view": {"1": {"fid_list": ["1"]}}},
        "cup",
        BOX,
    ),
    "cvat polygon": (CVAT.format('<polygon label="cup" points="2,1;5,1;5,3;2,3" group_id="0"/>'), "cup", DRAWN),
    "cvat box": (CVAT.format('<box label="cup" xtl="2" ytl="1" xbr="5" ybr="3"/><points label="tip" points="1,1"/>'), "cup", BOX),
    "cvat mask": (CVAT.format('<mask label="cup" rle="1, 3, 1, 3" left="1" top="1" width="4" height="2"/>'), "cup", DRAWN),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_block(tmp_path, form):
    content, label, source = FORMS[form]
    assert only(save(tmp_path / "annotations.json", content)) == (label, BLOCK, 6, source)


def test_a_csv_of_via(tmp_path):
    rows = (
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
        'photo.jpg,99,"{}",1,0,"{""name"":""rect"",""x"":2,""y"":1,""width"":3,""height"":2}","{""name"":""cup""}"\n'
        'other.jpg,99,"{}",0,0,"{}","{}"\n'
    )
    assert only(save(tmp_path / "via.csv", rows)) == ("cup", BLOCK, 6, BOX)
    assert AnnotatedRegions(tmp_path / "via.csv").find("other.jpg", SIZE) == []


@pytest.mark.parametrize(
    ("line", "source"),
    [("1 0.25 0.1667 0.625 0.1667 0.625 0.5 0.25 0.5", DRAWN), ("1 0.4375 0.33333 0.375 0.33333", BOX)],
)
def test_yolo_takes_names_from_the_nearest_yaml(tmp_path, line, source):
    save(tmp_path / "set" / "labels" / "train" / "photo.txt", line + "\n")
    save(tmp_path / "set" / "data.yaml", "names:\n  0: table\n  1: cup\n")
    path = tmp_path / "set" / "labels"
    assert only(path, photo=tmp_path / "set" / "images" / "train" / "photo.jpg") == ("cup", BLOCK, 6, source)


def test_yolo_s_poses_are_boxes_and_not_outlines_of_their_points(tmp_path):
    (tmp_path / "data.yaml").write_text("kpt_shape: [3, 2]\nnames: [person]\n")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.25 0.5 0.4 0.4 0.6 0.4 0.5 0.6\n")
    [found] = AnnotatedRegions(tmp_path, kind="yolo").find("a.jpg", (120, 160))
    assert (found.label, int(found.mask.sum()), found.source) == ("person", 40 * 60, "box")


def test_yolo_in_pixels_is_refused(tmp_path):
    save(tmp_path / "photo.txt", "0 2 1 5 1 5 3\n")
    with pytest.raises(SceneError, match="are these pixels"):
        AnnotatedRegions(tmp_path)


def test_a_supervisely_project(tmp_path):
    hole = {"exterior": [[1, 1], [6, 1], [6, 5], [1, 5]], "interior": [[[3, 2], [4, 2], [4, 3], [3, 3]]]}
    bitmap = base64.b64encode(zlib.compress(packed_png(np.ones((2, 3), bool), "1"))).decode()
    objects = [
        {"classTitle": "cup", "geometryType": "bitmap", "bitmap": {"origin": [2, 1], "data": bitmap}},
        {"classTitle": "ring", "geometryType": "polygon", "points": hole},
        {"classTitle": "box", "geometryType": "rectangle", "points": {"exterior": [[2, 1], [4, 2]], "interior": []}},
        {"classTitle": "tip", "geometryType": "point", "points": {"exterior": [[2, 1]], "interior": []}},
    ]
    save(tmp_path / "meta.json", {"classes": []})
    save(tmp_path / "set" / "ann" / "photo.jpg.json", {"size": {"height": 6, "width": 8}, "objects": objects})
    regions = AnnotatedRegions(tmp_path)
    cup, ring, plain = regions.find("/elsewhere/set/photo.jpg", SIZE)
    assert (cup.label, masks.box_of(cup.mask), cup.mask.sum()) == ("cup", BLOCK, 6)
    assert ring.mask.sum() == 6 * 5 - 4
    assert not ring.mask[2:4, 3:5].any()
    assert (masks.box_of(plain.mask), plain.source) == (BLOCK, BOX)
    assert regions.skipped == {"set/photo.jpg": ("point",)}


def test_a_list_of_generated_masks_belongs_to_the_photo_called_as_the_file(tmp_path):
    rle = {"size": [6, 8], "counts": [13, 2, 4, 2, 4, 2, 21]}
    path = save(tmp_path / "photo.json", [{"segmentation": rle, "area": 6, "bbox": [2, 1, 2, 1], "predicted_iou": 0.9}])
    assert only(path) == ("object", BLOCK, 6, DRAWN)


def test_parts_and_groups_are_one_region(tmp_path):
    parts = '<polygon label="cup" points="0,0;2,0;2,2;0,2" group_id="4"/><polygon label="cup" points="5,3;7,3;7,5;5,5" group_id="4"/>'
    label, box, pixels, _ = only(save(tmp_path / "a.xml", CVAT.format(parts)))
    assert (label, box, pixels) == ("cup", (0, 0, 7, 5), 8)
    square = [0, 0, 2, 0, 2, 2, 0, 2], [5, 3, 7, 3, 7, 5, 5, 5]
    assert only(save(tmp_path / "a.json", coco({"segmentation": list(square)})))[1:3] == ((0, 0, 7, 5), 8)


def test_tracks_of_a_video_are_found_by_frame(tmp_path):
    text = """<annotations><meta><task><original_size><width>8</width><height>6</height></original_size></task></meta>
    <track id="0" label="cup"><box frame="3" outside="0" xtl="2" ytl="1" xbr="5" ybr="3"/>
    <box frame="4" outside="1" xtl="2" ytl="1" xbr="5" ybr="3"/></track></annotations>"""
    regions = AnnotatedRegions(save(tmp_path / "a.xml", text))
    assert [found.label for found in regions.find("frame_000003.png", SIZE)] == ["cup"]
    assert regions.find("frame_000004.png", SIZE) == []


def test_polygons_have_the_pixels_that_pycocotools_gives_them(tmp_path):
    """A square of 40 pixels' side has 1,600 of them; drawn with its outline it had 1,681."""
    square = [10, 10, 50, 10, 50, 50, 10, 50]
    path = save(tmp_path / "a.json", coco({"segmentation": [square]}, height=100, width=100))
    [(_, mask, _)] = AnnotatedRegions(path).find("photo.jpg", (100, 100))
    assert mask.sum() == 1600
    triangle = [3.5, 7.25, 90.75, 20.5, 40.125, 88.0]
    path = save(tmp_path / "b.json", coco({"segmentation": [triangle]}, height=100, width=100))
    [(_, mask, _)] = AnnotatedRegions(path).find("photo.jpg", (100, 100))
    runs = pycoco.frPyObjects([triangle], 100, 100)[0]
    assert (mask.sum(), mask.dtype) == (pycoco.area(runs), bool)
    assert pycoco.iou([pycoco.encode(np.asfortranarray(mask, np.uint8))], [runs], [0]) == 1


@pytest.mark.parametrize(
    "name", ["photo.jpg", "C:\\data\\here\\photo.jpg", "file:///x/photo.jpg", "/data/local-files/?d=here/photo.jpg"]
)
def test_names_of_other_machines_are_understood(tmp_path, name):
    path = save(tmp_path / "a.json", coco({"bbox": [2, 1, 3, 2]}, name=name))
    assert only(path, photo=tmp_path / "here" / "photo.jpg")[1] == BLOCK


def two(first, second):
    value = coco({"bbox": [2, 1, 3, 2]}, name=first)
    value["images"].append({"id": 8, "file_name": second, "height": 6, "width": 8})
    value["annotations"].append({"id": 9, "image_id": 8, "category_id": 3, "bbox": [0, 0, 1, 1]})
    return value


def test_of_two_entries_the_one_in_the_photos_folder_counts(tmp_path):
    path = save(tmp_path / "a.json", two("kitchen/1.jpg", "hall/1.jpg"))
    regions = AnnotatedRegions(path, photos=tmp_path)
    assert masks.box_of(regions.find(tmp_path / "hall" / "1.jpg", SIZE)[0].mask) == (0, 0, 1, 1)
    assert masks.box_of(regions.find(tmp_path / "kitchen" / "1.jpg", SIZE)[0].mask) == BLOCK


def test_two_entries_that_can_be_one_photo_are_refused(tmp_path):
    regions = AnnotatedRegions(save(tmp_path / "a.json", two("kitchen/1.jpg", "hall/1.jpg")))
    with pytest.raises(SceneError, match=r"'kitchen/1.jpg', 'hall/1.jpg' all can"):
        regions.find(tmp_path / "photos" / "1.jpg", SIZE)


def test_one_entry_that_can_be_two_photos_is_refused(tmp_path):
    regions = AnnotatedRegions(save(tmp_path / "a.json", coco({"bbox": [2, 1, 3, 2]}, name="1.jpg")), photos=tmp_path)
    with pytest.raises(SceneError, match=r"can be .* or "):
        regions.match([tmp_path / "hall" / "1.jpg", tmp_path / "kitchen" / "1.jpg"])


def test_one_image_listed_twice_is_refused(tmp_path):
    with pytest.raises(SceneError, match="once"):
        AnnotatedRegions(save(tmp_path / "a.json", two("./1.jpg", "1.jpg")))


def test_what_does_not_match_is_listed(tmp_path):
    regions = AnnotatedRegions(save(tmp_path / "a.json", two("1.jpg", "2.jpg")))
    matches = regions.match(["2.jpg", "3.jpg"])
    assert (matches.photos, matches.names) == (("3.jpg",), ("1.jpg",))
    with pytest.raises(SceneError, match=r"'3\.jpg'.*'1\.jpg', '2\.jpg'"):
        regions.match(["3.jpg"])


def test_the_log_tells_what_is_left_over(tmp_path, caplog):
    regions = AnnotatedRegions(save(tmp_path / "a.json", two("1.jpg", "2.jpg")))
    regions.tell_unmatched(["2.jpg", "3.jpg"])
    assert "'3.jpg'" in caplog.text
    assert "'1.jpg'" in caplog.text


def test_a_turned_photo_is_named_as_the_cause(tmp_path):
    regions = AnnotatedRegions(save(tmp_path / "a.json", coco({"bbox": [2, 1, 3, 2]}, height=8, width=6)))
    with pytest.raises(SceneError, match="EXIF orientation"):
        regions.find("photo.jpg", SIZE)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[1]", '{"images": 1, "annotations": []}', "<annotations>", "<!DOCTYPE x><annotations/>"]
)
def test_what_is_not_an_annotation_file_is_refused(tmp_path, text):
    with pytest.raises(RecordError, match=r"a\.json"):
        AnnotatedRegions(save(tmp_path / "a.json", text))


@pytest.mark.parametrize(
    "content",
    [
        coco({}),
        coco({"bbox": [0, 0, -1, 1]}),
        coco({"segmentation": [[0, 0, 1]]}),
        coco({"segmentation": [[0, 0, 1, 1]]}),
        coco({"segmentation": {"size": [6, 8], "counts": [1, 2]}}),
        coco({"segmentation": {"size": [3, 4], "counts": [12]}}),
        coco({"segmentation": [[0, 0, 1e9, 0, 1e9, 1e9]]}),
        task({"value": {"rle": [1, 2, 3], "brushlabels": ["cup"]}}),
        task({"value": {"points": "x", "polygonlabels": ["cup"]}}),
        task({"value": {**PERCENT, "rectanglelabels": ["cup"]}, "image_rotation": 90}),
        CVAT.format('<mask label="cup" rle="1, 3, 1" left="1" top="1" width="4" height="2"/>'),
        CVAT.format('<polygon label="cup" points="1,1;2"/>'),
        CVAT.format('<polygon label="cup"/>'),
        {
            "shapes": [{"label": "c", "points": [[2, 1], [4, 2]], "shape_type": "mask", "mask": "AAAA"}],
            "imagePath": "photo.jpg",
        },
        {
            "size": {"height": 6, "width": 8},
            "objects": [{"geometryType": "bitmap", "bitmap": {"origin": [0, 0], "data": "AA=="}}],
        },
        {"size": {"height": 6, "width": 8}, "objects": [{"geometryType": "polygon", "points": {"exterior": [[0, 0]]}}]},
    ],
)
def test_broken_annotations_are_named(tmp_path, content):
    path = save(tmp_path / "photo.jpg.json", content)
    with pytest.raises((RecordError, SceneError), match=r"photo\.jpg"):
        AnnotatedRegions(path).find("photo.jpg", SIZE)


def test_what_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="nothing"):
        AnnotatedRegions(tmp_path / "nothing.json")
    with pytest.raises(RecordError, match="there are none"):
        AnnotatedRegions(tmp_path)
    with pytest.raises(ConfigError, match="label-studio"):
        AnnotatedRegions(tmp_path, kind="paint")


def test_a_named_kind_is_read_as_that(tmp_path):
    path = save(tmp_path / "a.json", coco({"bbox": [2, 1, 3, 2]}))
    assert only(path, kind="lvis")[1] == BLOCK
    with pytest.raises(RecordError):
        AnnotatedRegions(path, kind="labelme")


def test_a_photo_that_is_not_named_has_no_regions(tmp_path):
    assert AnnotatedRegions(save(tmp_path / "a.json", coco({"bbox": [0, 0, 1, 1]}))).find(Path("other.jpg"), SIZE) == []
