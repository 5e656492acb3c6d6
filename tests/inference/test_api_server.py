"""A search through a real server: `transformers serve` with a tiny model of random weights."""

import asyncio

import pytest

from builders import build_scene
from inference.server import real
from inference.server.fair import search_through
from spatialreasoner.core.types import Prompt
from spatialreasoner.inference import advice
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy
from spatialreasoner.testing.tiny_models import build_tiny

pytest.importorskip("fastapi", reason="transformers serve needs fastapi and uvicorn")
pytest.importorskip("uvicorn", reason="transformers serve needs fastapi and uvicorn")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """The base URL and the name of a tiny model that `transformers serve` serves."""
    with real.transformers_serve(build_tiny("llava", tmp_path_factory.mktemp("model") / "tiny", real.TEXTS)) as serving:
        yield serving.url, serving.model


def test_a_search_through_transformers_serve(endpoint, tmp_path):
    """Random weights write no answers: every reply is counted as malformed, the other teacher finds the right path."""
    url, model = endpoint
    scene = build_scene(tmp_path / "scenes")
    served = ApiPolicy(f"api:{model}@{url}", ApiConfig(max_tokens=12, timeout=60))
    counts = search_through(served, scene, tmp_path / "out", samples=1, candidates=2)
    assert counts["calls"] >= 4
    assert counts["prompt_tokens"] > 0
    assert sum(counts["failures"].values()) == counts["calls"]
    assert "unavailable" not in counts["failures"]


def test_a_prefilled_prefix_is_refused_and_continued_in_words_and_equal_replies_are_told(endpoint, tmp_path):
    """`transformers serve` answers 422 to a prefix of its own message, ignores seeds, and gives one choice for three."""
    url, model = endpoint
    policy = ApiPolicy(f"api:{model}@{url}", ApiConfig(max_tokens=6, timeout=60, prefill=True, temperature=0.9))
    scene = build_scene(tmp_path / "scenes")
    shown = Prompt(image=scene.image, regions=scene.regions, request="How wide is <region1>?", prefix="<description>A ball.")

    async def ask():
        try:
            first = await policy.complete(shown, n=3, seed=0)
            return [first] + [await policy.complete(shown, n=1, seed=seed) for seed in range(1, 6)]
        finally:
            await policy.aclose()

    replies = asyncio.run(ask())
    assert len(replies[0]) == 1
    assert policy.learned["prefill"] is False
    assert policy.most_choices == 1
    said = " ".join([*advice.learned(policy.name, policy.learned), *policy.noticing.lines(policy.name)])
    assert "prefill=no" in said
    assert "fewer replies than one request asks for" in said
    assert "ignores seed and temperature" in said
