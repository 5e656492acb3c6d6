"""The weights that ship with the package."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from random import Random

import pytest

from pages import ROOT, blocks
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.language import quantities, responses
from spatialreasoner.nano import NANO, NANO_BASE, WEIGHTS
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.scenes import synthetic
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.scenes.measure import Measured

pytestmark = pytest.mark.skipif(
    not (WEIGHTS / "model.safetensors").is_file(),
    reason="the nano's weights are not here; `python -m research.nano_pretraining` makes them",
)

ROOMS = 2**42
"""A set that neither pretraining nor the study draws from."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Unseen rooms, and questions about them."""
    folder = tmp_path_factory.mktemp("scenes")
    synthetic.write_synthetic(synthetic.SyntheticConfig(count=6, seed=ROOMS), folder)
    scenes = scene_index(folder)
    return [(question, scene) for scene in scenes.values() for question in ask_about(Measured(scene), Random(0), 6)]


def test_they_are_small_and_told_about():
    files = {path.name: path.stat().st_size for path in WEIGHTS.iterdir()}
    assert files["model.safetensors"] <= 12_000_000
    assert {"README.md", "config.json", "generation_config.json", "tokenizer.json"} <= files.keys()
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]


@pytest.mark.parametrize("page", [NANO.folder / "README.md", NANO_BASE.folder / "README.md", ROOT / "docs" / "nano.md"])
def test_what_a_page_says_of_transformers_works_in_a_process_of_its_own(page):
    (block,) = (each for each in blocks(page) if "from_pretrained" in each.text)
    end = "import torch; model.generate(input_ids=torch.tensor([[1]]), max_new_tokens=2)"
    subprocess.run([sys.executable, "-c", f"{block.text}\n{end}"], check=True)


@pytest.fixture(scope="module")
def policy():
    return HfPolicy("nano", temperature=0, max_new_tokens=400, batch_size=64)


def answers(policy, prompts):
    async def answer():
        return await asyncio.gather(*(policy.complete(each, n=1, seed=0) for each in prompts))

    return [completions[0].text for completions in asyncio.run(answer())]


def test_they_answer_what_is_asked_without_a_capital(policy, asked):
    shown = [prompt(*each) for each in asked if len(each[0].region_ids) == 2]
    far = [replace(each, request="how far is <region1> from <region2>?") for each in shown]
    told = [bool(quantities.find_quantities(responses.parse(text).answer)) for text in answers(policy, far)]
    assert sum(told) >= 0.8 * len(told)


def test_they_answer_in_the_form_and_mostly_right(policy, asked):
    assert policy.name == "nano"
    texts = answers(policy, [prompt(*each) for each in asked])
    right = {True: 0, False: 0}
    for (question, _), text in zip(asked, texts, strict=True):
        assert responses.parse(text).answer
        right[question.qualitative] += bool(judge(question.category, question.text, question.answer, text).success)
    counts = {kind: sum(question.qualitative == kind for question, _ in asked) for kind in right}
    assert right[True] >= 0.6 * counts[True]  # chance is a half
    assert right[False] >= 0.25 * counts[False]  # chance is less than a tenth
