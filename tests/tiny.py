"""The tiny models that tests of training start from."""

import importlib.util
from dataclasses import replace

import pytest
import torch
import transformers

from chat_forms import FORMS, make_tokenizer
from spatialreasoner.testing import tiny_models

TINY = "testing:llava,width=32,image_size=28"

CORE = ("llava", "llava_onevision", "qwen2_5_vl", "qwen3_vl", "internvl", "idefics3", "smolvlm", "gemma3")
"""Families whose tests run by default; those of the others run with `make test-families`."""

NEEDS = {"pixtral": "torchvision", "mistral3": "torchvision", "lfm2_vl": "torchvision", "fast_vlm": "timm"}
"""Families that want a library that nothing here brings; without it they are refused by name."""

FAMILIES = [name if name in CORE else pytest.param(name, marks=pytest.mark.families) for name in tiny_models.FAMILIES]

_EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
_STATE = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_d_ssm": 64}
TEXT = {
    "Llama": {},
    "Qwen3": {},
    "Gemma2": {"sliding_window": 6, "query_pre_attn_scalar": 8, "final_logit_softcapping": 3.0},
    "Gemma3Text": {"sliding_window": 6, "query_pre_attn_scalar": 8},
    "Granite": {"logits_scaling": 2.0},
    "Cohere2": {"sliding_window": 6, "logit_scale": 0.5},
    "GptOss": {"sliding_window": 6, **_EXPERTS},
    "Qwen3Moe": _EXPERTS,
    "Qwen3Next": {"layer_types": ["linear_attention", "full_attention"], **_LINEAR, **_EXPERTS},
    "Lfm2": {"layer_types": ["conv", "full_attention"]},
    "FalconH1": {"lm_head_multiplier": 0.5, **_STATE},
    "Bamba": {"attn_layer_indices": [1], **_STATE},
}
"""Text models of the table, and their own settings."""

_FORMS = {
    "Llama": "Llama 3", "Qwen3": "Qwen3", "Gemma2": "Gemma 3", "Gemma3Text": "Gemma 3", "Granite": "Granite",
    "Cohere2": "Cohere2", "GptOss": "gpt-oss", "Qwen3Moe": "Qwen3", "Qwen3Next": "Qwen3-VL", "Lfm2": "LFM2-VL",
    "FalconH1": "Qwen3-VL", "Bamba": "Llama 3",
}  # fmt: skip
"""How they write conversations, by the names in `chat_forms`. Qwen3-Next and Falcon-H1 write turns as Qwen3-VL does; Bamba has
Llama 3's tokenizer, and no template of its own."""

RECURRENT = {"qwen3_5", "qwen3_5_moe", "lfm2_vl", "qwen3_next", "lfm2", "falcon_h1", "bamba"}
"""Types of models that cannot share prefixes, by their structure."""


def shares(model):
    """Whether a model should share prefixes."""
    return model.config.model_type not in RECURRENT


def without_torchvision(name):
    """Skip a family that wants torchvision, or timm, where there is none."""
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{name} wants {NEEDS[name]}")


def text_tokenizer(name):
    """The tokenizer of a text model, which writes conversations in its family's form."""
    form = next(form for form in FORMS if form.name == _FORMS[name])
    tokenizer = make_tokenizer(replace(form, image=None))
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)  # padding that is no end
    return tokenizer


def make_text(name, tokenizer, *, seed):
    """A tiny text model."""
    sizes = {
        "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id,
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "bos_token_id": None,
    }  # fmt: skip
    config = getattr(transformers, f"{name}Config")(**{**sizes, **TEXT[name]})
    torch.manual_seed(seed)
    return getattr(transformers, f"{name.removesuffix('Text')}ForCausalLM")(config)


def tiny_llama(folder, texts, *, width=32, layers=2, heads=4, key_heads=2):
    """Save a Llama whose tokenizer is trained on the texts and has a chat template; returns the folder's name."""
    tokenizer = tiny_models.train_tokenizer([*texts] * 5, vocabulary=300)
    tokenizer.chat_template = tiny_models.CHAT_TEMPLATE
    transformers.set_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=key_heads, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def other_llama(folder):
    """A reference that is not the policy of a folder, so that losses are not ln 2."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    return model
