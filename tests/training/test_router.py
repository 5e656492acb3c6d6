"""Mixtures of experts: the router's loss is TRL's, whether prefixes are shared or not, and never silently left out."""

import copy

import pytest
import torch
import transformers
from accelerate.utils import send_to_device
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, SFTConfig

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.testing.tiny_models import CHAT_TEMPLATE, train_tokenizer
from spatialreasoner.training.collate import Encoder, SftCollator
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.own_head import use_own_head
from spatialreasoner.training.router import refuse_silent_router
from spatialreasoner.training.sft import SftTrainer

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")

SIZE = {
    "hidden_size": 32, "intermediate_size": 48, "moe_intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2,
    "bos_token_id": None, "router_aux_loss_coef": 0.5,
}  # fmt: skip
FAMILIES = ["Qwen3Moe", "GptOss", "GraniteMoe", "Mixtral"]
COMMON = {"bf16": False, "use_cpu": True, "report_to": "none", "activation_checkpointing": False}


@pytest.fixture(scope="module")
def tokenizer(texts):
    tokenizer = train_tokenizer(texts, vocabulary=300)
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


@pytest.fixture
def rows(pairs):
    return [{key: value for key, value in pair.items() if key != "images"} for pair in pairs]


def build(name, tokenizer, seed=0):
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, **SIZE
    )
    torch.manual_seed(seed)
    return getattr(transformers, f"{name}ForCausalLM")(config)


def result(trainer, rows):
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, send_to_device(trainer.data_collator(copy.deepcopy(rows)), trainer.args.device))
    loss.backward()
    named = trainer.model.named_parameters()
    return loss.detach(), {name: each.grad for name, each in named if each.grad is not None}


def logged(trainer):
    """What it has measured since the last time."""
    trainer.log({})
    return trainer.state.log_history[-1]


@pytest.mark.parametrize("name", FAMILIES)
def test_alpha_zero_is_trls_loss_with_the_routers(name, tokenizer, rows, tmp_path):
    policy, ref = build(name, tokenizer), build(name, tokenizer, seed=1)
    data = Dataset.from_list(rows)
    args = DPOConfig(output_dir=str(tmp_path), max_length=None, per_device_train_batch_size=3, **COMMON)
    plain = [{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in rows]
    theirs = DPOTrainer(
        copy.deepcopy(policy), copy.deepcopy(ref), args, processing_class=tokenizer, train_dataset=Dataset.from_list(plain)
    )
    loss, gradients = result(theirs, [theirs.train_dataset[index] for index in range(3)])
    without = None
    for options in ({}, {"shared_prefix": False}, {"router_aux_loss_coef": 0.0}):
        ours = FDPOConfig(output_dir=str(tmp_path), fdpo_alpha=0.0, per_device_train_batch_size=3, **COMMON, **options)
        trainer = FDPOTrainer(copy.deepcopy(policy), copy.deepcopy(ref), ours, processing_class=tokenizer, train_dataset=data)
        found, own = result(trainer, rows)
        if options.get("router_aux_loss_coef") == 0:
            without = found
            continue
        assert trainer.shares_prefix is (not options)
        torch.testing.assert_close(found, loss, atol=1e-5, rtol=1e-5)
        assert own.keys() == gradients.keys()
        for key, value in gradients.items():
            torch.testing.assert_close(own[key], value, atol=1e-5, rtol=1e-4, msg=key)
        assert logged(trainer)["aux_loss"] > 0.5
    assert abs(without - loss) > 0.1


@pytest.mark.parametrize("name", FAMILIES)
def test_sft_adds_the_routers_loss_as_the_model_does(name, tokenizer, rows, tmp_path):
    model = build(name, tokenizer)
    own = copy.deepcopy(model)
    sft = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows]
    args = SFTConfig(output_dir=str(tmp_path), max_length=None, remove_unused_columns=False, **COMMON)
    collator = SftCollator(Encoder(tokenizer))
    trainer = SftTrainer(model, args, processing_class=tokenizer, train_dataset=Dataset.from_list(sft), data_collator=collator)
    loss, _ = result(trainer, sft)
    expected = own(**collator(sft), output_router_logits=True)
    torch.testing.assert_close(loss, expected.loss, atol=1e-5, rtol=1e-5)
    assert expected.aux_loss > 0.5


def test_a_router_that_cannot_be_read_is_refused_by_name(tokenizer):
    model = build("Llama", tokenizer)
    refuse_silent_router(model, 0.0)
    with pytest.raises(ConfigError, match=r"LlamaForCausalLM asks for a router loss .*router_aux_loss_coef=0 to train without"):
        refuse_silent_router(model, 0.001)


def test_a_head_that_trl_reads_otherwise_is_the_models_own(tokenizer, rows, tmp_path):
    # As Aya Vision and Cohere2 Vision: the text configuration has a scale, which the wrapper's forward pass does not use
    model = build("Llama", tokenizer)
    model.config.logit_scale = 0.0625
    own = copy.deepcopy(model)
    sft = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows]
    collator = SftCollator(Encoder(tokenizer))
    args = SFTConfig(output_dir=str(tmp_path), max_length=None, remove_unused_columns=False, **COMMON)
    trainer = SftTrainer(model, args, processing_class=tokenizer, train_dataset=Dataset.from_list(sft), data_collator=collator)
    loss, gradients = result(trainer, sft)
    expected = own(**collator(sft)).loss
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), atol=1e-5, rtol=1e-5)
    for key, value in own.named_parameters():
        torch.testing.assert_close(gradients[key], value.grad, atol=1e-5, rtol=1e-4, msg=key)
    assert set(logged(trainer)) >= {"entropy", "mean_token_accuracy", "num_tokens"}


def test_trls_head_is_left_where_it_is_the_models(tokenizer, tmp_path):
    model = build("Llama", tokenizer)
    from trl.trainer.utils import add_fused_lm_head

    own = model.forward
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    theirs = model.forward
    assert use_own_head(model, own, router=False) is False
    assert model.forward == theirs
