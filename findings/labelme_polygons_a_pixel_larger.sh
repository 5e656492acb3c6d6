#!/usr/bin/env bash
# labelme 5.10 and pycocotools 2.0.11 rasterise the same polygon differently by a pixel.
# A good guess: a square from (10, 10) to (50, 50) covers 40 x 40 = 1600 pixels, in every tool that reads it.
# Seen: pycocotools counts 1600, labelme's own masks (labelme.utils.shape_to_mask, used by its exporters) have 41 x 41 = 1681,
# since its outline belongs to it; of a thing of 10 pixels' width that is 10 % more.
# Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check labelme==5.10.1 pycocotools==2.0.11
QT_QPA_PLATFORM=offscreen "$python" - <<'PYTHON'
import labelme
from labelme.utils import shape_to_mask
from pycocotools import mask

corners = [[10, 10], [50, 10], [50, 50], [10, 50]]
drawn = int(shape_to_mask((100, 100), corners, shape_type="polygon").sum())
coco = int(mask.area(mask.frPyObjects([[number for corner in corners for number in corner]], 100, 100))[0])
print(f"labelme {labelme.__version__}: {drawn} pixels; pycocotools: {coco}")
if (drawn, coco) != (1681, 1600):
    raise SystemExit("changed: the two count otherwise")
PYTHON
