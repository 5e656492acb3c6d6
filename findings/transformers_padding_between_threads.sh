#!/usr/bin/env bash
# transformers 5.23.0 keeps the padding of a call as a state of the tokenizer: where one thread pads and another does not, the
# first gets texts of unequal length from `padding=True`, without an error.
# A good guess: how a call pads is that call's own, as it is an argument of the call, and the Rust tokenizer is safe for threads.
# Seen: some of 5,000 padded pairs differ in length; return_tensors="pt" then fails with advice to set `padding=True`.
# Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check transformers==5.23.0
cd "$folder"
"$python" - <<'PYTHON'
import sys
import threading

import tokenizers
import transformers

sys.setswitchinterval(1e-5)  # threads alternate often, as they do when cores are few: it happens within seconds
words = ["[PAD]", "[UNK]", *"how far is the red box from a blue one".split()]
inner = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]")
over = threading.Event()


def read_plainly():
    while not over.is_set():
        tokenizer("red box")


def count_unequal(times):
    pairs = (tokenizer(["how far is the red box", "red box"], padding=True)["input_ids"] for _ in range(times))
    return sum(len(longer) != len(shorter) for longer, shorter in pairs)


alone = count_unequal(5000)
other = threading.Thread(target=read_plainly)
other.start()
beside = count_unequal(5000)
over.set()
other.join()
print(f"transformers {transformers.__version__}: unequal of 5,000 padded pairs: {alone} alone, {beside} beside another thread")
if alone or not beside:
    raise SystemExit("changed: threads do not undo each other's padding")
PYTHON
