"""A Sa2VA through the commands: it converts, trains by SFT, DPO and fDPO, with adapters too, answers and is served."""

import asyncio
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from commands import check_ours
from sa2va_folders import INTERNLM2, QWEN2, ask, copied, golden, with_masks
from spatialreasoner.cli import main
from spatialreasoner.core.types import Prompt, Region, Response
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.language.responses import render
from spatialreasoner.scenes.carry import attached
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.masks import encode, from_box
from spatialreasoner.training.collate import Encoder, PairCollator
from spatialreasoner.training.forward import add_token_logps, padded
from spatialreasoner.training.run import run_training
from spatialreasoner.training.shared_prefix import enable_shared_prefix, packed
from spatialreasoner.vlm.loading import load_vlm
from spatialreasoner.vlm.regions import has_region_tokens
from spatialreasoner.vlm.sa2va.convert import convert_sa2va

FAST = ("per_device_train_batch_size=2", "gradient_accumulation_steps=1", "learning_rate=1e-2", "threads=1")


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A folder as it was released, with rotary positions long enough for two rows in one."""
    return copied(tmp_path_factory.mktemp("sa2va") / "released", text={"max_position_embeddings": 32_768})


def answer(reasoning, conclusion):
    response = Response(description="Two regions.", reasoning=f"### Rationale\n{reasoning}", answer=conclusion)
    return [{"role": "assistant", "content": render(response)}]


def row(folder, number, *boxes, size=(40, 40)):
    path = folder / f"{number}.png"
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)
    masks = [encode(from_box(box, size)) for box in boxes]
    return {
        "question_id": str(number),
        "images": [path.name],
        "regions": [{"size": mask.size, "counts": mask.counts} for mask in masks],
        "prompt": [{"role": "user", "content": "Is <region1> wider than <region2>?"}],
        "chosen": answer("<region1> is 1.5 m wide, <region2> 1 m.", "Yes, region1 is."),
        "rejected": answer("I cannot see them.", "No, and a longer answer."),
        "gap_description": 1.0,
        "gap_reasoning": 4.0 - number,
    }


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Rows of two regions, of one, of none, and of an image of two tiles and a thumbnail."""
    folder = tmp_path_factory.mktemp("rows")
    left, right = (2, 3, 12, 20), (22, 5, 38, 14)
    return folder, [
        row(folder, 0, left, right),
        row(folder, 1, right),
        row(folder, 2),
        row(folder, 3, left, right, size=(24, 48)),
    ]


@pytest.fixture(scope="module")
def data(pairs):
    folder, rows = pairs
    told = [{name: row[name] for name in ("images", "regions")} | {"messages": row["prompt"] + row["chosen"]} for row in rows]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "sft.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    return folder


def losses(out):
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


def test_both_layouts_of_a_pair_give_the_same(released, pairs):
    model, processor = load_vlm(released)
    add_token_logps(model)
    enable_shared_prefix(model)
    folder, rows = pairs
    opened = [{**row, "images": [with_regions(folder, row)], "regions": ""} for row in rows]
    text = {**opened[0], "images": []}
    batch = PairCollator(Encoder(processor))([*opened, text])
    with torch.no_grad():
        shared = model.eval()(**packed(batch, model))
        torch.testing.assert_close(shared, model(**padded(batch, pad_token_id=0)), atol=1e-5, rtol=1e-5)
        batch["vision"]["pixel_values"] = batch["vision"]["pixel_values"].flip(-1)
        assert (model(**packed(batch, model)) - shared).abs().max() > 1e-3


def with_regions(folder, row):
    masks = [from_box((0, 0, 9, 9), (40, 40))] if row["question_id"] != "3" else []
    return with_masks(read_image(folder / row["images"][0]), masks)


def test_sft_then_fdpo_then_answers(released, data, tmp_path):
    converted = convert_sa2va(released, tmp_path / "converted")
    before = load_file(converted / "model.safetensors")
    run_training(
        "sft", model=str(converted), data=data / "sft.jsonl", out=tmp_path / "sft", overrides=[*FAST, "num_train_epochs=3"]
    )
    assert losses(tmp_path / "sft")[-1] < 0.8 * losses(tmp_path / "sft")[0]
    options = [*FAST, "num_train_epochs=2", "freeze_vision=true"]
    run_training("fdpo", model=str(tmp_path / "sft"), data=data / "pairs.jsonl", out=tmp_path / "fdpo", overrides=options)
    after, between = (load_file(tmp_path / name / "model.safetensors") for name in ("fdpo", "sft"))
    changed = {name.split(".")[1] for name, value in after.items() if not torch.equal(value, between[name])}
    assert changed == {"language_model", "multi_modal_projector", "weight"}  # "lm_head.weight" among them
    assert {name.split(".")[1] for name in before if not torch.equal(before[name], between[name])} == changed | {"vision_tower"}
    policy = HfPolicy(tmp_path / "fdpo", temperature=0.0, max_new_tokens=5)
    assert policy.region_tokens
    prompt = Prompt(image=str(data / "0.png"), regions=(), request="Is it red?", prefix="<description>")
    (completion,) = asyncio.run(policy.complete(prompt, n=1, seed=0))
    assert completion.completion_tokens <= 5


def test_adapters_train_on_a_folder_as_it_was_released(released, data, tmp_path):
    assert has_region_tokens(str(released))
    out = tmp_path / "lora"
    options = [*FAST, "max_steps=2", "lora_r=2", "region_tokens=true"]
    run_training("fdpo", model=str(released), data=data / "pairs.jsonl", out=out, overrides=options)
    adapted = load_file(out / "adapter" / "adapter_model.safetensors")
    assert adapted
    assert all("language_model" in name for name in adapted)
    merged, processor = load_vlm(out)
    base, _ = load_vlm(released)
    given = ask(
        processor, (with_masks(Image.new("RGB", (40, 40)), [from_box((0, 0, 20, 20), (40, 40))]), "How wide is region1?")
    )
    with torch.no_grad():
        assert (merged.eval()(**given).logits - base.eval()(**given).logits).abs().max() > 1e-4


def test_a_trained_model_loads_again_to_the_same_logits(released, tmp_path):
    model, processor = load_vlm(released)
    image = with_masks(Image.new("RGB", (40, 40), "red"), [from_box((0, 0, 20, 20), (40, 40))])
    given = ask(processor, (image, "How wide is region1?"))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    model(**given, labels=given["input_ids"]).loss.backward()
    optimizer.step()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, reader = load_vlm(tmp_path)
    assert torch.equal(ask(reader, (image, "How wide is region1?"))["input_ids"], given["input_ids"])
    with torch.no_grad():
        assert torch.equal(again.eval()(**given).logits, model.eval()(**given).logits)


@pytest.mark.parametrize("source", [INTERNLM2, QWEN2], ids=["InternLM2", "Qwen2"])
def test_a_policy_says_what_the_public_code_says(source, tmp_path):
    known = golden(source)
    known.image.save(tmp_path / "image.png")
    regions = tuple(Region(id=f"region{k}", label="", mask=encode(mask)) for k, mask in enumerate(attached(known.image), 1))
    policy = HfPolicy(source, temperature=0.0, max_new_tokens=8)
    request = known.question.replace("region1", "<region1>")
    prompt = Prompt(image=str(tmp_path / "image.png"), regions=regions, request=request, prefix="")
    (completion,) = asyncio.run(policy.complete(prompt, n=1, seed=0))
    said = load_vlm(source)[1].tokenizer.decode(known.tensors["generated"], skip_special_tokens=True)
    assert completion.text == said
    assert completion.prompt_tokens == len(known.tensors["input_ids"])


def test_the_command_converts_and_says_what_is_left_out(tmp_path, capsys):
    check_ours(["convert", "FOLDER", "--out", "DIR"])
    with pytest.raises(SystemExit) as ended:
        main(["convert", str(INTERNLM2), "--out", str(tmp_path / "out")])
    assert ended.value.code == 0
    assert "SAM 2 mask head is left out" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["convert", str(tmp_path / "out"), "--out", str(tmp_path / "again")])
    assert ended.value.code == 2
    assert "sa2va_chat" in capsys.readouterr().err
