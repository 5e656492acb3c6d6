"""The nano in NumPy beside the nano in torch."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from functools import reduce
from random import Random

import numpy as np
import pytest
import torch

from spatialreasoner.core.errors import ConfigError, InputError, RecordError, SceneError
from spatialreasoner.core.types import Prompt, Region
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.nano import WEIGHTS
from spatialreasoner.nano.numpy import LightNano, is_nano
from spatialreasoner.nano.numpy.decoder import Decoder
from spatialreasoner.nano.numpy.vision import look
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.scenes import synthetic
from spatialreasoner.scenes.carry import attach, attached
from spatialreasoner.scenes.files import read_image, scene_index
from spatialreasoner.scenes.masks import encode
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.vlm import loading, rendering
from spatialreasoner.vlm.sources import source_of

shipped = pytest.mark.skipif(not (WEIGHTS / "model.safetensors").is_file(), reason="the nano's weights are not here")

ROOMS = 2**42 + 1
"""A set that neither pretraining nor the study draws from."""

NANO_CONFIG = '{"model_type": "spatialreasoner_nano", "dtype": "float16"}'


@pytest.fixture
def asked(image, tmp_path):
    """What is asked about an image that is not square, with regions of two sizes."""
    shown = image(boxes=((0, 0, 30, 30), (50, 40, 51, 41)))
    shown.save(tmp_path / "image.png")
    regions = tuple(Region(id=str(n), label="thing", mask=encode(mask)) for n, mask in enumerate(attached(shown)))
    return Prompt(image=str(tmp_path / "image.png"), regions=regions, request="how far apart are <region1> and <region2>?")


class Recorded:
    """What a nano in NumPy looks at and reads, by the public functions that it calls: `look` and `Decoder`."""

    def __init__(self, policy, asked, monkeypatch):
        self.looks, self.decoders, self.steps = [], [], []

        def looking(*given):
            self.looks.append((given, look(*given)))
            return self.looks[-1][1]

        def decoding(*given):
            decoder = Decoder(*given)
            self.decoders.append(given)

            class Step:
                embeddings = decoder.embeddings

                def __call__(_, embeds):
                    self.steps.append((embeds.copy(), decoder(embeds)))
                    return self.steps[-1][1]

            return Step()

        monkeypatch.setattr("spatialreasoner.nano.numpy.policy.look", looking)
        monkeypatch.setattr("spatialreasoner.nano.numpy.policy.Decoder", decoding)
        asyncio.run(policy.complete(asked, n=1, seed=0))


@torch.no_grad()
def test_it_sees_and_reads_what_the_torch_one_does(nano, folder, asked, monkeypatch):
    model, processor = nano
    recorded = Recorded(LightNano(folder, max_new_tokens=1), asked, monkeypatch)
    content = [{"type": "image"}, {"type": "text", "text": asked.request}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
    inputs = processor(images=[attach(read_image(asked.image), asked.regions)], text=[text], add_special_tokens=False)
    (_, pixels, masks, _), looks = recorded.looks[0]
    assert np.allclose(pixels, inputs["pixel_values"][0], atol=1e-6)
    assert (masks == inputs["region_masks"][0].numpy()).all()
    tokens, vectors = model.model.tell(*model.model.look(inputs["pixel_values"], inputs["region_masks"]))
    assert np.allclose(looks.tokens, tokens[0], atol=1e-5)
    assert np.allclose(looks.regions, vectors[0], atol=1e-5)
    embeds, _ = model.model.embed(inputs["input_ids"], tokens, vectors)
    read, said = recorded.steps[0]
    assert np.allclose(read, embeds[0], atol=1e-5)
    expected = model.lm_head(model.model.language_model(inputs_embeds=embeds).last_hidden_state)[0]
    assert np.allclose(said, expected[-1], atol=1e-4)
    bit_by_bit = Decoder(*recorded.decoders[0])
    for start, end in ((0, 7), (7, 8), (8, len(read))):
        assert np.allclose(bit_by_bit(read[start:end]), expected[end - 1], atol=1e-4)


def test_an_empty_region_looks_like_nothing(folder, asked, monkeypatch):
    recorded = Recorded(LightNano(folder, max_new_tokens=1), asked, monkeypatch)
    (weights, pixels, masks, heads), _ = recorded.looks[0]
    assert not look(weights, pixels, masks * np.uint8([[[1]], [[0]]]), heads).regions[1].any()


@shipped
def test_it_answers_as_the_torch_one(tmp_path):
    synthetic.write_synthetic(synthetic.SyntheticConfig(count=2, seed=ROOMS), tmp_path)
    scenes = scene_index(tmp_path)
    shown = [prompt(question, scene) for scene in scenes.values() for question in ask_about(Measured(scene), Random(0), 3)]
    light, heavy = LightNano(), HfPolicy("nano", temperature=0, batch_size=1)

    async def texts(policy):
        return [(await policy.complete(each, n=1, seed=0))[0].text for each in shown]

    assert asyncio.run(texts(light)) == asyncio.run(texts(heavy))


@shipped
def test_it_goes_on_after_a_prefix_and_streams_what_it_completes(asked):
    policy = LightNano(max_new_tokens=5)

    async def both():
        pieces = [piece async for piece in policy.stream(asked, seed=0)]
        return pieces, (await policy.complete(asked, n=2, seed=0))

    pieces, completions = asyncio.run(both())
    assert len(pieces) > 1
    assert [completion.text for completion in completions] == ["".join(pieces)] * 2
    assert [(completion.finish, completion.completion_tokens) for completion in completions] == [("length", 5)] * 2
    further = Prompt(image=asked.image, regions=asked.regions, request=asked.request, prefix="".join(pieces[:2]))
    (continued,) = asyncio.run(policy.complete(further, n=1, seed=0))
    assert continued.text.startswith("".join(pieces[2:]))


@shipped
def test_it_reads_text_alone(asked):
    (completion,) = asyncio.run(LightNano(max_new_tokens=5).complete(Prompt(image="", regions=(), request="Hm?"), n=1, seed=0))
    assert completion.text


@shipped
def test_a_placeholder_in_a_question_is_refused(asked):
    odd = Prompt(image=asked.image, regions=asked.regions, request="What is <|image|>?")
    with pytest.raises(SceneError, match="placeholder"):
        asyncio.run(LightNano().complete(odd, n=1, seed=0))


def test_which_models_are_nanos(folder, tmp_path):
    assert source_of("nano") == str(WEIGHTS)
    assert is_nano("nano")
    assert is_nano(folder)
    assert is_nano(f"hf:{folder}")
    assert not is_nano("hf:somebody/model")
    assert not is_nano("api:model@http://127.0.0.1")
    for index, config in enumerate(("[]", "{", '{"model_type": "llama"}', NANO_CONFIG, NANO_CONFIG.replace("16", "8"))):
        other = tmp_path / str(index)
        other.mkdir()
        (other / "config.json").write_text(config, "utf-8")
        if index:
            shutil.copy(folder / "model.safetensors", other)
        assert is_nano(other) == (config == NANO_CONFIG)


@pytest.mark.parametrize("spoilt", ["model.safetensors", "tokenizer.json", "processor_config.json", "chat_template.jinja"])
def test_a_broken_folder_is_told_of(folder, tmp_path, spoilt):
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / spoilt).write_text("{% if", "utf-8")
    with pytest.raises((ConfigError, RecordError), match="broken"):
        LightNano(broken)


@pytest.mark.parametrize(
    ("file", "keys", "value", "said"),
    [
        ("config.json", ("text_config", "num_hidden_layers"), 7, "num_hidden_layers 7; the weights have 6"),
        ("config.json", ("text_config", "num_hidden_layers"), 10**12, "num_hidden_layers"),
        ("config.json", ("text_config", "head_dim"), 2**40, "num_attention_heads times head_dim"),
        ("config.json", ("image_size",), 2**20, "image_size 1048576; the weights have 128"),
        ("processor_config.json", ("image_processor", "size", "height"), 2**20, "height 1048576; the weights have 128"),
        ("processor_config.json", ("image_processor", "size", "width"), 64, "width 64"),
        ("processor_config.json", ("num_image_tokens",), 10**12, "num_image_tokens 1000000000000; the weights have 16"),
    ],
)
def test_a_nano_of_other_sizes_than_its_weights_is_refused_at_once(folder, tmp_path, file, keys, value, said):
    broken = shutil.copytree(folder, tmp_path / "broken")
    settings = json.loads((broken / file).read_text("utf-8"))
    reduce(lambda part, key: part[key], keys[:-1], settings)[keys[-1]] = value
    (broken / file).write_text(json.dumps(settings), "utf-8")
    with pytest.raises(ConfigError, match=said):
        LightNano(broken)


@pytest.mark.parametrize("load", [LightNano, loading.load_vlm])
def test_another_template_of_a_nano_is_tried_as_that_of_any_model(folder, tmp_path, load):
    other = shutil.copytree(folder, tmp_path / "other")
    template = (other / "chat_template.jinja").read_text("utf-8")
    (other / "chat_template.jinja").write_text("{# another #}" + template, "utf-8")
    load(other)
    (other / "chat_template.jinja").write_text("{% include 'x' %}" + template, "utf-8")
    with pytest.raises(ConfigError, match="includes another file"):
        load(other)


def test_a_template_that_goes_on_for_ever_is_stopped_later_too(folder, tmp_path, monkeypatch, asked):
    """The trial's conversations do not say what makes it go on."""
    other = shutil.copytree(folder, tmp_path / "other")
    template = (other / "chat_template.jinja").read_text("utf-8")
    forever = "{% if 'apart' in messages[0]['content'][1]['text'] %}{% for a in range(n) %}{% for b in range(n) %}{% endfor %}"
    (other / "chat_template.jinja").write_text("{% set n = 99999 %}" + forever + "{% endfor %}{% endif %}" + template, "utf-8")
    monkeypatch.setattr(rendering, "RENDERING_SECONDS", 0.3)
    with pytest.raises(InputError, match="did not finish this conversation"):
        asyncio.run(LightNano(other).complete(asked, n=1, seed=0))


def test_a_pipe_among_a_nanos_files_is_not_waited_for(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "tokenizer.json").unlink()
    os.mkfifo(other / "tokenizer.json")
    with pytest.raises(ConfigError, match="a pipe or a device"):
        LightNano(other)


@pytest.mark.parametrize("load", [LightNano, loading.load_vlm])
def test_a_nano_of_another_version_is_refused_with_the_way_out(folder, tmp_path, load):
    older = shutil.copytree(folder, tmp_path / "older")
    config = json.loads((older / "config.json").read_text("utf-8"))
    assert config.pop("architecture_version") == 2
    (older / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ConfigError, match="train it again from the 'nano' of this installation"):
        load(older)


@shipped
def test_a_question_in_the_terminal_imports_no_torch(asked):
    program = (
        "import sys; from spatialreasoner.app.terminal import AskConfig, ask_in_terminal as ask; "
        f"ask(AskConfig(image={asked.image!r}, question='How wide is <region1>?', regions=('1,2,30,40',))); "
        "assert not {'torch', 'transformers'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "conclusion" in done.stdout
