#!/usr/bin/env bash
# Pillow 12.3 changes the numbers of a label map when it saves it with a short palette.
# A good guess: a palette says how numbers look, so a "P" image comes back from a PNG with the numbers that it had.
# Seen: with 3 colours the file has 2 bits per pixel, and what does not fit is cut off without a word: 255 (PASCAL VOC's "void")
# comes back as 3, and 4 as 0 (background).
# Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check pillow==12.3.0
"$python" - <<'PYTHON'
import io

import PIL
from PIL import Image

image = Image.new("P", (4, 1))
image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
image.putdata([0, 1, 4, 255])
file = io.BytesIO()
image.save(file, "PNG")
back = list(Image.open(io.BytesIO(file.getvalue())).tobytes())
print(f"Pillow {PIL.__version__}: [0, 1, 4, 255] with a palette of 3 colours comes back as {back}")
if back != [0, 1, 0, 3]:
    raise SystemExit("changed: the numbers are kept, or refused")
PYTHON
