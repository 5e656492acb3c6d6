# ruff: noqa: E501 - the forms of tools are long lines
"""Makes the annotation files of this folder with the tools themselves, and beside each what its tool says is inside.

    python make.py TOOL      in an environment that has that tool, at the version of TOOLS

Every file shows the same two things of an image of 64 x 48 pixels: a ring (a disc with a hole) and a thing of two parts.
`TOOL.expected.json` holds the number of pixels, and COCO's run lengths, of every mask as the tool itself decodes it.
"""

import json
import sys
from itertools import groupby
from pathlib import Path

import numpy as np

TOOLS = {
    "coco": "pycocotools==2.0.11",
    "lvis": "lvis==0.5.3",
    "label-studio": "label-studio-sdk==2.1.2",
    "labelme": "labelme==5.10.1",
    "datumaro": "datumaro==1.13.12",
    "supervision": "supervision==0.31.2",
    "supervisely": "supervisely==6.74.51",
    "sam": "segment-anything==1.0",
}
HERE = Path(__file__).parent
SIZE = HEIGHT, WIDTH = 48, 64
TRIANGLE = [(5.5, 4.25), (40.75, 9.5), (20.0, 38.0)]


def things():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    far = np.hypot(rows - 20, columns - 18)
    ring = (far < 14.3) & (far > 6.1)
    parts = np.zeros(SIZE, bool)
    parts[5:15, 40:50] = parts[30:44, 45:62] = True
    return {"ring": ring, "parts": parts}


def runs(mask):
    found = [(value, len(list(group))) for value, group in groupby(np.asarray(mask, bool).T.ravel())]
    return ([0] if found and found[0][0] else []) + [length for _, length in found]


def expect(tool, masks):
    value = {"tool": TOOLS[tool], "masks": [{"label": k, "pixels": int(m.sum()), "counts": runs(m)} for k, m in masks]}
    (HERE / f"{tool}.expected.json").write_text(json.dumps(value) + "\n")


def coco():
    from pycocotools import mask as codec
    from pycocotools.coco import COCO

    packed = {k: codec.encode(np.asfortranarray(m, np.uint8)) for k, m in things().items()}
    ring = {"size": list(SIZE), "counts": runs(things()["ring"])}
    parts = {"size": list(SIZE), "counts": packed["parts"]["counts"].decode()}
    flat = [number for point in TRIANGLE for number in point]
    rows = [(1, ring, 1), (2, parts, 0), (3, [flat, [50.0, 1.0, 60.5, 1.0, 60.5, 12.5]], 0)]
    value = {
        "images": [{"id": 1, "file_name": "a/photo.jpg", "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": n, "name": k} for n, k in enumerate(("ring", "parts", "triangles"), 1)],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": n, "iscrowd": crowd, "segmentation": shape, "area": 1, "bbox": [0, 0, 1, 1]}
            for n, shape, crowd in rows
        ],
    }
    (HERE / "coco.json").write_text(json.dumps(value) + "\n")
    api = COCO(str(HERE / "coco.json"))
    expect("coco", [(api.cats[a["category_id"]]["name"], api.annToMask(a).astype(bool)) for a in api.anns.values()])


def lvis():
    from lvis import LVIS

    flat = [number for point in TRIANGLE for number in point]
    value = {
        "info": {}, "licenses": [],
        "images": [{"id": 1, "coco_url": "http://images.cocodataset.org/val2017/photo.jpg", "height": HEIGHT, "width": WIDTH,
                    "neg_category_ids": [], "not_exhaustive_category_ids": [], "flickr_url": "", "license": 1, "date_captured": ""}],
        "categories": [{"id": 1, "name": "ring", "synset": "ring.n.01", "synonyms": [], "def": "", "frequency": "r", "image_count": 1, "instance_count": 1}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "area": 1.0, "bbox": [0, 0, 1, 1], "segmentation": [flat, [50, 1, 60.5, 1, 60.5, 12.5]]}],
    }  # fmt: skip
    (HERE / "lvis.json").write_text(json.dumps(value) + "\n")
    api = LVIS(str(HERE / "lvis.json"))
    expect("lvis", [("ring", api.ann_to_mask(a).astype(bool)) for a in api.anns.values()])


def label_studio():
    from label_studio_sdk.converter import brush

    results, masks = [], []
    for name, mask in things().items():
        packed = brush.mask2rle(mask.astype(np.uint8) * 255)
        results.append({"id": name, "type": "brushlabels", "from_name": "tag", "to_name": "image", "original_width": WIDTH,
                        "original_height": HEIGHT, "image_rotation": 0, "value": {"format": "rle", "rle": packed, "brushlabels": [name]}})  # fmt: skip
        masks.append((name, brush.decode_rle(packed).reshape(HEIGHT, WIDTH, 4)[..., 3] > 0))
    value = [{"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-photo.jpg"}, "annotations": [{"id": 1, "result": results}]}]
    (HERE / "label-studio.json").write_text(json.dumps(value) + "\n")
    expect("label-studio", masks)


def labelme():
    import base64
    import io

    from labelme import utils
    from labelme._label_file import LabelFile
    from PIL import Image

    shapes = []
    for name, mask in things().items():
        rows, columns = np.nonzero(mask)
        top, left, bottom, right = rows.min(), columns.min(), rows.max(), columns.max()
        part = mask[top : bottom + 1, left : right + 1]
        shapes.append({"label": name, "points": [[float(left), float(top)], [float(right), float(bottom)]], "group_id": None,
                       "shape_type": "mask", "flags": {}, "description": "", "mask": utils.img_arr_to_b64(part.astype(np.uint8))})  # fmt: skip
    LabelFile().save(str(HERE / "labelme.json"), shapes, "photo.jpg", HEIGHT, WIDTH, imageData=None)
    found = json.loads((HERE / "labelme.json").read_text())["shapes"]
    masks = []
    for shape in found:
        whole = np.zeros(SIZE, bool)
        (x0, y0), (x1, y1) = np.array(shape["points"]).astype(int)
        whole[y0 : y1 + 1, x0 : x1 + 1] = np.array(Image.open(io.BytesIO(base64.b64decode(shape["mask"])))) > 0
        masks.append((shape["label"], whole))
    expect("labelme", masks)


def datumaro():
    import datumaro as dm

    labels = ["ring", "parts"]
    drawn = [dm.Mask(mask, label=n, id=n, group=n + 1) for n, mask in enumerate(things().values())]
    image = dm.Image.from_numpy(data=np.zeros((*SIZE, 3), np.uint8))
    item = dm.DatasetItem(id="photo", media=image, annotations=drawn)
    data = dm.Dataset.from_iterable([item], categories=labels, media_type=dm.Image)
    data.export(str(HERE / "voc"), "voc_segmentation", save_media=False)
    corners = [number for point in TRIANGLE for number in point]
    shapes = [dm.Polygon(corners, label=0, id=0), dm.Bbox(40, 5, 10, 10, label=1, id=1)]
    item = dm.DatasetItem(id="a/photo", media=image, annotations=shapes)
    dm.Dataset.from_iterable([item], categories=labels, media_type=dm.Image).export(
        str(HERE / "cvat"), "cvat", save_media=False
    )
    expect("datumaro", list(things().items()))


def supervision():
    import supervision as sv

    polygon = np.array([(5, 4), (40, 9), (20, 38)])
    mask = sv.polygon_to_mask(polygon, (WIDTH, HEIGHT)).astype(bool)
    found = sv.Detections(xyxy=sv.mask_to_xyxy(mask[None]), mask=mask[None], class_id=np.array([1]))
    blank = np.zeros((*SIZE, 3), np.uint8)
    import cv2

    cv2.imwrite("/tmp/photo.png", blank)
    data = sv.DetectionDataset(classes=["ring", "parts"], images=["/tmp/photo.png"], annotations={"/tmp/photo.png": found})
    data.as_yolo(annotations_directory_path=str(HERE / "yolo" / "labels"), data_yaml_path=str(HERE / "yolo" / "data.yaml"))
    expect("supervision", [("parts", mask)])


def supervisely():
    import supervisely as sly

    classes = {"ring": sly.Bitmap, "parts": sly.Bitmap}
    metas = {name: sly.ObjClass(name, kind) for name, kind in classes.items()}
    labels = [sly.Label(sly.Bitmap(mask), metas[name]) for name, mask in things().items()]
    hollow = sly.Polygon(
        [sly.PointLocation(r, c) for r, c in ((5, 5), (5, 40), (40, 40), (40, 5))],
        [[sly.PointLocation(r, c) for r, c in ((10, 10), (10, 20), (20, 20), (20, 10))]],
    )
    labels.append(sly.Label(hollow, sly.ObjClass("hollow", sly.Polygon)))
    labels.append(sly.Label(sly.Rectangle(3, 4, 9, 20), sly.ObjClass("plain", sly.Rectangle)))
    (HERE / "supervisely" / "ds" / "ann").mkdir(parents=True, exist_ok=True)
    path = HERE / "supervisely" / "ds" / "ann" / "photo.jpg.json"
    path.write_text(json.dumps(sly.Annotation(SIZE, labels).to_json()) + "\n")
    masks = []
    for label in labels:
        whole = np.zeros(SIZE, np.uint8)
        label.geometry.draw(whole, 1)
        masks.append((label.obj_class.name, whole.astype(bool)))
    expect("supervisely", masks)


def sam():
    import importlib.util

    import torch

    folder = importlib.util.find_spec("segment_anything").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("amg", folder + "/utils/amg.py")  # the package itself needs torchvision
    amg = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(amg)
    rles = amg.mask_to_rle_pytorch(torch.tensor(np.stack(list(things().values()))))
    rows = [
        {"segmentation": rle, "area": 1, "bbox": [0, 0, 1, 1], "predicted_iou": 0.9, "stability_score": 0.9} for rle in rles
    ]
    value = {"image": {"image_id": 1, "file_name": "photo.jpg", "height": HEIGHT, "width": WIDTH}, "annotations": rows}
    (HERE / "sam.json").write_text(json.dumps(value) + "\n")
    expect("sam", [("object", amg.rle_to_mask(rle)) for rle in rles])


if __name__ == "__main__":
    globals()[sys.argv[1].replace("-", "_")]()
