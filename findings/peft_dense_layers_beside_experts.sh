#!/usr/bin/env bash
# PEFT 0.21.2 on a model of transformers 5.23.0 with experts and one layer without them (Qwen3-MoE, `mlp_only_layers`).
# A good guess: layers that `target_modules` names in full get adapters, and no others do; an unknown name is an error.
# Seen: gate_proj, up_proj and down_proj of the layer without experts get none and no word of it, since PEFT takes the names for
# those of experts in earlier versions of transformers; the experts of another layer, which nobody named, get adapters instead.
# Exits with 0 while this is so, with another code once it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 numpy
cd "$folder"
"$python" -W ignore - <<'PYTHON'
import peft
import torch
import transformers

config = transformers.Qwen3MoeConfig(
    vocab_size=40, hidden_size=16, intermediate_size=24, moe_intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=8, num_experts=4, num_experts_per_tok=2, mlp_only_layers=[0],
)
model = transformers.Qwen3MoeForCausalLM(config)
named = {f"model.layers.0.mlp.{name}_proj" for name in ("gate", "up", "down")}
assert all(isinstance(model.get_submodule(name), torch.nn.Linear) for name in named)
adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=sorted(named | {"model.layers.0.self_attn.q_proj"})))
places = {name.partition(".lora_A")[0] for name, _ in adapted.named_modules() if name.endswith(".lora_A")}
got = {name.removeprefix("base_model.model.") for name in places}
print(f"peft {peft.__version__}: asked for {sorted(named)} beside q_proj, got {sorted(got)}")
if named & got or not any("layers.1.mlp.experts" in name for name in got):
    raise SystemExit("changed: the named layers have adapters, or the experts of the other layer have none")
PYTHON
