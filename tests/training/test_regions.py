"""Region tokens through the data path, the trainers and the command."""

import asyncio
import copy
import json
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Prompt, Region
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.scenes.carry import KEY, as_text, attach, png_info
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.masks import encode, from_box
from spatialreasoner.testing import tiny_models as tiny
from spatialreasoner.training.collate import Encoder, PairCollator, SftCollator
from spatialreasoner.training.forward import add_token_logps, padded
from spatialreasoner.training.images import images_key
from spatialreasoner.training.reference import pair_digest
from spatialreasoner.training.run import run_training
from spatialreasoner.training.shared_prefix import enable_shared_prefix, packed
from spatialreasoner.vlm.loading import load_vlm
from spatialreasoner.vlm.regions import add_region_tokens
from tiny import TINY


def regions(width, height):
    """The left half of an image, and its lower right quarter."""
    boxes = ((0, 0, width // 2, height), (width // 2, height // 2, width, height))
    return [Region(id=f"region{k}", label="", mask=encode(from_box(box, (height, width)))) for k, box in enumerate(boxes, 1)]


@pytest.fixture
def carried(pairs):
    """The pairs, and one without an image; all images carry regions, but for the first of the two."""
    for pair in pairs:
        opened = [read_image(path) for path in pair["images"]]
        pair["images"] = [*opened[:-1], attach(opened[-1], regions(*opened[-1].size))]
        pair["chosen"][0]["content"] = pair["chosen"][0]["content"].replace("Rationale", "Rationale of <region2>")
    text = {**copy.deepcopy(pairs[0]), "images": [], "question_id": "text alone"}
    return [*pairs[:2], text, pairs[2]]


@pytest.fixture(
    scope="module",
    params=["llava", "qwen2_5_vl", "qwen3_vl", "internvl", pytest.param("qwen3_vl_moe", marks=pytest.mark.families)],
)
def ready(request, texts):
    model, processor = add_region_tokens(*tiny.make_tiny(request.param, texts, width=32), num_regions=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.nn.init.normal_(model.model.region_encoder.last.weight)
    add_token_logps(model)
    enable_shared_prefix(model)
    return model.eval(), PairCollator(Encoder(processor))


@torch.no_grad()
def logps(model, batch, *, shared):
    return model(**(packed(batch, model) if shared else padded(batch, pad_token_id=0)))


def test_padded_equals_packed(ready, carried):
    model, collator = ready
    batch = collator(carried)
    masks = batch["vision"]["region_masks"]
    assert masks.shape[1] == 2
    assert masks.flatten(1).any(-1).sum() == 3  # of four images; InternVL has further tiles, without any
    one, other = (logps(model, batch, shared=shared) for shared in (True, False))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    alone = torch.cat([logps(model, collator([pair]), shared=True) for pair in carried])
    torch.testing.assert_close(one, alone, atol=1e-5, rtol=1e-5)
    batch["vision"]["region_masks"].zero_()
    assert (logps(model, batch, shared=True) - one).abs().max() > 1e-2


def test_gradients_are_the_same_both_ways(ready, carried):
    model, collator = ready
    batch, found = collator(carried), []
    for shared in (True, False):
        model.zero_grad()
        model(**(packed(batch, model) if shared else padded(batch, pad_token_id=0))).sum().backward()
        found.append([parameter.grad.clone() for parameter in model.model.region_encoder.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-4)
        assert one.any()


def test_a_column_of_regions_serves_images_that_carry_none(ready, carried):
    _, collator = ready
    expected = collator(carried[:1])["vision"]["region_masks"]
    bare = carried[0]["images"][0].copy()
    bare.info.pop(KEY)
    column = as_text(region.mask for region in regions(*bare.size))
    row = carried[0] | {"images": [bare], "regions": column}
    assert torch.equal(collator([row])["vision"]["region_masks"], expected)
    assert collator([row | {"regions": ""}])["vision"]["region_masks"].shape[1] == 0
    assert len({pair_digest(each) for each in (row, row | {"regions": ""}, carried[0])}) == 3


def test_regions_are_read_as_rows_of_pairs_hold_them(ready, carried):
    bare = carried[0]["images"][-1].copy()
    bare.info.pop(KEY, None)
    masks = [region.mask for region in regions(*bare.size)]
    text = carried[0] | {"images": [bare], "regions": as_text(masks)}
    listed = text | {"regions": [{"label": "a box", "size": list(mask.size), "counts": mask.counts} for mask in masks]}
    assert pair_digest(listed) == pair_digest(text)
    assert images_key(listed) == images_key(text) != images_key(text | {"regions": None})
    one, other = (ready[1]([row])["vision"]["region_masks"] for row in (listed, text))
    assert torch.equal(one, other)
    with pytest.raises(InputError, match="regions as masks"):
        images_key(text | {"regions": [{"box": [0, 0, 1, 1]}]})


def test_trl_hands_the_regions_on(ready, carried):
    collator = DataCollatorForVisionPreference(ready[1].encoder.processor)
    rows = [{key: pair[key] for key in ("images", "prompt", "chosen", "rejected")} for pair in carried[:2]]
    expected = ready[1](carried[:2])["vision"]["region_masks"]
    assert torch.equal(collator(rows)["region_masks"], torch.cat([expected, expected]))


@pytest.fixture
def region_data(data, pairs):
    """The folder of the pairs, its images with regions."""
    for path in data.glob("*.png"):
        image = attach(read_image(path), regions(*read_image(path).size))
        image.save(path, pnginfo=png_info(image))
    return data


OTHERS = [TINY.replace("llava", name) for name in ("qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "internvl")]


@pytest.mark.parametrize("model", [TINY, *(pytest.param(name, marks=pytest.mark.families) for name in OTHERS)])
def test_adapters_train_the_encoder_and_the_tokens_and_merge(region_data, fast, tmp_path, monkeypatch, model):
    options = [*fast, "max_steps=3", "lora_r=4", "region_tokens=true", "gradient_checkpointing=true"]
    out = tmp_path / "sft"
    run_training("sft", model=model, data=region_data / "sft.jsonl", out=out, overrides=options)
    base, merged = load_vlm(out / "start")[0].state_dict(), load_vlm(out)[0].state_dict()
    ids = load_vlm(out)[0].config.region_token_ids
    changed = {name for name in base if not torch.equal(base[name], merged[name])}
    encoder = {name for name in base if "region_encoder" in name}
    rows = {"model.language_model.embed_tokens.weight", "lm_head.weight"}
    assert encoder | rows < changed
    assert all("_proj" in name for name in changed - encoder - rows)
    for name in rows:
        moved = (base[name] != merged[name]).any(-1).nonzero()[:, 0]
        assert set(moved.tolist()) == set(ids) or name != "lm_head.weight"
        assert set(moved.tolist()) <= set(ids)
    # The later stages take the tokens from the model
    later = [*fast, "max_steps=2", "lora_r=4", "learning_rate=1e-2"]
    run_training("fdpo", model=str(out), data=region_data / "pairs.jsonl", out=tmp_path / "fdpo", overrides=later)
    trained, _ = load_vlm(tmp_path / "fdpo")
    assert not (tmp_path / "fdpo" / "start").exists()
    assert not torch.equal(trained.model.region_encoder.last.weight, merged["model.region_encoder.last.weight"])
    log = [json.loads(line) for line in (tmp_path / "fdpo" / "metrics.jsonl").read_text().splitlines()]
    router = getattr(trained.config.get_text_config(), "router_aux_loss_coef", 0.0) * log[0].get("aux_loss", 0.0)
    assert log[0]["loss"] - router == pytest.approx(np.log(2), abs=1e-4)  # policy and cached reference begin as one
    answers_know_their_regions(tmp_path / "fdpo", region_data, monkeypatch)


def answers_know_their_regions(folder, data, monkeypatch):
    """The policy shows a region model the prompt's regions, and other regions give another answer."""
    policy = HfPolicy(folder, temperature=0, max_new_tokens=6)
    assert policy.region_tokens
    model, processor = load_vlm(folder)
    torch.nn.init.normal_(model.model.region_encoder.last.weight)
    caller = next(each for each in type(processor).__mro__ if "__call__" in vars(each))  # a class without videos is made for it
    process, read = caller.__call__, []
    monkeypatch.setattr(caller, "__call__", lambda *a, **k: read.append(process(*a, **k)) or read[-1])
    path = next(iter(sorted(data.glob("*.png"))))
    found = regions(*read_image(path).size)
    prompts = [Prompt(image=str(path), regions=tuple(each), request="Is <region1> left?") for each in (found, found[::-1], ())]

    for each in prompts:
        asyncio.run(policy.complete(each, n=1, seed=0))
    with torch.no_grad():
        own, other, none = (model(**inputs).logits[0, -1] for inputs in read)
    assert (own - other).abs().max() > 1e-3
    assert (own - none).abs().max() > 1e-3
    assert len(asyncio.run(policy.complete(prompts[0], n=2, seed=0))) == 2


def test_a_resumed_run_ends_with_the_same_bytes(region_data, fast, tmp_path):
    options = [*fast, "region_tokens=true", "save_steps=2", "max_steps=4"]
    for name in ("whole", "cut"):
        run_training("fdpo", model=TINY, data=region_data / "pairs.jsonl", out=tmp_path / name, overrides=options)
    weights = (tmp_path / "whole" / "model.safetensors").read_bytes()
    for path in (tmp_path / "cut").glob("checkpoint-4/*"):
        path.unlink()  # as if it had been killed at step 3
    for name in ("README.md", "model.safetensors"):
        (tmp_path / "cut" / name).unlink()
    run_training("fdpo", model=TINY, data=region_data / "pairs.jsonl", out=tmp_path / "cut", overrides=options)
    assert (tmp_path / "cut" / "model.safetensors").read_bytes() == weights


LARGER = "Which is larger, <region1> or <region2>?"


def comparison(random):
    """An empty image with two regions, and which one is larger: nothing but the masks can tell."""
    sizes = random.sample((random.randint(5, 9), random.randint(16, 24)), 2)
    lefts = random.sample((random.randint(0, 8), random.randint(28, 32)), 2)
    tops = [random.randint(0, 30) for _ in sizes]
    boxes = [(left, top, left + size, top + size) for left, top, size in zip(lefts, tops, sizes, strict=True)]
    masks = [Region(id=f"region{k}", label="", mask=encode(from_box(box, (56, 56)))) for k, box in enumerate(boxes, 1)]
    return {
        "images": [attach(Image.new("RGB", (56, 56), "grey"), masks)],
        "prompt": [{"role": "user", "content": LARGER}],
        "completion": [{"role": "assistant", "content": "<region1>" if sizes[0] > sizes[1] else "<region2>"}],
    }


def said(model, batch):
    """Which region each row's answer is likelier to name, and which one it should."""
    with torch.no_grad():
        logits = model(**{key: value for key, value in batch.items() if key != "labels"}).logits
    ids = torch.tensor(model.config.region_token_ids[:2])
    answers = torch.isin(batch["labels"], ids)
    return ids[logits[:, :-1][answers[:, 1:]][:, ids].argmax(-1)], batch["labels"][answers]


def test_a_tiny_model_learns_which_region_is_larger_which_it_cannot_without_masks():
    random = Random(0)
    model, processor = add_region_tokens(*tiny.make_tiny("internvl", [LARGER], width=64, image_size=28), num_regions=2)
    with torch.no_grad():
        for parameter in (*model.model.language_model.parameters(), model.lm_head.weight):
            parameter *= 5 if parameter.ndim == 2 else 1  # they start at a size for widths of thousands
    collator = SftCollator(Encoder(processor))
    learned, asked = (collator([comparison(random) for _ in range(count)]) for count in (256, 100))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(48):
        rows = slice(32 * (step % 8), 32 * (step % 8) + 32)
        model(**{key: value[rows] for key, value in learned.items()}).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    answers, truth = said(model.eval(), asked)
    assert (answers == truth).float().mean() > 0.95
    assert len(said(model, {**asked, "region_masks": torch.zeros_like(asked["region_masks"])})[0].unique()) == 1
