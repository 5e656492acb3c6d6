"""What decides a local model's answer: its files, the settings, and nothing that a file says on the side."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image

from chat_forms import FORMS, build_model
from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.inference.registry import WritingConfig, named_policy
from spatialreasoner.vlm.loading import load_vlm

FORM = next(form for form in FORMS if form.name == "Qwen3.5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    return build_model(FORM, tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def prompt(tmp_path):
    Image.new("RGB", (28, 28), "red").save(tmp_path / "room.png")
    return Prompt(image=str(tmp_path / "room.png"), regions=(), request="How tall is <region1>?")


def answer(policy, prompt):
    return asyncio.run(policy.complete(prompt, n=1, seed=0))[0]


def test_nothing_of_generation_config_comes_between(folder, prompt, tmp_path):
    strict = shutil.copytree(folder, tmp_path / "strict")
    own = json.loads((strict / "generation_config.json").read_text())
    own |= {"repetition_penalty": 9.0, "no_repeat_ngram_size": 1, "num_beams": 3, "do_sample": True, "temperature": 2.0,
            "top_k": 3, "min_new_tokens": 30, "bad_words_ids": [[5]], "max_length": 40, "num_return_sequences": 2}  # fmt: skip
    (strict / "generation_config.json").write_text(json.dumps(own))
    for temperature in (0.0, 0.9):
        plain, told = (HfPolicy(each, temperature=temperature, max_new_tokens=24) for each in (folder, strict))
        assert answer(told, prompt) == answer(plain, prompt)


def test_the_ends_of_generation_config_count(folder, prompt, tmp_path):
    said = answer(HfPolicy(folder, temperature=0, max_new_tokens=24), prompt)
    assert said.completion_tokens > 3
    first = HfPolicy(folder, temperature=0, max_new_tokens=1)
    ended = shutil.copytree(folder, tmp_path / "ended")
    own = json.loads((ended / "generation_config.json").read_text())
    (ended / "generation_config.json").write_text(json.dumps(own | {"eos_token_id": list(range(200))}))
    assert answer(first, prompt).finish == "length"
    assert answer(HfPolicy(ended, temperature=0, max_new_tokens=24), prompt).completion_tokens < said.completion_tokens


@pytest.mark.parametrize(
    "name",
    ["chat_template.jinja", "processor_config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
     "config.json", "model.safetensors"],
)  # fmt: skip
def test_every_file_that_decides_an_answer_is_in_the_journals_key(folder, tmp_path, name):
    before = HfPolicy(folder).identity.split()[1:]
    changed = shutil.copytree(folder, tmp_path / "changed")
    assert HfPolicy(changed).identity.split()[1:] == before
    add_byte(changed / name)
    assert HfPolicy(changed).identity.split()[1:] != before


def add_byte(path):
    """Another file of the same meaning."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file, save_file

        weights = load_file(path)
        save_file({key: value + 1 for key, value in weights.items()}, path, metadata={"format": "pt"})
    else:
        path.write_text(path.read_text("utf-8") + "\n", "utf-8")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # transformers leaves such templates open
@pytest.mark.parametrize(
    "name", ["additional_chat_templates/tool_use.jinja", "tokenizer.model.v3", "qwen.tiktoken", "vocab.bpe"]
)
def test_a_file_that_is_new_is_in_the_journals_key(folder, tmp_path, name):
    changed = shutil.copytree(folder, tmp_path / "changed")
    before = HfPolicy(changed)
    known = before.identity, before.depends
    (changed / name).parent.mkdir(exist_ok=True)
    (changed / name).write_text("{{ messages }}", "utf-8")
    after = HfPolicy(changed)
    assert after.identity != known[0]
    assert after.depends["files"] != known[1]["files"]


@pytest.fixture(scope="module")
def tuned(folder, tmp_path_factory):
    """A base, and beside it an adapter that lies on it."""
    base = shutil.copytree(folder, tmp_path_factory.mktemp("tuned") / "base")
    model, _ = load_vlm(base)
    get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(base.parent / "adapter")
    told = base.parent / "adapter/adapter_config.json"
    told.write_text(json.dumps(json.loads(told.read_text()) | {"base_model_name_or_path": "elsewhere/base"}))  # found beside it
    return base.parent


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize(
    "name",
    ["base/model.safetensors", "base/config.json", "base/chat_template.jinja", "base/tokenizer.json",
     "base/processor_config.json", "base/generation_config.json", "adapter/adapter_model.safetensors",
     "adapter/adapter_config.json"],
)  # fmt: skip
def test_an_adapters_base_is_in_the_journals_key(tuned, tmp_path, name):
    """An answer is decided by both; a base that was trained again in its folder is another one."""
    changed = shutil.copytree(tuned, tmp_path / "changed")
    before = HfPolicy(changed / "adapter")
    known = before.identity, before.depends
    add_byte(changed / name)
    after = HfPolicy(changed / "adapter")
    assert after.identity != known[0]
    part = "base base" if name.startswith("base") else name.removeprefix("adapter/")
    assert {key for key, value in after.depends.items() if known[1].get(key) != value} == {part}


def test_thinking_is_in_the_key_and_opens_a_block(folder, prompt):
    for asked, opened in ((None, False), (False, False), (True, True)):
        policy = named_policy(f"hf:{folder}", {}, WritingConfig(enable_thinking=asked, max_new_tokens=12))
        assert policy.identity.endswith(" thinking") == opened
        completion = answer(policy, prompt)
        assert (completion.text == "") == opened  # random words close no block: all of them are thinking
        assert bool(completion.thinking) == opened


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_the_nano_answers_in_half_precision(precision, prompt):
    completion = answer(HfPolicy("nano", precision=precision, temperature=0, max_new_tokens=24), prompt)
    assert completion.text.startswith("<description>")


def test_where_cuda_is_claimed_a_model_is_loaded_as_there_and_the_nano_keeps_its_precision(folder, prompt, monkeypatch):
    moved = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    to = torch.nn.Module.to
    monkeypatch.setattr(
        torch.nn.Module, "to", lambda self, *args, **kwargs: self if moved.append(args) is None and "cuda" in args else
        to(self, *args, **kwargs),
    )  # fmt: skip
    half = HfPolicy(folder, temperature=0, max_new_tokens=6)
    shipped = HfPolicy("nano", temperature=0, max_new_tokens=6)
    assert ("cuda",) in moved
    assert " bfloat16 " in half.identity
    assert " float32 " in shipped.identity
    assert answer(half, prompt).completion_tokens > 0
    assert answer(shipped, prompt).text.startswith("<description>")
