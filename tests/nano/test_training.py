"""The nano in trainers: TRL's own, ours, and with adapters."""

import json

import pytest
import torch
from datasets import Image, List
from peft import PeftModel
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from spatialreasoner.core.types import Response
from spatialreasoner.language.responses import render
from spatialreasoner.scenes.carry import png_info
from spatialreasoner.training.collate import Encoder, PairCollator
from spatialreasoner.training.data import read_preferences
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.forward import add_token_logps, padded
from spatialreasoner.training.run import run_training
from spatialreasoner.training.shared_prefix import enable_shared_prefix, packed
from spatialreasoner.vlm.loading import load_vlm

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # TRL reads old names

ARGUMENTS = {
    "per_device_train_batch_size": 2, "learning_rate": 1e-3, "use_cpu": True, "bf16": False, "report_to": "none",
    "disable_tqdm": True, "logging_steps": 1, "save_strategy": "no", "max_length": None,
}  # fmt: skip


def answer(description, conclusion):
    reasoning = f"### Rationale\n<region1> and <region2> are {conclusion} apart."
    return [{"role": "assistant", "content": render(Response(description=description, reasoning=reasoning, answer=conclusion))}]


@pytest.fixture(scope="module")
def data(image, tmp_path_factory):
    """A folder with `pairs.jsonl`: two pairs with regions, and one without an image."""
    made = tmp_path_factory.mktemp("data")
    rows = []
    for number, said in enumerate(("0.57 m", "1.2 m", "36 inches")):
        seen = number < 2
        if seen:
            shown = image(number)
            shown.save(made / f"{number}.png", pnginfo=png_info(shown))
        rows.append(
            {
                "images": [f"{number}.png"] if seen else [],
                "prompt": [{"role": "user", "content": "How far apart are <region1> and <region2>?"}],
                "chosen": answer("<region1> is a red box.", said),
                "rejected": answer("Who knows what <region2> is?", "9.9 m"),
                "gap_description": 1.0 + number,
                "gap_reasoning": 4.0 - 2 * number,
            }
        )
    (made / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 2))
    return made


def dataset(data, *columns):
    """Rows as any user of TRL reads them: images by path."""
    found = read_preferences(data / "pairs.jsonl").select_columns(["images", *columns])
    return found.cast_column("images", List(Image()))


def losses(trainer):
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def changed(one, other):
    one, other = one.state_dict(), other.state_dict()
    return {name for name in one if not torch.equal(one[name].cpu(), other[name].cpu())}


def test_sft_of_trl_teaches_regions_too(folder, data, tmp_path):
    model, processor = load_vlm(folder)
    rows = dataset(data, "prompt", "chosen").rename_column("chosen", "completion")
    args = SFTConfig(output_dir=str(tmp_path), max_steps=12, **ARGUMENTS)
    found = losses(SFTTrainer(model, args, train_dataset=rows, processing_class=processor))
    assert sum(found[-3:]) < 0.8 * sum(found[:3])
    assert any(name.startswith("model.region_tokens") for name in changed(model, load_vlm(folder)[0]))


def test_dpo_of_trl_prefers_what_is_chosen(folder, data, tmp_path):
    model, processor = load_vlm(folder)
    args = DPOConfig(output_dir=str(tmp_path), max_steps=6, **ARGUMENTS)
    rows = dataset(data, "prompt", "chosen", "rejected")
    trainer = DPOTrainer(model, args=args, train_dataset=rows, processing_class=processor)
    found = losses(trainer)
    assert found[0] == pytest.approx(0.6931, abs=1e-3)
    assert found[-1] < 0.5
    assert any(name.startswith("model.region_tokens") for name in changed(model, load_vlm(folder)[0]))


@pytest.fixture(scope="module")
def ready(folder):
    model, processor = load_vlm(folder)
    add_token_logps(model)
    enable_shared_prefix(model)
    return model.eval(), PairCollator(Encoder(processor))


def logps(model, batch, *, shared):
    return model(**(packed(batch, model) if shared else padded(batch, pad_token_id=0)))


def test_a_shared_prefix_changes_nothing(ready, data):
    model, collator = ready
    pairs = read_preferences(data / "pairs.jsonl").to_list()[:3]
    # Packed after a pair with an image, a pair without one must not take its regions
    batch, gradients = collator(pairs), []
    with torch.no_grad():
        alone = torch.cat([logps(model, collator([pair]), shared=True) for pair in pairs])
    for shared in (True, False):
        model.zero_grad()
        found = logps(model, batch, shared=shared)
        torch.testing.assert_close(found, alone, atol=1e-4, rtol=1e-5)
        found.sum().backward()
        gradients.append({name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, one in gradients[0].items():
        torch.testing.assert_close(one, gradients[1][name], atol=1e-2, rtol=1e-3, msg=name)


def test_fdpo_is_the_same_by_separate_rows_and_with_a_cached_reference(folder, data, tmp_path):
    found = []
    for shared, reference in ((False, "live"), (True, "live"), (True, "cached")):
        model, processor = load_vlm(folder)
        args = FDPOConfig(
            output_dir=str(tmp_path / f"{shared} {reference}"),
            max_steps=4,
            shared_prefix=shared,
            precompute_ref_log_probs=reference == "cached",
            **ARGUMENTS,
        )
        trainer = FDPOTrainer(model, args, processing_class=processor, train_dataset=read_preferences(data / "pairs.jsonl"))
        found.append(losses(trainer))
        assert trainer.shares_prefix is shared  # it did not fall back to separate rows
    assert found[0][0] == pytest.approx(0.6931, abs=1e-3)
    assert found[0][-1] < found[0][0]
    assert found[1] == pytest.approx(found[0], abs=1e-3)
    assert found[2] == pytest.approx(found[1], abs=1e-4)


def test_adapters_train_the_decoder_alone_and_merge(folder, data, tmp_path):
    """What regions look like was learned in pretraining: only tokens that are new, of other families, train beside adapters."""
    options = (
        "per_device_train_batch_size=2",
        "gradient_accumulation_steps=1",
        "learning_rate=1e-2",
        "threads=1",
        "max_steps=3",
        "lora_r=4",
    )
    run_training("fdpo", model=str(folder), data=data / "pairs.jsonl", out=tmp_path / "out", overrides=options)
    base, (merged, processor) = load_vlm(folder)[0], load_vlm(tmp_path / "out")
    moved = changed(base, merged)
    assert moved
    assert all(name.startswith("model.language_model.layers.") and "_proj" in name for name in moved)
    adapted = PeftModel.from_pretrained(base, str(tmp_path / "out" / "adapter"))
    pairs = read_preferences(data / "pairs.jsonl").to_list()[:2]
    inputs = padded(PairCollator(Encoder(processor))(pairs), pad_token_id=0)
    inputs = {name: value for name, value in inputs.items() if not name.startswith("logps")}
    with torch.no_grad():
        torch.testing.assert_close(adapted.eval()(**inputs).logits, merged.eval()(**inputs).logits, atol=1e-3, rtol=1e-3)
