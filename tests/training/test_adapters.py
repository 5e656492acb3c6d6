"""Models that are adapters: merged or trained further, asked, and refused where their base is missing."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image
from safetensors.torch import load_file, save_file

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.testing.tiny_models import CHAT_TEMPLATE, train_tokenizer
from spatialreasoner.training import FDPOConfig, FDPOTrainer
from spatialreasoner.training.config import TrainSettings
from spatialreasoner.training.run import run_training
from spatialreasoner.vlm.adapters import adapter_folder, base_of
from spatialreasoner.vlm.loading import load_adapter, load_text_model, load_vlm
from spatialreasoner.vlm.text_models import is_text_model
from tiny import TINY, make_text

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # PEFT and TRL read old names


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, _pairs):
    """A run of SFT with adapters: `adapter` in it names `tiny` in it as its base."""
    folder = tmp_path_factory.mktemp("tuned")
    rows = [
        {
            "images": [Path(shutil.copy(image, folder)).name for image in pair["images"]],
            "messages": pair["prompt"] + pair["chosen"],
        }
        for pair in _pairs
    ]
    (folder / "sft.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["max_steps=3", "learning_rate=1e-2", "lora_r=4", "lora_alpha=8", "threads=1"]
    run_training("sft", model=TINY, data=folder / "sft.jsonl", out=folder / "run", overrides=options)
    return folder / "run"


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_an_adapter_folder_is_the_merged_model(tuned, image_paths):
    assert adapter_folder(tuned / "adapter") == tuned / "adapter"
    assert adapter_folder(tuned) is None
    assert base_of(tuned / "adapter") == str(tuned / "tiny")
    model, processor = load_vlm(tuned / "adapter")
    merged, _ = load_vlm(tuned)
    for name, value in merged.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, msg=name)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert processor.tokenizer.eos_token == "</s>"
    prompt = Prompt(image=image_paths[0], regions=(), request="Is it tall?", prefix="")
    texts = [
        asyncio.run(HfPolicy(f"hf:{each}", temperature=0.0, max_new_tokens=12).complete(prompt, n=1, seed=0))[0].text
        for each in (tuned / "adapter", tuned)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("kind", ["sft", "dpo", "fdpo"])
def test_training_on_an_adapter_is_training_on_the_merged_model(kind, tuned, data, fast, tmp_path):
    rows = data / ("sft.jsonl" if kind == "sft" else "pairs.jsonl")
    for name, model in (("adapter", tuned / "adapter"), ("merged", tuned)):
        run_training(kind, model=str(model), data=rows, out=tmp_path / name, overrides=[*fast, "max_steps=2"])
    expected, start = weights(tmp_path / "merged"), weights(tuned)
    found = weights(tmp_path / "adapter")
    assert any(not torch.equal(value, start[name]) for name, value in found.items())
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4, msg=name)


def test_new_adapters_on_an_adapter_name_the_merged_start_as_their_base(tuned, data, fast, tmp_path):
    out = tmp_path / "out"
    options = [*fast, "max_steps=2", "lora_r=4"]
    run_training("fdpo", model=f"hf:{tuned / 'adapter'}", data=data / "pairs.jsonl", out=out, overrides=options)
    assert base_of(out / "adapter") == str(out / "start")
    for name, value in weights(tuned).items():
        torch.testing.assert_close(weights(out / "start")[name], value, msg=name)
    again, _ = load_vlm(out / "adapter")
    for name, value in load_vlm(out)[0].state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, msg=name)


@pytest.mark.parametrize("cached", ["true", "false"])
@pytest.mark.parametrize("kind", ["dpo", "fdpo"])
def test_an_adapter_trained_further_starts_at_its_reference(kind, cached, tuned, data, fast, tmp_path):
    options = [*fast, "max_steps=2", "adapter=continue", f"precompute_ref_log_probs={cached}"]
    run_training(kind, model=str(tuned / "adapter"), data=data / "pairs.jsonl", out=tmp_path / "out", overrides=options)
    first = json.loads((tmp_path / "out" / "metrics.jsonl").read_text().splitlines()[0])
    assert first["rewards/margins"] == pytest.approx(0.0, abs=1e-5)
    assert first["loss"] == pytest.approx(0.6931, abs=1e-4)
    before, after = (load_file(each / "adapter" / "adapter_model.safetensors") for each in (tuned, tmp_path / "out"))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], value) for name, value in after.items())
    assert not (tmp_path / "out" / "adapter" / "ref").exists()
    base, merged, start = (weights(each) for each in (tuned / "tiny", tmp_path / "out", tuned))
    untouched = [name for name, value in merged.items() if torch.equal(value, base[name])]
    assert untouched == [name for name, value in start.items() if torch.equal(value, base[name])]


def test_a_continued_adapter_resumes_to_the_same_bytes(tuned, data, fast, tmp_path, cut_before_saving):
    def run(out):
        options = [*fast, "max_steps=3", "save_steps=1", "adapter=continue", "precompute_ref_log_probs=false"]
        run_training("fdpo", model=str(tuned / "adapter"), data=data / "pairs.jsonl", out=out, overrides=options)

    run(tmp_path / "whole")
    with cut_before_saving():
        run(tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "checkpoint-3")
    run(tmp_path / "cut")
    for name in ("model.safetensors", "adapter/adapter_model.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_sft_goes_on_with_an_adapter(tuned, data, fast, tmp_path):
    options = [*fast, "max_steps=2", "adapter=continue"]
    run_training("sft", model=str(tuned / "adapter"), data=data / "sft.jsonl", out=tmp_path / "out", overrides=options)
    before, after = (load_file(each / "adapter" / "adapter_model.safetensors") for each in (tuned, tmp_path / "out"))
    assert any(not torch.equal(before[name], value) for name, value in after.items())


def test_continue_wants_an_adapter_and_no_rank(tuned, data, tmp_path):
    with pytest.raises(ConfigError, match="adapter=continue needs a model that is an adapter"):
        run_training("sft", model=str(tuned), data=data / "sft.jsonl", out=tmp_path / "out", overrides=["adapter=continue"])
    with pytest.raises(ConfigError, match="leave lora_r out"):
        TrainSettings(adapter="continue", lora_r=4)


@pytest.fixture
def copied(tuned, tmp_path):
    """A copy of the adapter with another configuration."""

    def copied(**changes):
        folder = tmp_path / "elsewhere" / "adapter"
        shutil.copytree(tuned / "adapter", folder)
        settings = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps(settings | changes))
        return folder

    return copied


def test_a_base_beside_the_adapter_is_found(tuned, copied):
    folder = copied(base_model_name_or_path="was/elsewhere/tiny")
    shutil.copytree(tuned / "tiny", folder.parent / "tiny")
    assert base_of(folder) == str(folder.parent / "tiny")
    load_vlm(folder)


def test_a_missing_base_is_said_with_what_to_do(copied, data, tmp_path):
    folder = copied(base_model_name_or_path="/nowhere/base")
    with pytest.raises(ConfigError, match=r"is an adapter of '/nowhere/base', which cannot be loaded.*base_model_name_or_path"):
        run_training("dpo", model=str(folder), data=data / "pairs.jsonl", out=tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base_model_name_or_path": None}, "expected base_model_name_or_path"),
        ({"target_modules": ["nothing"]}, "cannot load"),
        ({"r": 8}, "cannot load"),
        ({"peft_type": "UNKNOWN"}, "cannot load"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(changes, said, copied):
    with pytest.raises(ConfigError, match=said):
        load_vlm(copied(**changes))


def test_weights_of_other_layers_are_not_an_adapter_of_this_model(copied):
    folder = copied()
    file = folder / "adapter_model.safetensors"
    save_file({name.replace("layers.0", "layers.7"): value for name, value in load_file(file).items()}, file)
    with pytest.raises(ConfigError, match="missing adapter keys"):
        load_vlm(folder)


def test_adapters_that_name_each_other_are_refused(copied):
    folder = copied()
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": str(folder)}))
    with pytest.raises(ConfigError, match="adapters on each other"):
        load_vlm(folder)


def test_a_template_that_an_adapter_brings_is_tried(tuned, copied):
    folder = copied()
    load_vlm(tuned / "tiny")[1].save_pretrained(folder)
    load_vlm(folder)
    (folder / "chat_template.jinja").write_text("{% include 'x' %}")
    with pytest.raises(ConfigError, match="includes another file"):
        load_vlm(folder)


def test_an_adapter_that_was_loaded_to_answer_alone_cannot_train(tuned, pairs, tmp_path):
    base, processor = load_vlm(tuned / "tiny")
    frozen = PeftModel.from_pretrained(base, str(tuned / "adapter"))
    with pytest.raises(ConfigError, match="load an adapter with is_trainable=True"):
        FDPOTrainer(
            frozen, args=FDPOConfig(output_dir=str(tmp_path), report_to="none"),
            train_dataset=Dataset.from_list(pairs), processing_class=processor,
        )  # fmt: skip


def test_a_trainer_that_is_given_an_adapters_folder_trains_the_merged_model(tuned, pairs, tmp_path):
    args = FDPOConfig(output_dir=str(tmp_path), report_to="none", use_cpu=True, bf16=False, activation_checkpointing=False)
    trainer = FDPOTrainer(str(tuned / "adapter"), args=args, train_dataset=Dataset.from_list(pairs))
    merged, _ = load_vlm(tuned)
    for name, value in merged.state_dict().items():
        torch.testing.assert_close(trainer.model.state_dict()[name], value, msg=name)
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(pairs))
    assert loss.item() == pytest.approx(0.6931, abs=1e-3)
    assert all(parameter.requires_grad for parameter in trainer.model.parameters())
    with pytest.raises(ConfigError, match="not quantized"):
        FDPOTrainer(str(tuned / "adapter"), args=args, train_dataset=Dataset.from_list(pairs), quantization_config=object())


def test_pickled_adapters_are_refused(copied):
    folder = copied()
    os.replace(folder / "adapter_model.safetensors", folder / "adapter_model.bin")
    with pytest.raises(ConfigError, match="a pickle"):
        load_adapter(folder, precision="float32")


def test_an_adapter_of_a_plain_trainer_is_read(tuned, tmp_path):
    model, processor = load_vlm(tuned / "tiny")
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "plain")  # no processor beside it
    image = Image.new("RGB", (40, 40), "red")
    inputs = processor(text="<image>\nA box", images=image, return_tensors="pt")
    with torch.no_grad():
        expected = adapted.eval()(**inputs).logits
    again, _ = load_vlm(tmp_path / "plain")
    torch.testing.assert_close(again.eval()(**inputs).logits, expected, atol=1e-5, rtol=1e-5)


def test_an_adapter_of_a_text_model_trains_as_well(tmp_path, texts, fast):
    tokenizer = train_tokenizer(texts, vocabulary=300)
    tokenizer.chat_template = CHAT_TEMPLATE
    model = make_text("Llama", tokenizer, seed=1)
    for each in (model, tokenizer):
        each.save_pretrained(tmp_path / "base")
    model.name_or_path = str(tmp_path / "base")
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM"))
    adapted.save_pretrained(tmp_path / "adapter")
    assert is_text_model(tmp_path / "adapter")
    merged, _ = load_text_model(tmp_path / "adapter")
    ids = torch.arange(5, 15)[None]
    with torch.no_grad():
        torch.testing.assert_close(merged.eval()(input_ids=ids).logits, adapted.eval()(input_ids=ids).logits)
    row = {"prompt": "How tall?", "chosen": texts[1], "rejected": texts[2], "gap_description": 1.0, "gap_reasoning": 3.0}
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for _ in range(2)))
    for name, more in (("merged", []), ("further", ["adapter=continue"])):
        options = [*fast, "max_steps=1", *more]
        run_training(
            "dpo", model=str(tmp_path / "adapter"), data=tmp_path / "pairs.jsonl", out=tmp_path / name, overrides=options
        )
        assert (tmp_path / name / "model.safetensors").is_file()
