"""Every model family: alpha = 0 is TRL's own DPO, and sharing the prefix changes nothing."""

import copy

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func
from trl import DPOConfig, DPOTrainer, SFTConfig

from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.training.batch_statistics import hold_batch_statistics
from spatialreasoner.training.collate import Encoder, PairCollator, SftCollator
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.forward import padded
from spatialreasoner.training.images import read_images
from spatialreasoner.training.lora import find_targets
from spatialreasoner.training.messages import with_image_blocks
from spatialreasoner.training.sft import SftTrainer
from spatialreasoner.vlm.encoding import TextReader
from spatialreasoner.vlm.rendering import chat_template_of
from tiny import FAMILIES, TEXT, make_text, shares, text_tokenizer, without_torchvision

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),  # TRL reads old names
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # GLM's processor
]

SIDES = ("chosen", "rejected")
COMMON = {"per_device_train_batch_size": 3, "bf16": False, "use_cpu": True, "report_to": "none"}


@pytest.fixture(scope="module", params=[*FAMILIES, *(pytest.param(name, marks=pytest.mark.families) for name in TEXT)])
def family(request, texts):
    if request.param in TEXT:
        tokenizer = text_tokenizer(request.param)
        return *(make_text(request.param, tokenizer, seed=seed) for seed in (1, 2)), tokenizer
    without_torchvision(request.param)
    policy, processor = tiny.make_tiny(request.param, texts, seed=1)
    ref, _ = tiny.make_tiny(request.param, texts, seed=2)
    return policy, ref, processor


@pytest.fixture
def pairs(family, pairs):
    """The pairs, for text models without their images."""
    if hasattr(family[2], "image_processor"):
        return pairs
    return [{key: value for key, value in pair.items() if key != "images"} for pair in pairs]


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


def rendered(processor, pair):
    """A pair as text: TRL tokenizes prompt and answer apart, and adds no end where the template writes none."""
    template, reader, asked = chat_template_of(processor), TextReader(processor), copy.deepcopy(pair["prompt"])
    with_image_blocks(asked, len(pair["images"]))
    frame = template.frame(asked)
    begun = processor.tokenizer.bos_token if reader.adds_special(frame.opening) else None
    end = processor.tokenizer.eos_token if template.end(frame.tail) is None else ""
    found = {side: frame.whole(pair[side][0]["content"]).text[len(frame.opening) :] + end for side in SIDES}
    return {**pair, **found, "prompt": (begun or "") + frame.opening, "images": read_images(pair)}


def numbered(tokenizer, pair):
    """A pair as token ids, as TRL's trainer of text models keeps it."""
    (parts,), _ = Encoder(tokenizer)([pair], SIDES)
    return dict(zip(("prompt_ids", "chosen_ids", "rejected_ids"), (part.ids.tolist() for part in parts), strict=True))


def trl(family, pairs, folder):
    policy, ref, processor = map(copy.deepcopy, family)
    hold_batch_statistics(policy)  # TRL would have a tower like FastVLM's mix the images of a batch
    hold_batch_statistics(ref)
    args = DPOConfig(output_dir=str(folder), activation_checkpointing=False, max_length=None, **COMMON)
    return DPOTrainer(policy, ref, args, processing_class=processor, train_dataset=Dataset.from_list(pairs))


TRL_OTHERWISE = {"cohere2", "granite", "glm4v_moe_text", "qwen3_moe", "gpt_oss"}
"""Language models of which, inside wrappers, TRL scales logits as the wrappers do not, or whose router it cannot read there."""


def own(family, pairs):
    """DPO by the models' own forward passes, with the router's loss; nothing of TRL's or ours but the rows of tokens."""
    policy, ref, processor = map(copy.deepcopy, family)
    batch = PairCollator(Encoder(processor))(pairs)
    rows = padded(batch, pad_token_id=processor.tokenizer.pad_token_id)
    at, targets = rows.pop("logps_at"), rows.pop("logps_of")
    sizes = [length for pair in batch["lengths"].tolist() for length in pair[1:]]
    gates, sums = [], []
    policy.get_decoder().register_forward_hook(lambda module, args, output: gates.append(output.get("router_logits")))
    for model in (policy, ref):
        text = model.config.get_text_config()
        balanced = model is policy and hasattr(text, "output_router_logits")
        logits = model(**rows, **({"output_router_logits": True} if balanced else {})).logits
        logps = torch.log_softmax(logits.flatten(0, 1)[at].float(), dim=-1).gather(1, targets[:, None])[:, 0]
        sums.append(torch.stack([part.sum() for part in logps.split(sizes)]).view(-1, 2))
    margins = (sums[0] - sums[1].detach()) @ torch.tensor([1.0, -1.0])
    loss = -torch.nn.functional.logsigmoid(0.1 * margins).mean()
    if gates[0]:
        loss = loss + text.router_aux_loss_coef * load_balancing_loss_func(
            gates[0], gates[0][0].shape[-1], text.num_experts_per_tok, rows["attention_mask"]
        )
    loss.backward()
    return loss.detach(), {name: each.grad for name, each in policy.named_parameters() if each.grad is not None}


def assert_same(ours, theirs):
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-5, rtol=1e-5)
    assert ours[1].keys() == theirs[1].keys()
    for name, gradient in theirs[1].items():
        assert torch.allclose(ours[1][name], gradient, atol=1e-5, rtol=1e-4), name


def test_alpha_zero_is_the_dpo_of_trl_and_a_shared_prefix_changes_nothing(family, pairs, tmp_path):
    text = family[0].config.get_text_config()
    if text is not family[0].config and text.model_type in TRL_OTHERWISE:
        theirs = own(family, pairs)
    elif text is family[0].config:
        reference = trl(family, [{key: pair[key] for key in ("prompt", *SIDES)} for pair in pairs], tmp_path)
        theirs = loss_and_gradients(reference, [numbered(family[2], pair) for pair in pairs])
    else:
        theirs = loss_and_gradients(trl(family, pairs, tmp_path), [rendered(family[2], pair) for pair in pairs])
    shared = fdpo(family, pairs, tmp_path, fdpo_alpha=0.0)
    assert_same(loss_and_gradients(shared, pairs), theirs)
    assert shared.shares_prefix is shares(shared.model)
    assert_same(loss_and_gradients(fdpo(family, pairs, tmp_path, fdpo_alpha=0.0, shared_prefix=False), pairs), theirs)
    assert_same(loss_and_gradients(fdpo(family, pairs, tmp_path, loss="dpo"), pairs), theirs)


def test_fdpo_is_not_dpo_and_is_the_same_with_a_shared_prefix(family, pairs, tmp_path):
    shared = loss_and_gradients(fdpo(family, pairs, tmp_path, fdpo_alpha=0.5), pairs)
    apart = loss_and_gradients(fdpo(family, pairs, tmp_path, fdpo_alpha=0.5, shared_prefix=False), pairs)
    assert_same(shared, apart)
    dpo = loss_and_gradients(fdpo(family, pairs, tmp_path, loss="dpo"), pairs)
    apart_by = max((gradient - dpo[1][name]).abs().max() for name, gradient in shared[1].items())
    assert apart_by > 1e-3 * max(gradient.abs().max() for gradient in dpo[1].values())


def train(family, pairs, folder, *, peft_config=None, **options):
    policy, _, processor = map(copy.deepcopy, family)
    options = {"max_steps": 2, "learning_rate": 1e-2, "logging_steps": 1, "save_strategy": "no"} | options
    args = FDPOConfig(output_dir=str(folder), disable_tqdm=True, **COMMON, **options)
    data = Dataset.from_list(pairs)
    trainer = FDPOTrainer(policy, args=args, processing_class=processor, train_dataset=data, peft_config=peft_config)
    trainer.train()
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    return trainer, [entry["loss"] - trainer.router_aux_loss_coef * entry.get("aux_loss", 0.0) for entry in entries]


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
    targets = find_targets(family[0])
    lora = LoraConfig(r=4, target_modules=targets.modules, target_parameters=targets.parameters or None)
    trainer, losses = train(
        family, pairs, tmp_path, peft_config=lora, precompute_ref_log_probs=True, activation_checkpointing=True
    )
    assert losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert losses[1] < losses[0]
    assert trainer.shares_prefix is shares(trainer.model)
    merged = trainer.model.merge_and_unload()
    assert 1 <= len(generate(merged, family[2], pairs)) <= 4


def test_checkpointing_all_weights_changes_nothing(family, pairs, tmp_path):
    plain = train(family, pairs, tmp_path / "plain", precompute_ref_log_probs=True, activation_checkpointing=False)[1]
    saved = train(family, pairs, tmp_path / "saved", precompute_ref_log_probs=True, activation_checkpointing=True)[1]
    assert saved == pytest.approx(plain, abs=1e-5)


def test_sft_learns(family, pairs, tmp_path):
    policy, _, processor = map(copy.deepcopy, family)
    kept = {"images": "images", "prompt": "prompt", "chosen": "completion"}
    rows = [{new: pair[old] for old, new in kept.items() if old in pair} for pair in pairs]
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
