"""vLLM and llama.cpp, each with a tiny model of random weights: 'make test-integrations' installs and asks them."""

import asyncio

import pytest
from PIL import Image

from builders import build_scene
from inference.server import real
from inference.server.fair import search_through
from inference.server.tiny_gguf import write_gguf
from spatialreasoner.core.errors import EndpointError, PromptError
from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy
from spatialreasoner.inference.backends.chat import data_url, plain
from spatialreasoner.testing.tiny_models import build_tiny

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1200)]
PREFIX = "<description>A ball."


@pytest.fixture(scope="module", params=["llama.cpp", "vllm"])
def serving(request, tmp_path_factory):
    """The server under test; skipped with the reason where it cannot be had."""
    if why := real.missing(request.param):
        pytest.skip(f"{request.param}: {why}")
    folder = tmp_path_factory.mktemp("model") / "tiny"
    if request.param == "vllm":
        started = real.vllm(build_tiny("qwen2_5_vl", folder, real.TEXTS))
    else:
        started = real.llama_cpp(*write_gguf(build_tiny("llava", folder, real.TEXTS)))
    with started as running:
        yield request.param, running


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return build_scene(tmp_path_factory.mktemp("scenes"))


def asked(serving, shown, calls, **config):
    """The replies to several calls of one policy, each `(n, seed)`, and the policy."""
    policy = ApiPolicy(serving.name, ApiConfig(timeout=300, **{"max_tokens": 6, **config}))

    async def ask():
        try:
            return [await policy.complete(shown, n=n, seed=seed) for n, seed in calls]
        finally:
            await policy.aclose()

    return asyncio.run(ask()), policy


def shown(scene, prefix="", request="How wide is <region1>?"):
    return Prompt(image=scene.image, regions=scene.regions, request=request, prefix=prefix)


def texts(replies):
    return [reply.text for reply in replies]


def test_a_search_goes_through(serving, scene, tmp_path):
    """Random weights write no answers: every reply is counted as malformed, the other teacher finds the right path."""
    _, running = serving
    served = ApiPolicy(running.name, ApiConfig(max_tokens=12, timeout=300, prefill=True))
    counts = search_through(served, scene, tmp_path / "out", samples=2, candidates=4)
    assert sum(counts["failures"].values()) == counts["calls"] > 4
    assert not {"unavailable", "request refused"} & set(counts["failures"])
    assert counts["prompt_tokens"] > 0


def test_a_prefix_is_continued_and_not_repeated(serving, scene):
    _, running = serving
    (begun,), policy = asked(running, shown(scene, PREFIX), [(1, 0)], prefill=True, temperature=0.0)
    (in_words,), _ = asked(running, shown(scene, PREFIX), [(1, 0)], prefill=False, temperature=0.0)
    (plain,), _ = asked(running, shown(scene), [(1, 0)], temperature=0.0)
    assert policy.learned == {}
    assert PREFIX not in begun[0].text
    assert plain[0].prompt_tokens < begun[0].prompt_tokens < in_words[0].prompt_tokens


def test_seeds_and_temperature_are_kept_to(serving, scene):
    """Of several replies to a seed, each next one is the reply to the next seed."""
    _, running = serving
    (first, again, other, both), policy = asked(running, shown(scene), [(1, 5), (1, 5), (1, 6), (2, 5)], temperature=0.9)
    assert texts(first) == texts(again) != texts(other)
    assert texts(both) == texts([*first, *other])
    assert list(policy.noticing.lines(policy.name)) == []
    (one, two), _ = asked(running, shown(scene), [(1, 5), (1, 6)], temperature=0.0)
    assert texts(one) == texts(two)


def test_what_it_refuses_of_three_replies_is_learned(serving, scene):
    """llama.cpp gives at most as many replies as it has slots; vLLM gives one at temperature 0."""
    name, running = serving
    (three,), policy = asked(running, shown(scene), [(3, 1)], temperature=0.9)
    assert (len(three), policy.learned) == ((3, {}) if name == "vllm" else (1, {"n": False}))
    (greedy,), policy = asked(running, shown(scene), [(3, 1)], temperature=0.0)
    assert (len(greedy), policy.learned) == (1, {"n": False})


def test_replies_end_where_they_are_cut_off_or_by_themselves(serving, scene):
    """Random weights end a reply after some hundred tokens; more than the context is refused by vLLM and cut by llama.cpp."""
    name, running = serving
    (cut,), _ = asked(running, shown(scene), [(1, 1)], max_tokens=6)
    assert (cut[0].finish, cut[0].completion_tokens) == ("length", 6)
    (whole,), policy = asked(running, shown(scene), [(1, 1)], max_tokens=100_000, temperature=1.0)
    assert whole[0].finish == "stop"
    assert policy.learned == ({"most_tokens": 4096} if name == "vllm" else {})
    (other_name,), _ = asked(
        real.Serving(url=f"{running.url}?max_tokens_param=max_completion_tokens", model=running.model), shown(scene), [(1, 1)]
    )
    assert other_name[0].completion_tokens == 6


def test_images_are_looked_at(serving):
    """Under the shortest prompt, one image's likeliest reply is always the same, and another image's is another."""
    _, running = serving
    policy = ApiPolicy(running.name, ApiConfig(timeout=300, max_tokens=24, temperature=0.0))

    async def ask():
        try:
            return [texts(await policy.chat(plain(seen(hue)), n=1, seed=1)) for hue in ("red", "red", "blue")]
        finally:
            await policy.aclose()

    one, same, other = asyncio.run(ask())
    assert one == same != other


def seen(hue):
    image = {"url": data_url(Image.new("RGB", (120, 90), hue), 512)}
    return [{"role": "user", "content": [{"type": "image_url", "image_url": image}, {"type": "text", "text": "Which?"}]}]


def test_a_prompt_beyond_the_context_and_a_model_that_is_not_there_are_named(serving, scene):
    name, running = serving
    with pytest.raises(PromptError, match="does not fit into the model's context"):
        asked(running, shown(scene, request="wide " * 9000), [(1, 1)])
    other = real.Serving(url=running.url, model="another")
    if name == "llama.cpp":  # it answers with the model that it has
        (reply,), _ = asked(other, shown(scene), [(1, 1)])
        assert reply[0].completion_tokens == 6
        return
    with pytest.raises(EndpointError, match="no such model"):
        asked(other, shown(scene), [(1, 1)])
