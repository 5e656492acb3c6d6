#!/usr/bin/env bash
# TRL 1.16.0: the `num_tokens` that SFTTrainer logs begins again at zero when training is resumed.
#
# A good guess: num_tokens is the number of tokens seen since the start of training, also after a resume, as step and epoch are.
# Seen: the first entry after the resume counts that step's tokens alone, so a curve over num_tokens runs backwards.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0
"$work/venv/bin/pip" install --quiet trl==1.16.0 transformers==5.23.0 accelerate==1.15.0 datasets==5.2.0 tokenizers
cd "$work"
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PY'
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

words = ["<pad>", "</s>", "<unk>", *"abcdefgh"]
core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
core.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")

def trainer():
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                                         num_attention_heads=2, num_key_value_heads=2, pad_token_id=0, eos_token_id=1))
    config = SFTConfig(output_dir="out", max_steps=4, save_steps=1, logging_steps=1, per_device_train_batch_size=1,
                       report_to="none", use_cpu=True, bf16=False, disable_tqdm=True)
    return SFTTrainer(model, config, train_dataset=Dataset.from_dict({"text": ["a b c d"] * 8}), processing_class=tokenizer)

whole = trainer()
whole.train()
counts = [entry["num_tokens"] for entry in whole.state.log_history if "num_tokens" in entry]
resumed = trainer()
resumed.train(resume_from_checkpoint="out/checkpoint-2")
after = [entry["num_tokens"] for entry in resumed.state.log_history if "num_tokens" in entry]
print(f"trl {trl.__version__}: num_tokens by step, unbroken {counts}; resumed after step 2 {after}")
assert counts == sorted(counts) and after[2] < after[1], "changed: the count continues now"
PY
