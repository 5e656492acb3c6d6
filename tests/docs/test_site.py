"""The documentation site builds strictly, loads nothing from elsewhere, and says what the code says."""

import html
import importlib.util
import json
import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from spatialreasoner.scenes.rgbd import SceneFile
from spatialreasoner.training.loss import segment_betas

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r'<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)="?(?:https?:)?//', re.IGNORECASE)


def load(name):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_nothing_is_loaded_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    assert {
        page.name: LOADED.findall(page.read_text("utf-8")) for page in pages if LOADED.search(page.read_text("utf-8"))
    } == {}


def test_a_search_finds_how_to_train_on_own_data(site):
    entries = json.loads((site / "search" / "search_index.json").read_text("utf-8"))["docs"]
    words = ("train", "own", "data")
    found = {
        entry["location"].split("#")[0]
        for entry in entries
        if all(w in f"{entry['title']} {entry['text']}".lower() for w in words)
    }
    assert "index.html" in found
    assert found & {"quickstart.html", "how-to/own-photos.html", "how-to/own-teachers.html", "how-to/qwen-vl.html"}


def test_every_command_is_told_with_every_option(site):
    page = html.unescape((site / "reference" / "commands.html").read_text("utf-8"))
    commands = list(load("hooks").commands())
    assert len(commands) > 12
    for context in commands:
        assert f">{context.command_path}<" in page
        for param in context.command.get_params(context):
            record = param.get_help_record(context)
            assert record is None or f"<code>{record[0]}</code>" in page


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("python", "spatialreasoner.pipeline.searching.search_async"),
        ("python", "spatialreasoner.vlm.loading.load_vlm"),
        ("records", "spatialreasoner.core.types.Scene"),
        ("scenes", "spatialreasoner.scenes.geometry.unproject"),
        ("responses", "spatialreasoner.language.responses.spans"),
        ("rewards", "spatialreasoner.rewards.combine.score_response"),
        ("search", "spatialreasoner.search.m3cts.search"),
        ("training", "spatialreasoner.training.loss.fdpo_loss"),
        ("training", "spatialreasoner.training.fdpo.FDPOTrainer"),
        ("evaluation", "spatialreasoner.evaluation.answers.judge"),
    ],
)
def test_public_names_have_an_entry(site, page, name):
    assert f'id="{name}"' in (site / "reference" / f"{page}.html").read_text("utf-8")


def test_the_page_of_files_names_every_key_of_a_photo_with_depth():
    page = (ROOT / "docs" / "formats.md").read_text("utf-8")
    assert [field.name for field in fields(SceneFile) if f"| `{field.name}` |" not in page] == []


def test_the_curves_are_those_of_the_loss():
    differences, description, reasoning = load("figures").curves(lam=0.6)
    at = {round(float(x), 6): index for index, x in enumerate(differences)}
    assert description[at[3.0]] == pytest.approx(0.078511, abs=1e-6)  # gaps 1 and 4 differ by 3
    assert reasoning[at[3.0]] == pytest.approx(0.121489, abs=1e-6)
    assert reasoning[at[0.0]] == pytest.approx(0.1)
    assert torch.tensor(description + reasoning).allclose(torch.tensor(0.2))
    assert segment_betas(torch.tensor([[1.0, 4.0]]))[0, 1] == pytest.approx(float(reasoning[at[3.0]]), abs=1e-6)
