"""Adapters reach every linear layer of the language model, in every family, and experts that are parameters."""

import copy
import logging

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch import nn

from spatialreasoner.training.build import lora_config
from spatialreasoner.training.config import TrainSettings
from spatialreasoner.training.lora import find_targets, say_share
from tiny import FAMILIES, without_torchvision

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # PEFT reads old names

FULL = {  # layers, parameters; the classes' own default shapes are those of released models
    "Qwen3_5": (248, 0),
    "Qwen3_5Moe": (230, 200),
    "Glm4v": (240, 0),
    "Glm4vMoe": (184, 228),
    "Lfm2Vl": (224, 0),
    "Qwen3VLMoe": (96, 48),
    "Gemma4": (271, 0),
    "Cohere2Vision": (280, 0),
    "Kimi_K25": (305, 299),
    "GptOss": (144, 72),
    "Qwen3Next": (204, 240),
    "GraniteMoe": (128, 64),
}


OLDER = {
    "vocab_size": 50, "hidden_size": 32, "n_embd": 32, "d_model": 32, "num_layers": 2, "n_layer": 2, "n_layers": 2,
    "num_hidden_layers": 2, "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4, "dim_head": 8,
    "num_key_value_heads": 2, "intermediate_size": 64, "ffn_dim": 64, "dim_ff": 64, "dff": 64, "word_embed_proj_dim": 32,
    "num_local_experts": 4, "attention_types": [[["global", "local"], 1]], "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
"""A small size, under the names of all."""


def on_meta(name):
    kind = getattr(transformers, f"{name}ForConditionalGeneration", None) or getattr(transformers, f"{name}ForCausalLM")
    with torch.device("meta"):
        return kind(getattr(transformers, f"{name}Config")())


@pytest.mark.parametrize("name", FULL)
def test_full_size_models_are_reached_all_but_whole(name):
    targets = find_targets(on_meta(name))
    assert (len(targets.modules), len(targets.parameters)) == FULL[name]
    assert targets.share > 0.999
    assert all(kind.endswith(("conv1d.weight", "gate.weight", "router.weight")) for kind in targets.left)


@pytest.mark.parametrize(
    "name", ["GPT2", "GPTBigCode", "GPTNeo", "OpenAIGPT", "CTRL", "CpmAnt", "Phimoe", "Mpt", "Bloom", "OPT"]
)
def test_older_models_are_reached_whatever_their_layers_are(name, recwarn):
    kinds = [f"{name}{end}" for end in ("ForCausalLM", "LMHeadModel")]
    kind = next(getattr(transformers, each) for each in kinds if hasattr(transformers, each))
    model = kind(getattr(transformers, f"{name}Config")(**OLDER))
    settings = TrainSettings(lora_r=2, lora_dropout=0.0)
    targets, adapted = find_targets(model), get_peft_model(model, lora_config(settings, model))
    assert targets.share > 0.98
    assert not [warning for warning in recwarn if "fan_in_fan_out" in str(warning.message)]
    merged = adapted.merge_and_unload()
    ids = torch.tensor([[5, 6, 7]])
    assert merged(input_ids=ids).logits.shape[:2] == ids.shape


def test_the_experts_of_the_largest_are_nearly_all_of_it(caplog):
    without = find_targets(on_meta("Qwen3VLMoe"), experts=False)
    assert 0.01 < without.share < 0.08
    with caplog.at_level(logging.INFO):
        say_share(without)
    assert "% of the language model's matrix weights; the rest stays as it is: model.language_model.layers.*.mlp.experts" in (
        caplog.text
    )
    assert caplog.records[0].levelname == "WARNING"


def test_layers_that_fused_kernels_read_past_adapters_are_left_and_said(caplog):
    targets = find_targets(on_meta("Bamba"))
    assert targets.left[0] == "model.layers.*.mamba.out_proj.weight"
    assert not any(name.endswith("out_proj") for name in targets.modules)
    say_share(targets)
    assert "mamba.out_proj" in caplog.text


@pytest.mark.parametrize("family", FAMILIES)
def test_all_linear_layers_of_a_family_by_count(family, families):
    without_torchvision(family)
    model, _ = families(family)
    decoder = model.get_decoder()
    inside = {id(module) for module in decoder.modules() if isinstance(module, nn.Linear)}
    targets = find_targets(model)
    layers = [*targets.modules, *(name.removesuffix(".weight") for name in targets.parameters if name.endswith("_proj.weight"))]
    assert {id(model.get_submodule(name)) for name in layers} == inside
    config = lora_config(TrainSettings(lora_r=2), model)
    adapted = get_peft_model(copy.deepcopy(model), config)
    made = [name for name, _ in adapted.named_modules() if name.endswith("lora_A")]
    assert len(made) == len(targets.modules) + len(targets.parameters)
    assert not [name for name in made if "vision" in name or "visual" in name]
    seeing = find_targets(model, vision=True)
    assert len(seeing.modules) > len(targets.modules)
    assert seeing.share == targets.share > 0.98
    assert all(kind.endswith(("conv1d.weight", "conv.conv.weight", "gate.weight", "router.weight")) for kind in targets.left)


MOE = {"hidden_size": 16, "intermediate_size": 24, "moe_intermediate_size": 24, "num_hidden_layers": 2, "vocab_size": 40}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "num_experts": 4, "num_local_experts": 4}


@pytest.mark.parametrize("name", ["Qwen3Moe", "GptOss", "GraniteMoe"])
def test_adapters_on_experts_change_the_model_and_merge(name):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**MOE, **HEADS, num_experts_per_tok=2, pad_token_id=0)
    model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    targets = find_targets(model)
    assert targets.parameters
    ids = torch.arange(1, 12)[None]
    with torch.no_grad():
        plain = model(input_ids=ids).logits
    lora = LoraConfig(r=2, target_modules=[], target_parameters=targets.parameters)
    adapted = get_peft_model(model, lora)
    trained = {name: each for name, each in adapted.named_parameters() if each.requires_grad}
    assert len(trained) == 2 * len(targets.parameters)
    with torch.no_grad():
        for each in trained.values():
            each.normal_(std=0.1)
    logits = adapted(input_ids=ids).logits
    logits.square().mean().backward()
    assert all(each.grad is not None and each.grad.abs().max() > 0 for each in trained.values())
    assert (logits - plain).abs().max() > 1e-3
    merged = adapted.merge_and_unload()
    torch.testing.assert_close(merged(input_ids=ids).logits, logits, atol=1e-5, rtol=1e-4)


def test_dropout_and_four_bits_leave_experts_alone():
    model = on_meta("Qwen3VLMoe")
    assert lora_config(TrainSettings(lora_r=2, lora_dropout=0.1), model).target_parameters is None
    assert lora_config(TrainSettings(lora_r=2, quantization="4bit"), model).target_parameters is None
    assert lora_config(TrainSettings(lora_r=2), model).target_parameters
