"""Every model family: a trie of rows that share images, questions and starts of answers gives what separate rows give."""

import copy

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers.image_utils import make_flat_list_of_images

from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.training.collate import Encoder, PairCollator
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.forward import add_token_logps, padded
from spatialreasoner.training.shared_prefix import enable_shared_prefix, packed
from spatialreasoner.training.sharing import tolerance
from tiny import FAMILIES, shares, without_torchvision

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),  # TRL reads old names
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # GLM's processor
]

GOOD = "<description>A red box on the left of a chair.</description>\n<reasoning>It is as tall as it, so 1.5 m.</reasoning>"
HARD = GOOD.replace("1.5 m", "3 m")
BAD = "<description>No idea.</description>\n<reasoning>Let us guess.</reasoning>"
LORA = LoraConfig(r=4, target_modules=r".*(language_model|text_model).*\.(q_proj|v_proj|in_proj_qkv)", init_lora_weights=False)


def row(images, question, chosen, rejected, *gaps):
    return {
        "images": images,
        "prompt": [{"role": "user", "content": question}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "gap_description": gaps[0],
        "gap_reasoning": gaps[1],
    }


@pytest.fixture
def rows(image_paths):
    """One image and two of other sizes; questions with a common start; hard negatives; text alone in between."""
    first, second, third = image_paths
    return [
        row([first], "How tall is <region1>?", GOOD, HARD, 0.0, 4.0),
        row([first], "How tall is <region1>?", GOOD, BAD, 3.0, 4.0),
        row([second, third], "Which is left?", GOOD, BAD, 3.0, 1.0),
        row([], "How tall is a chair?", HARD, BAD, 2.0, 1.0),
        row([first], "How tall is <region2>, the box?", BAD, HARD, -1.0, 1.0),
        row([second], "How tall is <region1>?", GOOD, HARD, 0.0, 2.0),
        row([], "How tall is a box?", GOOD, BAD, 1.0, 3.0),
        row([second, third], "Which one is right?", HARD, BAD, 1.0, 0.0),
    ]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, texts):
    without_torchvision(request.param)
    texts = [*texts, GOOD, BAD]
    policy, processor = tiny.make_tiny(request.param, texts, seed=1)
    return policy, tiny.make_tiny(request.param, texts, seed=2)[0], processor


def make(family, rows, folder, *, peft_config=None, **options):
    policy, ref, processor = map(copy.deepcopy, family)
    options = {"per_device_train_batch_size": len(rows)} | options
    args = FDPOConfig(
        output_dir=str(folder), activation_checkpointing=False, bf16=False, use_cpu=True, report_to="none", fdpo_alpha=0.5,
        disable_tqdm=True, save_strategy="no", logging_steps=1, **options,
    )  # fmt: skip
    ref = None if peft_config else ref
    data = Dataset.from_list(rows)
    return FDPOTrainer(
        policy, args=args, processing_class=processor, train_dataset=data, ref_model=ref, peft_config=peft_config
    )


def loss_and_gradients(trainer, rows):
    trainer.model.zero_grad()
    batch = trainer.data_collator(rows)
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    named = trainer.model.named_parameters()
    return batch, loss.detach(), {name: each.grad.clone() for name, each in named if each.grad is not None}


def assert_same(ours, theirs):
    torch.testing.assert_close(ours[1], theirs[1], atol=1e-5, rtol=1e-5)
    assert ours[2].keys() == theirs[2].keys()
    for name, gradient in theirs[2].items():
        assert torch.allclose(ours[2][name], gradient, atol=1e-5, rtol=1e-4), name


@pytest.mark.parametrize("adapters", [False, True])
def test_a_trie_is_what_separate_rows_are(family, rows, tmp_path, adapters):
    lora = LORA if adapters else None
    shared = make(family, rows, tmp_path, peft_config=lora)
    torch.manual_seed(0)
    ours = loss_and_gradients(shared, rows)
    assert shared.shares_prefix is shares(shared.model)
    apart = make(family, rows, tmp_path, peft_config=lora, shared_prefix=False)
    if adapters:  # they start at random
        apart.model.load_state_dict(shared.model.state_dict())
    assert_same(ours, loss_and_gradients(apart, rows))
    assert len(ours[0]["trie"]) < 0.76 * ours[0]["input_ids"].shape[1]


HALVES = [pytest.param(name, marks=pytest.mark.families) for name in ("bfloat16", "float16")]


@torch.no_grad()
@pytest.mark.parametrize("precision", ["float32", *HALVES])
def test_log_probabilities_are_those_of_the_models_own_forward_pass(family, rows, precision):
    """With logits far apart, and by a copy of the model that nothing of ours has touched."""
    policy, _, processor = map(copy.deepcopy, family)
    torch.manual_seed(0)
    torch.nn.init.normal_(policy.get_output_embeddings().weight, std=1.0)
    policy.to(getattr(torch, precision)).eval()
    own = copy.deepcopy(policy)
    batch = PairCollator(Encoder(processor))(rows)
    batch["vision"] = {
        key: each.to(policy.dtype) if each.is_floating_point() else each for key, each in batch["vision"].items()
    }
    inputs = padded(batch, pad_token_id=0)
    asked = {"logps_at": inputs.pop("logps_at"), "logps_of": inputs.pop("logps_of")}
    logits = own(**inputs).logits.flatten(0, 1)[asked["logps_at"]]
    plain = -torch.nn.functional.cross_entropy(logits.float(), asked["logps_of"], reduction="none")
    assert plain.std() > 1
    add_token_logps(policy)
    ways = [policy(**inputs, **asked).float()]
    if shares(policy):
        enable_shared_prefix(policy)
        ways.append(policy(**packed(batch, policy)).float())
    for found in ways:
        assert (found - plain).square().mean().sqrt() <= tolerance(plain, policy.dtype)
        if precision == "float32":
            torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-6)


def test_images_of_several_rows_are_prepared_once_and_as_for_one(family, rows, monkeypatch):
    processor = copy.deepcopy(family[2])
    collator = PairCollator(Encoder(processor))
    alone = [collator([row])["vision"] for row in (rows[0], rows[2])]
    inner, given = type(processor.image_processor), []
    prepare = inner.__call__

    def counted(self, images, **kwargs):
        given.append(len(make_flat_list_of_images(images)))
        return prepare(self, images, **kwargs)

    monkeypatch.setattr(inner, "__call__", counted)
    for expected, same in zip(alone, ([0, 1, 4], [2, 7]), strict=True):
        found = collator([rows[number] for number in same])["vision"]
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert torch.equal(found[key], value), key
    assert given == [1, 2]
    assert type(processor.image_processor) is inner


def test_steps_over_grouped_rows_are_those_of_separate_rows(family, rows, tmp_path):
    options = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "max_steps": 3, "learning_rate": 1e-3}
    found = []
    for shared, precompute in ((True, True), (False, False)):
        trainer = make(
            family, rows, tmp_path / str(shared), shared_prefix=shared, precompute_ref_log_probs=precompute, **options
        )
        trainer.train()
        found.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert found[0] == pytest.approx(found[1], abs=1e-5)
    assert len(found[0]) == 3
