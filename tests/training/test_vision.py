import logging
from collections import Counter

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig

from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.training import vision
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.vision import PROJECTORS, TOWERS
from tiny import CORE, without_torchvision

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),  # TRL reads old names
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # GLM's processor
]

LORA = LoraConfig(r=4, target_modules=r".*(language_model|text_model).*\.(q_proj|v_proj|in_proj_qkv)", init_lora_weights=False)


@pytest.fixture
def make(families, pairs, tmp_path):
    def make(name, *, adapter=False, frozen=TOWERS, **options):
        model, processor = families(name)
        for parameter_name, parameter in model.named_parameters():
            parameter.requires_grad = not any(part in parameter_name for part in frozen)
        args = FDPOConfig(
            output_dir=str(tmp_path), activation_checkpointing=False, bf16=False, use_cpu=True, report_to="none",
            per_device_train_batch_size=3, vision_cache_gib=0.0, **options,
        )  # fmt: skip
        data = Dataset.from_list(pairs)
        return FDPOTrainer(
            model, args=args, processing_class=processor, train_dataset=data, peft_config=LORA if adapter else None
        )

    return make


LAYERS = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d)


def step(trainer, pairs):
    """Loss, gradients, and how often images went through the vision tower, and then through a projector if there is one."""
    batch = trainer.data_collator(pairs)
    trainer.compute_loss(trainer.model, batch)  # the first call also tries whether the prefix can be shared
    runs = Counter()
    for model in filter(None, (trainer.model, trainer.ref_model)):
        for names in (TOWERS, PROJECTORS):
            for part in [each for name, each in model.named_modules() if name.rpartition(".")[2] in names][:1]:
                leaves = [each for each in part.modules() if not list(each.children())]
                leaf = next((each for each in leaves if isinstance(each, LAYERS)), leaves[0])
                leaf.register_forward_hook(lambda *_, names=names: runs.update([names]))
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    named = trainer.model.named_parameters()
    return (
        loss.detach(),
        {name: each.grad for name, each in named if each.grad is not None},
        (runs[TOWERS], runs[PROJECTORS]),
    )


CASES = [
    *(pytest.param(name, True, marks=[] if name in CORE else pytest.mark.families) for name in tiny.FAMILIES),
    ("llava", False),
    ("qwen3_vl", False),
]


@pytest.mark.parametrize(("name", "adapter"), CASES)
def test_a_frozen_tower_runs_once_and_nothing_changes(make, pairs, monkeypatch, caplog, name, adapter):
    without_torchvision(name)
    once = make(name, adapter=adapter)
    loss, gradients, runs = step(once, pairs)
    tower, projector = runs
    assert tower == 1
    assert "vision tower" not in caplog.text
    twice = make(name, adapter=adapter)
    with caplog.at_level(logging.WARNING), monkeypatch.context() as patch:
        patch.setattr(vision, "TOWERS", ("nothing",))
        expected, expected_gradients, (tower, unshared) = step(twice, pairs)
    assert "does not share its vision tower with the reference: no part of it is called nothing" in caplog.text
    assert tower == 2
    apart = any(hasattr(once.model.get_base_model().model if adapter else once.model.model, part) for part in vision.PROJECTORS)
    assert (unshared > 0) is apart
    if adapter:  # it is frozen as well
        several = name == "lfm2_vl"  # its projector runs for each tile, and of tiles that are alike for the first alone
        assert projector < unshared // 2 if several else projector == unshared // 2
    else:
        assert projector == unshared
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=0)
    assert gradients.keys() == expected_gradients.keys()
    for key, value in gradients.items():
        torch.testing.assert_close(value, expected_gradients[key], atol=1e-6, rtol=1e-5)


def test_a_tower_that_trains_is_not_shared(make, pairs, caplog):
    trainer = make("llava", frozen=())
    assert step(trainer, pairs)[2] == (2, 2)
    assert "vision tower" not in caplog.text


def test_a_reference_that_sees_otherwise_is_not_given_the_policys_features(make, pairs, caplog):
    trainer = make("llava")
    with torch.no_grad():
        next(trainer.ref_model.model.vision_tower.parameters()).add_(1.0)
    with caplog.at_level(logging.WARNING):
        assert step(trainer, pairs)[2] == (2, 2)
    assert "its vision_tower is not the reference's" in caplog.text


def test_features_are_those_of_the_batch_at_hand(make, pairs):
    trainer = make("llava", adapter=True)
    first, second = (trainer.data_collator([pair]) for pair in pairs[:2])
    before = trainer.compute_loss(trainer.model, first)
    other = trainer.compute_loss(trainer.model, second)
    assert abs(other - before) > 1e-4
    torch.testing.assert_close(trainer.compute_loss(trainer.model, first), before)
