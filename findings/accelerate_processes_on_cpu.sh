#!/usr/bin/env bash
# accelerate 1.15.0: without an accelerator, PartialState() takes each process that torchrun starts for the only one.
#
# A good guess: with RANK, WORLD_SIZE and the rest in the environment, as torchrun sets them, PartialState() is that group's, so
# main_process_first() lets one process in first.
# Seen: on a machine without a GPU both processes are process 0 of 1, and enter together; PartialState(cpu=True) is the group's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0
"$work/venv/bin/pip" install --quiet accelerate==1.15.0
cd "$work"
cat > states.py <<'PY'
import os
import sys

import accelerate
from accelerate import PartialState

state = PartialState(cpu=True) if sys.argv[1] == "told" else PartialState()
print(f"accelerate {accelerate.__version__}, {sys.argv[1]}: rank {os.environ['RANK']} is process {state.process_index} of {state.num_processes}")
assert state.num_processes == (2 if sys.argv[1] == "told" else 1), "changed"
PY
export CUDA_VISIBLE_DEVICES=""
for how in alone told; do
    "$work/venv/bin/torchrun" --nproc-per-node 2 --master-port 29533 states.py "$how" 2>/dev/null
done
