#!/usr/bin/env bash
# Pillow 12.3 opens a 16-bit PGM, as depth cameras and SensReader write it, and changes its numbers.
# A good guess: a lossless file of whole numbers gives those whole numbers, as a 16-bit PNG does.
# Seen: where the header's largest number is not 65535 (4095 for 12 bits, 10000 for ten metres in millimetres), every pixel is
# multiplied by 65535 / largest: 1500 mm become 24005 with 4095, a factor of 16. With 65535 the same bytes come as they are.
# Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check pillow==12.3.0 numpy==2.4.6
cd "$folder"
"$python" - <<'PYTHON'
import io

import numpy as np
import PIL
from PIL import Image

depth = np.array([[0, 1500, 2000], [2500, 3000, 4095]], dtype=">u2")


def read(largest: int) -> list[int]:
    data = b"P5\n3 2\n%d\n" % largest + depth.tobytes()
    return np.asarray(Image.open(io.BytesIO(data))).ravel().tolist()


whole, twelve = read(65535), read(4095)
print(f"Pillow {PIL.__version__}: 65535: {whole}; 4095: {twelve}")
if whole != depth.ravel().tolist():
    raise SystemExit("changed: also a full-range PGM is rescaled")
if twelve != [round(int(value) * 65535 / 4095) for value in depth.ravel()]:
    raise SystemExit("changed: the numbers of a 12-bit PGM are not multiplied by 65535 / 4095")
PYTHON
