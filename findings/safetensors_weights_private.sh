#!/usr/bin/env bash
# safetensors 0.8.0 (Python) writes files that nobody but their owner can read, whatever the umask.
#
# A good guess: a saved file has the mode that the process's umask gives: 0644 under umask 022, like whatever open() makes.
# Seen: 0600. Nobody else can load a model from a shared folder: transformers' save_pretrained saves the weights this way, and the
# config.json beside them is 0644.
# Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cd "$work"
umask 022
"$work/venv/bin/python" - <<'PY'
import json
import os
import stat

import numpy as np
import safetensors
from safetensors.numpy import save_file

save_file({"a": np.zeros(1)}, "model.safetensors")
with open("config.json", "w") as file:
    json.dump({}, file)
weights, config = (stat.S_IMODE(os.stat(name).st_mode) for name in ("model.safetensors", "config.json"))
print(f"safetensors {safetensors.__version__}, umask 022: model.safetensors {weights:04o}, config.json {config:04o}")
if (weights, config) != (0o600, 0o644):
    raise SystemExit("changed: weights have the mode that the umask gives")
PY
