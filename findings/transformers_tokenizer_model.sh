#!/usr/bin/env bash
# transformers 5.23.0 reads a folder with a sentencepiece `tokenizer.model` whose tokenizer class it does not know (InternLM2's is
# Python code of the folder) without a word, also with trust_remote_code=False.
# A good guess: it refuses, or gives the ids that sentencepiece gives, since all that decides them is in that file.
# Seen: other ids. The blank that this model puts before a text is left out, and blanks at the end stay.
# Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check transformers==5.23.0 sentencepiece==0.2.3 protobuf==7.36.2
cd "$folder"
"$python" - <<'PYTHON'
import json
import pathlib

import sentencepiece
import transformers

folder = pathlib.Path("model")
folder.mkdir()
texts = ["Is the red box wider than the blue one?", "How far apart are the two chairs, in metres?"] * 20
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(texts), model_prefix="model/tokenizer", vocab_size=330, model_type="bpe", byte_fallback=True,
    hard_vocab_limit=False, minloglevel=2,
)
(folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "InternLM2Tokenizer"}))
(folder / "config.json").write_text(json.dumps({"model_type": "internlm2"}))
original = sentencepiece.SentencePieceProcessor(model_file="model/tokenizer.model")
try:
    loaded = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
except (ValueError, OSError) as error:
    raise SystemExit(f"changed: refused with {error}") from None
for text in ("Is the box wider?", "metres  "):
    wanted, got = original.encode(text), loaded.encode(text, add_special_tokens=False)
    print(f"transformers {transformers.__version__}: {text!r} is {wanted} by sentencepiece, {got} by {type(loaded).__name__}")
    if wanted == got:
        raise SystemExit("changed: the ids are sentencepiece's own")
PYTHON
