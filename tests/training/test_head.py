"""Token log-probabilities are those of the model's own forward pass, whatever follows its output layer."""

import pytest
import torch
import transformers
from torch.nn import functional

from spatialreasoner.training.forward import add_token_logps
from spatialreasoner.training.head import head_of

SMALL = {
    "vocab_size": 61,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MAMBA = {"mamba_d_ssm": 16, "mamba_n_heads": 2, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8}
LATENT = {
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
    "num_key_value_heads": 2,
}

FAMILIES = {
    "Llama": ({}, True),
    "Qwen3": ({}, True),
    "Granite": ({"logits_scaling": 8.0}, False),
    "GraniteMoe": ({"logits_scaling": 6.0, "num_local_experts": 2, "num_experts_per_tok": 1}, False),
    "Cohere": ({"logit_scale": 0.0625}, False),
    "Cohere2": ({"logit_scale": 0.0625}, False),
    "FalconH1": ({"lm_head_multiplier": 0.1, **MAMBA}, False),
    "Gemma2": ({"final_logit_softcapping": 3.0}, False),
    "MiniCPM3": ({"dim_model_base": 4, **LATENT}, False),
}


def build(family, **changes):
    kind = getattr(transformers, f"{family}Config", None)
    if kind is None:
        pytest.skip(f"this version of transformers has no {family}")
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForCausalLM")(kind(**{**SMALL, **FAMILIES[family][0], **changes}))
    with torch.no_grad():
        model.get_output_embeddings().weight.normal_(std=1.0)
    return model.eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_log_probabilities_are_the_models_own(family):
    model = build(family)
    ids = torch.randint(3, SMALL["vocab_size"], (2, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own = functional.log_softmax(model(input_ids=ids).logits.float(), dim=-1)
    add_token_logps(model)
    at = torch.tensor([*range(8), *range(9, 17)])
    of = ids.flatten()[at + 1]
    found = model(input_ids=ids, logps_at=at, logps_of=of)
    torch.testing.assert_close(found, own.flatten(0, 1)[at].gather(1, of[:, None])[:, 0], rtol=0, atol=1e-5)
    assert model(input_ids=ids).logits.shape == (2, 9, SMALL["vocab_size"])


@pytest.mark.parametrize("family", ["Granite", "Cohere", "Gemma2"])
def test_gradients_are_the_models_own(family):
    ids = torch.randint(3, SMALL["vocab_size"], (1, 9), generator=torch.Generator().manual_seed(1))
    plain, taught = build(family), build(family)
    add_token_logps(taught)
    functional.cross_entropy(plain(input_ids=ids).logits[0, :-1].float(), ids[0, 1:], reduction="sum").backward()
    (-taught(input_ids=ids, logps_at=torch.arange(8), logps_of=ids[0, 1:]).sum()).backward()
    for (name, one), other in zip(plain.named_parameters(), taught.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_without_changes_is_the_output_layer_alone(family):
    model, alone = build(family), FAMILIES[family][1]
    called = []
    model.get_output_embeddings().register_forward_hook(lambda *args: called.append(1))
    own = model.forward
    model.forward = lambda *args, **kwargs: (called.append("own"), own(*args, **kwargs))[1]
    head = head_of(model, model.forward)
    called.clear()
    head(torch.zeros(3, SMALL["hidden_size"]))
    assert ("own" in called) is not alone
