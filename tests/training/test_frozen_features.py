import logging

import numpy as np
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from PIL import Image
from safetensors.torch import load_file
from transformers import PixtralVisionConfig, PixtralVisionModel

from spatialreasoner.training import feature_store
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.feature_store import FeatureStore, input_digest, tower_digest
from spatialreasoner.training.frozen_features import StoredTower, per_image
from spatialreasoner.training.vision import TOWERS
from tiny import FAMILIES, without_torchvision

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),  # TRL reads old names
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # GLM's processor
]

LORA = LoraConfig(r=4, target_modules=r".*(language_model|text_model).*\.(q|v)_proj")


@pytest.fixture
def make(families, pairs, tmp_path):
    def make(name, folder="out", *, adapter=True, rows=None, ref_model=None, **options):
        model, processor = families(name)
        for parameter_name, parameter in model.named_parameters():
            parameter.requires_grad = not any(part in parameter_name for part in TOWERS)
        args = FDPOConfig(
            output_dir=str(tmp_path / folder), activation_checkpointing=False, bf16=False, use_cpu=True, report_to="none",
            save_strategy="no", disable_tqdm=True, logging_steps=1, learning_rate=1e-3,
            **{"per_device_train_batch_size": 2, "num_train_epochs": 3} | options,
        )  # fmt: skip
        data = Dataset.from_list(rows or pairs)
        torch.manual_seed(0)
        return FDPOTrainer(
            model, ref_model, args=args, processing_class=processor, train_dataset=data, peft_config=LORA if adapter else None
        )

    return make


def counted(trainer):
    """Counts how many images the towers see."""
    seen = []
    for model in filter(None, (trainer.model, trainer.ref_model)):
        tower = next(each for name, each in model.named_modules() if name.rpartition(".")[2] in TOWERS)
        leaf = next(each for each in tower.modules() if isinstance(each, torch.nn.Conv2d | torch.nn.Conv3d | torch.nn.Linear))
        leaf.register_forward_hook(lambda *_: seen.append(1))
    return seen


def losses(trainer):
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def files(folder):
    return sorted(folder.glob("vision/*/*.safetensors"))


@pytest.mark.parametrize("name", FAMILIES)
def test_each_image_is_seen_once_per_run_and_nothing_changes(make, tmp_path, name):
    without_torchvision(name)
    stored = make(name)
    seen = counted(stored)
    found = losses(stored)
    kept = len(files(tmp_path / "out"))
    assert kept >= 3  # more where the family cuts images into tiles
    assert len(seen) == kept + 1  # one pass over several images shows how the tower lays them out
    assert found == pytest.approx(losses(make(name, "plain", vision_cache_gib=0.0)), abs=1e-6)


@pytest.fixture
def pixtral():
    """A tower that lays the patches of all images along one row, in a model that reads them."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 16}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower = PixtralVisionModel(PixtralVisionConfig(**sizes, image_size=56, patch_size=14)).requires_grad_(False).eval()

    class Model(torch.nn.Module):
        vision_tower = tower

        def forward(self, pixel_values, sizes):
            return self.vision_tower(pixel_values, image_sizes=sizes).last_hidden_state * 1

    return Model()


def test_a_tower_that_lays_all_images_along_one_row(pixtral, tmp_path):
    pixels = torch.randn(3, 3, 56, 42, generator=torch.Generator().manual_seed(0))
    sizes = torch.tensor([[56, 42], [28, 42], [56, 14]])
    plain = pixtral(pixels, sizes)
    tower = StoredTower(pixtral.vision_tower.forward, FeatureStore(tmp_path, limit=10**6), [pixtral])
    pixtral.vision_tower.forward = tower.forward
    assert plain.shape == (1, 12 + 6 + 4, 32)
    for _ in range(2):  # computed, and read back
        torch.testing.assert_close(pixtral(pixels, sizes), plain, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(pixtral(pixels[1:], sizes[1:]), plain[:, 12:], atol=1e-6, rtol=1e-5)
    assert len(list(tmp_path.glob("*.safetensors"))) == 3


def test_a_tower_is_told_which_layers_are_asked_for(tmp_path):
    """As a list by families that read several of them, such as Granite Vision."""

    class Model(torch.nn.Module):
        def forward(self, pixel_values, layers):
            return sum(self.vision_tower(pixel_values, layers=layers).values()) * 1

    model, told = Model(), []
    model.vision_tower = lambda pixel_values, layers: (
        told.append(layers) or {f"at{each}": pixel_values + each for each in layers}
    )
    tower = StoredTower(
        lambda pixel_values, layers: compute(pixel_values, layers), FeatureStore(tmp_path, limit=10**6), [model]
    )
    compute, model.vision_tower = model.vision_tower, tower.forward
    pixels = torch.arange(6.0).view(2, 3)
    for more in (0, 1, 0):
        assert torch.equal(model(pixels + more, [1, 2]), 2 * (pixels + more) + 3)
    assert told == [[1, 2]] * 5  # each of four images, and once several


def test_the_next_run_reads_what_is_on_disk(make, pairs, tmp_path):
    """All but the image of the first row, on which it sees what the model reads."""
    chance = np.random.default_rng(1)
    images = [Image.fromarray(chance.integers(0, 255, (28, 28, 3), dtype=np.uint8)) for _ in range(9)]
    rows = [pairs[0] | {"images": [image]} for image in images]
    found = losses(make("qwen2_5_vl", rows=rows))
    assert len(files(tmp_path / "out")) == 9
    again = make("qwen2_5_vl", rows=rows)
    seen = counted(again)
    assert losses(again) == pytest.approx(found, abs=1e-6)
    assert len(seen) == 2  # and one pass over several, which shows how the tower lays them out


def test_a_cached_reference_and_the_policy_share_what_is_on_disk(make, tmp_path):
    live = losses(make("llava", "live", adapter=False, vision_cache_gib=0.0))
    cached = make("llava", adapter=False, precompute_ref_log_probs=True)
    seen = counted(cached)
    assert losses(cached) == pytest.approx(live, abs=1e-5)
    assert not seen  # the pass of the reference, before it was counted, saw all of them
    assert len(files(tmp_path / "out")) == 3


def test_a_cached_reference_that_is_given_shares_what_is_on_disk(make, families, tmp_path):
    """It computes in another way than the policy, which tells LLaVA's tower that nothing is cached."""
    cached = make("llava", adapter=False, precompute_ref_log_probs=True, ref_model=families("llava")[0].requires_grad_(False))
    seen = counted(cached)
    losses(cached)
    assert not seen
    assert len(files(tmp_path / "out")) == 3


@pytest.mark.parametrize("name", ["use_cache", "output_router_logits"])
def test_what_concerns_the_language_model_alone_makes_no_other_features(tmp_path, name):
    calls = []

    class Model(torch.nn.Module):
        def forward(self, pixels, **options):
            return self.tower(pixels, **options) * 1

    def compute(pixels, **options):
        calls.append(options)
        return pixels + 1

    model, pixels = Model(), torch.ones(1, 2)
    model.tower = StoredTower(compute, FeatureStore(tmp_path, limit=10**6), [model]).forward
    for options in ({}, {name: False}, {name: True}):
        assert torch.equal(model(pixels, **options), pixels + 1)
    assert calls == [{}]
    model(pixels, layers=[1])
    assert calls == [{}, {"layers": [1]}]


def test_only_what_the_model_reads_is_kept(make, tmp_path):
    trainer = make("llava")
    trainer.train()
    for file in files(tmp_path / "out"):
        kept = load_file(file)
        assert len(kept) == 1  # one hidden state of three and the last output
        assert next(iter(kept)).startswith("output.hidden_states")


def test_a_tower_that_trains_keeps_nothing(make, tmp_path):
    trainer = make("llava", adapter=False)
    trainer.model.requires_grad_(True)
    trainer.train()
    assert not files(tmp_path / "out")


def test_the_folder_stays_within_its_bound(make, tmp_path):
    losses(make("llava", "whole", num_train_epochs=1))
    size = files(tmp_path / "whole")[0].stat().st_size
    bounded = make("llava", vision_cache_gib=2.5 * size / 2**30)
    seen = counted(bounded)
    assert losses(bounded) == pytest.approx(losses(make("llava", "plain", vision_cache_gib=0.0)), abs=1e-6)
    assert len(files(tmp_path / "out")) == 2
    assert len(seen) > 3


@pytest.mark.parametrize("damage", [lambda held: held[:50], lambda held: held[:-40] + bytes(40)], ids=["cut", "zeros"])
def test_a_damaged_file_is_made_anew(make, tmp_path, damage):
    found = losses(make("llava"))
    whole = {file: file.read_bytes() for file in files(tmp_path / "out")}
    for file, held in whole.items():
        file.write_bytes(damage(held))
    assert losses(make("llava")) == pytest.approx(found, abs=1e-6)
    assert {file: file.read_bytes() for file in files(tmp_path / "out")} == whole


def test_another_tower_has_a_folder_of_its_own(families):
    one, other = families("llava")[0].model.vision_tower, families("llava")[0].model.vision_tower
    assert tower_digest(one) == tower_digest(other)
    with torch.no_grad():
        next(other.parameters()).add_(1e-3)
    assert tower_digest(one) != tower_digest(other)
    assert tower_digest(one) != tower_digest(one.bfloat16())


def test_other_inputs_have_other_keys():
    image = torch.arange(6.0)
    keys = [image, image.bfloat16(), image.view(2, 3), [image, True], [image, False], {"a": image}, {"b": image}]
    assert len({input_digest(each) for each in keys}) == len(keys)
    assert input_digest([image]) == input_digest([image.clone()])


def test_calls_are_taken_apart_by_images_and_by_patches():
    images = torch.arange(12.0).view(3, 4)
    calls = per_image([images], {"output_hidden_states": True})
    assert [call[0][0].tolist() for call in calls] == [[row] for row in images.tolist()]
    patches, grid = torch.arange(10), torch.tensor([[1, 2, 3], [1, 2, 2]])
    first, second = per_image([patches], {"grid_thw": grid})
    assert (first[0][0].tolist(), first[1]["grid_thw"].tolist()) == ([0, 1, 2, 3, 4, 5], [[1, 2, 3]])
    assert (second[0][0].tolist(), second[1]["grid_thw"].tolist()) == ([6, 7, 8, 9], [[1, 2, 2]])
    assert per_image([images], {"other": torch.zeros(2)}) is None
    assert per_image([images.clone().requires_grad_()], {}) is None
    assert per_image([], {}) is None


def test_a_full_disk_stops_the_keeping_and_not_the_training(tmp_path, monkeypatch, caplog):
    store = FeatureStore(tmp_path / "features", limit=2**20)
    monkeypatch.setattr(feature_store, "RESERVE", 2**60)
    with caplog.at_level(logging.WARNING):
        store.put("one", {"a": torch.zeros(4)})
        store.put("two", {"a": torch.zeros(4)})
    assert caplog.text.count("No more features of images are kept") == 1
    assert not list((tmp_path / "features").glob("*"))
    assert store.get("one", ["a"], torch.device("cpu")) is None
