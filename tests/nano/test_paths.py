"""The nano by the ways that any model goes: pipelines, searches, a server."""

import asyncio
import base64
import io
import os
import socket
import subprocess
import sys
import time
from random import Random

import pytest
from transformers import pipeline

from builders import build_scene
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.inference.registry import WritingConfig, named_policy
from spatialreasoner.nano import WEIGHTS
from spatialreasoner.pipeline.inputs import succeeds
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.rewards import GeometricReward
from spatialreasoner.scenes.carry import attach, png_info
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.search.run import RunConfig, run_search
from spatialreasoner.teachers import scripted


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A scene, and two questions about it."""
    scene = build_scene(tmp_path_factory.mktemp("scenes"))
    return scene, ask_about(Measured(scene), Random(0), 2)


@pytest.fixture(scope="module")
def greedy(folder):
    return HfPolicy(folder, temperature=0, max_new_tokens=16)


def answer(policy, shown):
    return asyncio.run(policy.complete(shown, n=1, seed=0))[0].text


def carrier(shown):
    """The image of a prompt, with its regions."""
    return attach(read_image(shown.image), shown.regions)


def test_a_pipeline_answers_like_our_policy(nano, greedy, world):
    scene, questions = world
    shown = prompt(questions[0], scene)
    talk = [{"role": "user", "content": [{"type": "image", "image": carrier(shown)}, {"type": "text", "text": shown.request}]}]
    model, processor = nano
    pipe = pipeline("image-text-to-text", model=model, processor=processor)
    written = pipe(text=talk, generate_kwargs={"do_sample": False, "max_new_tokens": 16}, return_full_text=False)
    assert written[0]["generated_text"] == answer(greedy, shown)


def test_it_searches_beside_teachers(folder, world, tmp_path):
    """Random weights write no answers: each reply is counted as malformed, and the teacher finds its way."""
    scene, questions = world
    scenes = {scene.id: scene}
    policy = named_policy(f"hf:{folder}", scenes, WritingConfig(temperature=0.9, max_new_tokens=8))
    result = run_search(
        questions=questions, scenes=scenes, policies=[policy, scripted("careful", scenes)], inputs={},
        reward=GeometricReward(scenes, succeeds=succeeds), out=tmp_path, config=RunConfig(samples_per_policy=1, candidates=2),
    )  # fmt: skip
    counts = result.summary["by_policy"][policy.name]
    assert (result.unfinished, result.stopped) == ({}, None)
    assert counts["calls"] >= 4
    assert "unavailable" not in counts["failures"]
    assert result.summary["trajectories"] >= 2


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """The base URL of the nano as `python -m spatialreasoner.cli.serving` serves it."""
    pytest.importorskip("fastapi", reason="transformers serve needs fastapi and uvicorn")
    pytest.importorskip("uvicorn", reason="transformers serve needs fastapi and uvicorn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "spatialreasoner.cli.serving", "nano", "--device", "cpu", "--dtype", "float32"]
    path = tmp_path_factory.mktemp("server") / "log.txt"
    with path.open("w") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=log, stderr=log, env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            wait_for(port, server, path)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(timeout=30)


def wait_for(port, server, log):
    deadline = time.monotonic() + 250
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-2000:]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.3)
    pytest.fail(f"the server did not come up: {log.read_text()[-2000:]}")


def test_a_server_answers_like_our_policy_and_sees_the_regions(endpoint, world):
    import openai

    scene, questions = world
    shown = prompt(questions[0], scene)
    trained = HfPolicy("nano", temperature=0, max_new_tokens=16)  # one that has learned nothing says the same of anything
    client = openai.OpenAI(base_url=endpoint, api_key="none", timeout=120)

    def served(image, model=str(WEIGHTS)):
        buffer = io.BytesIO()
        image.save(buffer, "PNG", pnginfo=png_info(image))
        url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": shown.request}]
        reply = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": content}], max_tokens=16, temperature=0
        )
        return reply.choices[0].message.content

    assert served(carrier(shown)) == answer(trained, shown)
    assert served(carrier(shown), "nano") == answer(trained, shown)  # as it was named when the server was started
    with pytest.raises(openai.BadRequestError, match="400"):
        served(carrier(shown), "another")
    assert answer(trained, shown) != served(read_image(shown.image))
