#!/usr/bin/env bash
# sentencepiece 0.2.3 brings classes for its own file format, made by protobuf 7, and does not ask for any protobuf.
# A good guess: `pip check` finds nothing wrong, so reading a model file works with the protobuf that is installed.
# Seen: with protobuf 6 the import of those classes raises VersionError, which is not an ImportError, so code that falls back on
# ImportError (as for an optional dependency) fails. Tokenizing itself works.
# Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check sentencepiece==0.2.3 protobuf==6.31.1
"$python" -m pip check
cd "$folder"
"$python" - <<'PYTHON'
import sentencepiece

texts = ["Is the red box wider than the blue one?", "How far apart are the two chairs, in metres?"] * 20
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(texts), model_prefix="tiny", vocab_size=60, model_type="bpe", minloglevel=2
)
model = sentencepiece.SentencePieceProcessor(model_file="tiny.model")
assert model.decode(model.encode(texts[0])) == texts[0]
try:
    from sentencepiece import sentencepiece_model_pb2  # noqa: F401
except ImportError:
    raise SystemExit("changed: the import says that something is missing") from None
except Exception as error:
    print(f"sentencepiece {sentencepiece.__version__}: {type(error).__name__}: {error}")
else:
    raise SystemExit("changed: the classes import with protobuf 6")
PYTHON
