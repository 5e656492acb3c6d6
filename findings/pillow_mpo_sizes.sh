#!/usr/bin/env bash
# Pillow 12.3 writes an MPO (a JPEG of several images, as phones keep photo and depth in) of three images with a wrong index.
# A good guess: each entry of the index has the size of its image, so that data[offset : offset + size] is that image alone.
# Seen: the third image's size is the end of the file less the second's size, more than there is; and XMP that a further image
# has, which says what a depth image means, is left out without a word, while it is written for a single JPEG.
# Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check pillow==12.3.0
cd "$folder"
"$python" - <<'PYTHON'
import io

import PIL
from PIL import Image

images = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue")]
images[1].info["xmp"] = b"<x:xmpmeta>depth</x:xmpmeta>"
file = io.BytesIO()
images[0].save(file, "MPO", save_all=True, append_images=images[1:])
data = file.getvalue()
starts = [at for at in range(len(data)) if data.startswith(b"\xff\xd8\xff", at)]
true = [end - start for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]
told = [entry["Size"] for entry in Image.open(io.BytesIO(data)).mpinfo[0xB002]]
print(f"Pillow {PIL.__version__}: sizes {told}, truly {true}; XMP of the second image written: {b'xmpmeta' in data}")
if told[:2] != true[:2]:
    raise SystemExit("changed: the first two sizes are wrong, too")
if told[2] == true[2]:
    raise SystemExit("changed: the third size is right")
if b"xmpmeta" in data:
    raise SystemExit("changed: XMP of a further image is written")
PYTHON
