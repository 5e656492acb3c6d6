import asyncio
import json
import os
import shutil
import threading
import time
from types import SimpleNamespace

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import LlavaForConditionalGeneration, LlavaProcessor
from transformers.tokenization_utils_tokenizers import TokenizersBackend
from transformers.utils import PaddingStrategy

from spatialreasoner.core.errors import EndpointError, MissingFileError
from spatialreasoner.core.types import Prompt, Region
from spatialreasoner.inference.backends.hf import GumbelNoise, HfPolicy
from spatialreasoner.inference.streaming import stream
from spatialreasoner.scenes import masks
from spatialreasoner.scenes.carry import attached
from spatialreasoner.testing import tiny_models as tiny

TEXTS = ["<description>A red box.</description>\n<reasoning>It is tall.</reasoning>\n### In Conclusion\nYes, 1.5 m."] * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    return tiny.build_tiny("llava", tmp_path_factory.mktemp("model"), TEXTS, width=32, image_size=28)


@pytest.fixture(scope="module")
def endless(folder, tmp_path_factory):
    """A model that hardly ever ends by itself."""
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("endless") / "model")
    weights = load_file(copy / "model.safetensors")
    head = next(weight for name, weight in weights.items() if name.endswith("lm_head.weight"))
    head[json.loads((copy / "generation_config.json").read_text())["eos_token_id"]] = 0
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    return copy


@pytest.fixture
def policy(folder):
    return HfPolicy(folder, max_new_tokens=12, batch_size=4)


@pytest.fixture
def prompt(tmp_path):
    def prompt(index=0, *, prefix="", regions=()):
        path = tmp_path / f"{index}.png"
        pixels = np.random.default_rng(index).integers(0, 255, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        request = "Is <region1> tall?" + " Say why." * index
        return Prompt(image=str(path), regions=tuple(regions), request=request, prefix=prefix)

    return prompt


@pytest.fixture
def generated(monkeypatch):
    """The number of rows of each call of the model's `generate`."""
    generate, sizes = LlavaForConditionalGeneration.generate, []

    def counted(self, **inputs):
        sizes.append(len(inputs["input_ids"]))
        return generate(self, **inputs)

    monkeypatch.setattr(LlavaForConditionalGeneration, "generate", counted)
    return sizes


@pytest.fixture
def shown(monkeypatch):
    """The images and texts that the model's processor is given, of all calls."""
    process, images, texts = LlavaProcessor.__call__, [], []

    def recorded(self, images=None, text=None, **options):
        shown.images.extend(images or ())
        shown.texts.extend(text)
        return process(self, images=images, text=text, **options)

    shown = SimpleNamespace(images=images, texts=texts)
    monkeypatch.setattr(LlavaProcessor, "__call__", recorded)
    return shown


def test_completions_do_not_depend_on_what_is_in_the_batch(policy, prompt):
    async def together():
        return await asyncio.gather(*(policy.complete(prompt(index), n=2, seed=3) for index in range(3)))

    async def alone(index):
        return await policy.complete(prompt(index), n=2, seed=3)

    assert [asyncio.run(alone(index)) for index in range(3)] == asyncio.run(together())


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_a_streamed_answer_is_the_complete_one(endless, prompt, temperature):
    policy = HfPolicy(endless, max_new_tokens=300, temperature=temperature)  # what may be a greeting is held back

    async def go():
        pieces = [piece async for piece in stream(policy, prompt(), seed=5)]
        return pieces, (await policy.complete(prompt(), n=1, seed=5))[0].text

    pieces, text = asyncio.run(go())
    assert "".join(pieces) == text
    assert len(pieces) > 1 or not temperature  # the likeliest words of this model have no blank, where a piece would end


def test_a_stream_that_is_closed_stops_the_model(folder, prompt):
    policy = HfPolicy(folder, max_new_tokens=100_000)

    async def go():
        pieces = stream(policy, prompt(), seed=3)
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(asyncio.wait_for(go(), 30))  # leaving the loop waits for the thread that writes


def test_a_stream_that_fails_says_so(policy, prompt, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(LlavaForConditionalGeneration, "generate", fail)

    async def go():
        return [piece async for piece in stream(policy, prompt(), seed=3)]

    with pytest.raises(EndpointError, match="out of memory"):
        asyncio.run(go())


@pytest.mark.parametrize("kind", [RuntimeError, TypeError, IndexError, MemoryError, AssertionError])
def test_whatever_fails_in_a_batch_reaches_everyone_who_waits(policy, prompt, monkeypatch, kind):
    def fail(*_, **__):
        raise kind("no answer")

    monkeypatch.setattr(LlavaForConditionalGeneration, "generate", fail)

    async def go():
        waiting = [policy.complete(prompt(index), n=1, seed=0) for index in range(3)]
        return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 60)

    told = asyncio.run(go())
    assert [type(error) for error in told] == [kind if kind is AssertionError else EndpointError] * 3
    assert all("no answer" in str(error) for error in told)


def test_waiting_calls_are_gathered(policy, prompt, generated):
    async def run():
        await asyncio.gather(*(policy.complete(prompt(index), n=2, seed=0) for index in range(3)))

    asyncio.run(run())
    assert generated == [4, 2]


def test_a_small_model_writes_a_batch_a_thread(folder, prompt, monkeypatch, generated):
    torch.set_num_threads(2)
    try:
        policy = HfPolicy(folder, temperature=0.0, max_new_tokens=12, batch_size=4)
        write, together = LlavaForConditionalGeneration.generate, threading.Barrier(2, timeout=20)

        def writing(self, **inputs):
            together.wait()  # breaks where one batch waits for the other
            return write(self, **inputs)

        monkeypatch.setattr(LlavaForConditionalGeneration, "generate", writing)

        async def ask():
            return await asyncio.gather(*(policy.complete(prompt(index), n=1, seed=0) for index in range(6)))

        written = asyncio.run(ask())
        assert generated == [3, 3]
        monkeypatch.undo()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    alone = HfPolicy(folder, temperature=0.0, max_new_tokens=12, batch_size=6)
    assert written == [asyncio.run(alone.complete(prompt(index), n=1, seed=0)) for index in range(6)]


def test_threads_do_not_undo_how_another_pads(folder, prompt, monkeypatch):
    torch.set_num_threads(2)
    try:
        policy = HfPolicy(folder, temperature=0.0, max_new_tokens=2, batch_size=4)
        pad, undone = TokenizersBackend.set_truncation_and_padding, threading.Event()

        def padding(self, padding_strategy, *args, **options):
            pad(self, padding_strategy, *args, **options)
            if padding_strategy == PaddingStrategy.DO_NOT_PAD:
                undone.set()
                time.sleep(0.01)  # whoever has more texts is later
            else:
                undone.clear()
                undone.wait(0.1)

        monkeypatch.setattr(TokenizersBackend, "set_truncation_and_padding", padding)

        async def ask():
            return await asyncio.gather(*(policy.complete(prompt(index), n=1, seed=0) for index in range(7)))

        assert len(asyncio.run(ask())) == 7
    finally:
        torch.set_num_threads(1)


def test_seeds_and_numbers_give_other_samples_and_greedy_gives_one(policy, folder, prompt):
    one, two = asyncio.run(policy.complete(prompt(), n=2, seed=0))
    other = asyncio.run(policy.complete(prompt(), n=1, seed=1))[0]
    assert len({one.text, two.text, other.text}) == 3
    greedy = HfPolicy(folder, temperature=0, max_new_tokens=12)
    same = asyncio.run(greedy.complete(prompt(), n=2, seed=0)) + asyncio.run(greedy.complete(prompt(), n=1, seed=9))
    assert len({completion.text for completion in same}) == 1


def test_a_prefix_is_continued_not_repeated(policy, prompt, shown):
    prefix = "<description>A red"
    completion = asyncio.run(policy.complete(prompt(prefix=prefix), n=1, seed=0))[0]
    assert shown.texts[0].endswith("ASSISTANT: " + prefix)
    assert not completion.text.startswith("<description>A red")


def test_counts_and_finish(policy, prompt):
    completions = asyncio.run(policy.complete(prompt(), n=8, seed=0))
    for completion in completions:
        assert completion.prompt_tokens > 4
        assert completion.finish in {"stop", "length"}
        assert completion.finish == "stop" or completion.completion_tokens == 12


def test_regions_are_drawn_as_marks_unless_the_model_has_region_tokens(policy, prompt, shown, monkeypatch):
    region = Region(id="region1", label="box", mask=masks.encode(masks.from_box((5, 5, 30, 30), (40, 60))))
    for regions in ([], [region]):
        asyncio.run(policy.complete(prompt(regions=regions), n=1, seed=0))
    monkeypatch.setattr(HfPolicy, "region_tokens", True)
    asyncio.run(policy.complete(prompt(regions=[region]), n=1, seed=0))
    (plain,), (marked,), (carrier,) = shown.images
    assert (np.asarray(plain) != np.asarray(marked)).any(axis=2)[5:30, 5:30].mean() > 0.9
    assert (np.asarray(carrier) == np.asarray(plain)).all()
    assert [mask.sum() for mask in attached(carrier)] == [25 * 25]


def test_a_prompt_without_an_image_is_answered_beside_others(policy, prompt, shown):
    bare = Prompt(image="", regions=(), request="What is a box?")

    async def run(*prompts):
        return await asyncio.gather(*(policy.complete(each, n=1, seed=0) for each in prompts))

    assert asyncio.run(run(bare)) == asyncio.run(run(prompt(), bare))[1:]
    assert shown.texts[0] == "USER: What is a box? ASSISTANT:"


def test_a_bad_image_fails_its_own_call_alone(policy, prompt):
    async def run():
        missing = Prompt(image="/nowhere.png", regions=(), request="What?")
        return await asyncio.gather(
            policy.complete(missing, n=1, seed=0), policy.complete(prompt(), n=1, seed=0), return_exceptions=True
        )

    failed, done = asyncio.run(run())
    assert isinstance(failed, MissingFileError)
    assert len(done) == 1


def test_gumbel_noise_samples_from_the_softmax():
    logits = torch.tensor([0.0, 1.0, 2.0]).repeat(20_000, 1)
    drawn = GumbelNoise(0.7, range(20_000))(torch.zeros(20_000, 1), logits).argmax(-1)
    shares = drawn.bincount(minlength=3) / len(drawn)
    torch.testing.assert_close(shares, torch.softmax(logits[0] / 0.7, -1), atol=0.01, rtol=0)


def test_the_name_says_where_it_is_from(policy, folder):
    assert policy.name == f"hf:{folder}"
    assert HfPolicy(f"hf:{folder}").name == policy.name


def test_a_model_trained_anew_in_the_same_folder_is_another(policy, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    before = HfPolicy(copy).identity
    assert HfPolicy(copy).identity == before
    assert HfPolicy(copy, temperature=0.5).identity != before
    weights = load_file(copy / "model.safetensors")
    name = sorted(weights)[0]
    save_file({**weights, name: weights[name] + 1}, copy / "model.safetensors", metadata={"format": "pt"})
    assert HfPolicy(copy).identity != before
