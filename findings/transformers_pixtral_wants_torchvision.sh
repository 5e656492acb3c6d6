#!/usr/bin/env bash
# transformers 5.23.0 without torchvision: image processors have a second form that Pillow runs, Pixtral's among them.
# A good guess: a Pixtral or Mistral 3 then reads images by PixtralImageProcessorPil, as LLaVA does by CLIPImageProcessorPil.
# Seen: that image processor works, but PixtralProcessor, which alone puts it to use, demands torchvision whatever it is given.
# Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 numpy pillow
cd "$folder"
"$python" -W ignore - <<'PYTHON'
import importlib.util

import tokenizers
import transformers
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

assert importlib.util.find_spec("torchvision") is None
words = {word: number for number, word in enumerate(["<image>", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "What", "[UNK]"])}
words = tokenizers.models.WordLevel(words, unk_token="[UNK]")
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokenizers.Tokenizer(words), extra_special_tokens={"image_token": "<image>"}
)
image = Image.new("RGB", (64, 48), "red")
pixels = PixtralImageProcessorPil()(image, return_tensors="np")["pixel_values"]
print(f"transformers {transformers.__version__}: Pillow's image processor of Pixtral gives pixels of {pixels[0].shape}")
transformers.LlavaProcessor(image_processor=CLIPImageProcessorPil(), tokenizer=tokenizer, patch_size=14)
try:
    transformers.PixtralProcessor(image_processor=PixtralImageProcessorPil(), tokenizer=tokenizer)
except ImportError as error:
    print(f"PixtralProcessor: {' '.join(str(error).split())[:90]}")
else:
    raise SystemExit("changed: PixtralProcessor does without torchvision")
PYTHON
