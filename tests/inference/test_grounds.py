"""What a run rests on: another thing of the same name is refused, by name and part, before anything is asked."""

import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from builders import build_scene, measured_balls
from inference.server.fair import Fair
from spatialreasoner.core.errors import ConfigError, EndpointError
from spatialreasoner.core.types import Completion
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy
from spatialreasoner.inference.grounds import files_depended_on
from spatialreasoner.pipeline.answering import run_generate
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.search.run import RunConfig, run_search
from spatialreasoner.teachers import scripted


class Model:
    """A model of a folder."""

    name = "hf:model"

    def __init__(self, folder, *, broken=False):
        self.depends, self.broken, self.calls = files_depended_on(folder) | {"temperature": "0.9"}, broken, 0
        self.identity = f"{self.name} {sorted(self.depends.items())}"

    async def complete(self, prompt, *, n, seed):
        self.calls += 1
        if self.broken:
            raise EndpointError("the model does not load")
        return [Completion(text=f"{prompt.request} {seed}")] * n


@pytest.fixture
def folder(tmp_path):
    """A folder of a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json", "chat_template.jinja"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def world(tmp_path):
    """Questions about a scene."""
    scene = build_scene(tmp_path / "scenes")
    return ask_about(measured_balls(), Random(1), 4), {scene.id: scene}, scene


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json", "chat_template.jinja"]
)
def test_a_file_of_the_model_that_changed_is_named(name, folder, world, tmp_path):
    questions, scenes, _ = world
    out = tmp_path / "out.jsonl"
    run_generate(questions, scenes, Model(folder), out)
    before = out.read_bytes()
    (folder / name).write_text("something else")
    with pytest.raises(ConfigError, match=rf"model hf:model \({name}\).*Put back.*another `out`.*remove .*journal"):
        run_generate(questions, scenes, changed := Model(folder), out)
    assert (changed.calls, out.read_bytes()) == (0, before)
    (folder / name).write_text(name)
    run_generate(questions, scenes, again := Model(folder), out)
    assert again.calls == 0


def test_a_file_of_the_model_that_is_gone_or_new_is_told(folder, world, tmp_path):
    questions, scenes, _ = world
    run_generate(questions, scenes, Model(folder), tmp_path / "out.jsonl")
    (folder / "added_tokens.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"model hf:model \(files\)"):
        run_generate(questions, scenes, Model(folder), tmp_path / "out.jsonl")


def test_settings_of_the_model_are_told_with_both_values(world, tmp_path):
    questions, scenes, _ = world
    url = "http://127.0.0.1:9/v1"
    one, other = (ApiPolicy(f"api:m@{url}", ApiConfig(temperature=value)) for value in (0.9, 0.2))
    teacher = Model(tmp_path)
    teacher.depends = one.depends
    run_generate(questions, scenes, teacher, tmp_path / "out.jsonl")
    teacher.depends = other.depends
    with pytest.raises(ConfigError, match=r"temperature 0.9 then, 0.2 now"):
        run_generate(questions, scenes, teacher, tmp_path / "out.jsonl")


def _image(questions, scene):
    pixels = np.asarray(Image.open(scene.image)).copy()
    pixels[0, 0] ^= 255
    Image.fromarray(pixels).save(scene.image)
    return questions, scene


def _region(questions, scene):
    return questions, replace(scene, regions=(replace(scene.regions[0], label="something else"), *scene.regions[1:]))


def _text(questions, scene):
    return [replace(questions[0], text=f"{questions[0].text} Please."), *questions[1:]], scene


def _answer(questions, scene):
    return [replace(questions[0], answer="It is not."), *questions[1:]], scene


def _depth(questions, scene):
    return questions, replace(scene, gravity=(0.0, 0.6, 0.8))


@pytest.mark.parametrize(
    ("change", "named"),
    [(_image, "image"), (_region, "regions"), (_text, "text"), (_answer, "answer"), (_depth, "geometry")],
)
def test_an_image_a_region_and_a_question_that_changed_are_named(change, named, world, tmp_path):
    questions, scenes, scene = world

    def run(questions, scenes):
        teachers = [scripted("careful", scenes)]
        run_search(
            questions=questions, scenes=scenes, policies=teachers, reward=Fair(),
            config=RunConfig(candidates=0), out=tmp_path / "out", inputs={},
        )  # fmt: skip

    run(questions, scenes)
    before = (tmp_path / "out" / "trees.jsonl").read_bytes()
    asked, changed = change(questions, scene)
    with pytest.raises(ConfigError, match=rf"different now: (scene|question) [\w-]+ \({named}"):
        run(asked, {scene.id: changed})
    assert (tmp_path / "out" / "trees.jsonl").read_bytes() == before


def test_more_questions_and_another_model_are_no_other_ground(folder, world, tmp_path):
    questions, scenes, _ = world
    run_generate(questions[:2], scenes, Model(folder), tmp_path / "out.jsonl")
    run_generate(questions, scenes, more := Model(folder), tmp_path / "out.jsonl")
    assert more.calls == 2
    other = Model(folder)
    other.name = other.identity = "hf:other"
    run_generate(questions, scenes, other, tmp_path / "out.jsonl")
    assert other.calls == 4


def test_moved_files_are_the_same_ground(folder, world, tmp_path):
    questions, scenes, scene = world
    run_generate(questions, scenes, Model(folder), tmp_path / "out.jsonl")
    moved = shutil.copytree(tmp_path / "scenes", tmp_path / "moved")
    scenes = {scene.id: replace(scene, image=str(moved / Path(scene.image).name))}
    run_generate(questions, scenes, again := Model(folder), tmp_path / "out.jsonl")
    assert again.calls == 0


def test_where_nothing_was_answered_nothing_is_refused(folder, world, tmp_path):
    questions, scenes, _ = world
    with pytest.raises(Exception, match="does not load"):
        run_generate(questions, scenes, Model(folder, broken=True), tmp_path / "out.jsonl")
    (folder / "config.json").write_text("mended")
    run_generate(questions, scenes, mended := Model(folder), tmp_path / "out.jsonl")
    assert mended.calls == 4
