#!/usr/bin/env bash
# Datumaro 1.13 exports PASCAL VOC masks that are not PASCAL VOC's: RGB images, and a label map without colours.
# A good guess: VOC's masks are palette images whose numbers are the labels, and labelmap.txt names each label's colour.
# Seen: both masks are RGB, and labelmap.txt has "ring:::"; a reader that takes numbers, or looks colours up, finds nothing.
# Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check datumaro==1.13.12
cd "$folder"
"$python" - <<'PYTHON'
from pathlib import Path

import datumaro as dm
import numpy as np
from PIL import Image

mask = np.zeros((48, 64), dtype=bool)
mask[5:20, 10:30] = True
image = dm.Image.from_numpy(data=np.zeros((48, 64, 3), np.uint8))
item = dm.DatasetItem(id="photo", media=image, annotations=[dm.Mask(mask, label=0, id=0, group=1)])
dm.Dataset.from_iterable([item], categories=["ring"], media_type=dm.Image).export("voc", "voc_segmentation", save_media=False)
mode = Image.open("voc/SegmentationClass/photo.png").mode
label_map = Path("voc/labelmap.txt").read_text().splitlines()
print(f"mode {mode!r}; label map {label_map}")
if mode != "RGB":
    raise SystemExit("changed: the mask has a palette")
if "ring:::" not in label_map:
    raise SystemExit("changed: the label map has colours")
PYTHON
