"""Every model family: alpha = 0 is TRL's own DPO, and sharing the prefix changes nothing."""

import copy

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from PIL import Image
from trl import DPOConfig, DPOTrainer, SFTConfig

from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.training.collate import Encoder, SftCollator
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.sft import SftTrainer

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # TRL reads old names

COMMON = {"per_device_train_batch_size": 3, "bf16": False, "use_cpu": True, "report_to": "none"}


@pytest.fixture(scope="module", params=list(tiny.FAMILIES))
def family(request, texts):
    policy, processor = tiny.make_tiny(request.param, texts, seed=1)
    ref, _ = tiny.make_tiny(request.param, texts, seed=2)
    return policy, ref, processor


def loss_and_gradients(trainer, examples):
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(examples))
    loss.backward()
    named = trainer.model.named_parameters()
    return loss.detach(), {name: each.grad.clone() for name, each in named if each.grad is not None}


def fdpo(family, pairs, folder, **options):
    policy, ref, processor = map(copy.deepcopy, family)
    args = FDPOConfig(output_dir=str(folder), activation_checkpointing=False, **COMMON, **options)
    return FDPOTrainer(policy, args=args, processing_class=processor, train_dataset=Dataset.from_list(pairs), ref_model=ref)


def trl(family, pairs, folder):
    policy, ref, processor = map(copy.deepcopy, family)
    args = DPOConfig(output_dir=str(folder), activation_checkpointing=False, max_length=None, **COMMON)
    return DPOTrainer(policy, ref, args, processing_class=processor, train_dataset=Dataset.from_list(pairs))


def assert_same(ours, theirs):
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-5, rtol=1e-5)
    assert ours[1].keys() == theirs[1].keys()
    for name, gradient in theirs[1].items():
        assert torch.allclose(ours[1][name], gradient, atol=1e-5, rtol=1e-4), name


def test_alpha_zero_is_the_dpo_of_trl_and_a_shared_prefix_changes_nothing(family, pairs, tmp_path):
    opened = [{**pair, "images": [Image.open(path) for path in pair["images"]]} for pair in copy.deepcopy(pairs)]
    theirs = loss_and_gradients(trl(family, pairs, tmp_path), opened)
    shared = fdpo(family, pairs, tmp_path, fdpo_alpha=0.0)
    assert_same(loss_and_gradients(shared, pairs), theirs)
    assert shared.shares_prefix is True
    assert_same(loss_and_gradients(fdpo(family, pairs, tmp_path, fdpo_alpha=0.0, shared_prefix=False), pairs), theirs)
    assert_same(loss_and_gradients(fdpo(family, pairs, tmp_path, loss="dpo"), pairs), theirs)


def test_fdpo_is_not_dpo_and_is_the_same_with_a_shared_prefix(family, pairs, tmp_path):
    shared = loss_and_gradients(fdpo(family, pairs, tmp_path, fdpo_alpha=0.5), pairs)
    apart = loss_and_gradients(fdpo(family, pairs, tmp_path, fdpo_alpha=0.5, shared_prefix=False), pairs)
    assert_same(shared, apart)
    dpo = loss_and_gradients(fdpo(family, pairs, tmp_path, loss="dpo"), pairs)
    assert abs(shared[0] - dpo[0]) > 1e-4


LORA = r".*(language_model|text_model).*\.(q|k|v|o|gate|up|down)_proj"


def train(family, pairs, folder, *, peft_config=None, **options):
    policy, _, processor = map(copy.deepcopy, family)
    options = {"max_steps": 2, "learning_rate": 1e-2, "logging_steps": 1, "save_strategy": "no"} | options
    args = FDPOConfig(output_dir=str(folder), disable_tqdm=True, **COMMON, **options)
    data = Dataset.from_list(pairs)
    trainer = FDPOTrainer(policy, args=args, processing_class=processor, train_dataset=data, peft_config=peft_config)
    trainer.train()
    return trainer, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def generate(model, processor, pairs):
    encoder = Encoder(processor)
    batch = SftCollator(encoder)([{**pairs[0], "completion": pairs[0]["chosen"]}])
    prompt = (batch["labels"][0] == -100).sum()
    for name in ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"):
        if name in batch:
            batch[name] = batch[name][:, :prompt]
    del batch["labels"]
    return model.eval().generate(**batch, max_new_tokens=4, do_sample=False)[0, prompt:]


def test_lora_with_a_cached_reference_trains_and_generates(family, pairs, tmp_path):
    lora = LoraConfig(r=4, target_modules=LORA)
    trainer, losses = train(
        family, pairs, tmp_path, peft_config=lora, precompute_ref_log_probs=True, activation_checkpointing=True
    )
    assert losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert losses[1] < losses[0]
    assert trainer.shares_prefix is True
    merged = trainer.model.merge_and_unload()
    assert 1 <= len(generate(merged, family[2], pairs)) <= 4


def test_checkpointing_all_weights_changes_nothing(family, pairs, tmp_path):
    plain = train(family, pairs, tmp_path / "plain", precompute_ref_log_probs=True, activation_checkpointing=False)[1]
    saved = train(family, pairs, tmp_path / "saved", precompute_ref_log_probs=True, activation_checkpointing=True)[1]
    assert saved == pytest.approx(plain, abs=1e-5)


def test_sft_learns(family, pairs, tmp_path):
    policy, _, processor = map(copy.deepcopy, family)
    rows = [{"images": pair["images"], "prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs]
    options = {"max_steps": 4, "learning_rate": 1e-2, "logging_steps": 1, "save_strategy": "no", "disable_tqdm": True}
    args = SFTConfig(
        output_dir=str(tmp_path), activation_checkpointing=False, max_length=None, remove_unused_columns=False,
        **COMMON, **options,
    )  # fmt: skip
    trainer = SftTrainer(
        policy,
        args,
        processing_class=processor,
        train_dataset=Dataset.from_list(rows),
        data_collator=SftCollator(Encoder(processor)),
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0] - 0.3
