"""Every behaviour of the table, played to `generate`: each question ends with an answer or a named reason."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from PIL import Image

from inference.server.behaviours import BEHAVIOURS, ENDPOINTS, PARAMETERS, Behaviour
from inference.server.server import ANSWER, Server, refuse
from spatialreasoner.core.errors import WorkError
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.evaluation.predictions import read_predictions
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy
from spatialreasoner.inference.limits import Limits
from spatialreasoner.pipeline.answering import run_generate

KEY = "sk-planted-1234567890abcdef"
QUESTIONS = 3


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def serve():
    servers = []

    def start(respond):
        servers.append(Server(respond).start())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes") / "image.png"
    Image.new("RGB", (900, 700), "grey").save(path)
    return Scene(id="s", image=str(path), regions=())


def questions(count=QUESTIONS):
    return [
        Question(id=f"q{n}", scene_id="s", category="width_data", text=f"{n}: how wide is it?", region_ids=(), answer="2 m")
        for n in range(count)
    ]


class Begun:
    """A policy that is asked to continue a prefix, or for several replies."""

    def __init__(self, policy, behaviour):
        self.policy, self.behaviour = policy, behaviour
        self.name, self.identity, self.restore = policy.name, policy.identity, policy.restore

    @property
    def learned(self):
        return self.policy.learned

    async def attempt(self, prompt, *, n, seed):
        prefix = "<description><region1> is a ball.</description>\n" if self.behaviour.prefix else ""
        replies = await self.policy.attempt(replace(prompt, prefix=prefix), n=self.behaviour.n, seed=seed)
        return [replace(reply, text=prefix + reply.text if reply.text else "") for reply in replies]

    complete = attempt

    async def aclose(self):
        await self.policy.aclose()


def config(behaviour):
    return ApiConfig(
        temperature=behaviour.temperature, top_p=behaviour.top_p, max_tokens=behaviour.max_tokens,
        timeout=behaviour.timeout,
        reasoning_effort=behaviour.effort, prefill=behaviour.prefix,
    )  # fmt: skip


def generate(server, behaviour, scene, out, count=QUESTIONS, **limits):
    """One command: its rows by question, what it said, and whether it failed."""
    policy = Begun(ApiPolicy(f"api:m@{server.url}", config(behaviour)), behaviour)
    limits = Limits(**{"backoff": 0.01, "concurrency": 3, "patience": 60.0, **limits})
    said = []
    try:
        run_generate(questions(count), {"s": scene}, policy, out, limits=limits, tell=said.append)
    except WorkError as error:
        return read_predictions(out), said, str(error)
    return read_predictions(out), said, None


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_each_question_ends_with_an_answer_or_a_named_reason(behaviour: Behaviour, serve, scene, tmp_path):
    server, out = serve(behaviour.respond), tmp_path / "predictions.jsonl"
    rows, said, failed = generate(server, behaviour, scene, out)
    summary = json.loads((tmp_path / "predictions.summary.json").read_text())
    assert len(rows) == QUESTIONS
    assert len(server.asks) <= QUESTIONS * behaviour.most
    assert KEY not in "".join(path.read_text("utf-8", "replace") for path in tmp_path.iterdir())
    if behaviour.end == "answer":
        assert [row.pred.replace("\ufffd", "").replace(" .", ".") for row in rows] == [ANSWER] * QUESTIONS
        assert (summary["replies"], failed) == ({"answer": QUESTIONS}, None)
    elif behaviour.end == "stopped":
        assert summary["replies"] == {"unavailable": QUESTIONS}
        assert len(server.asks) == 1 or "asks for a wait" in failed  # those who waited for the first are told with it
        assert behaviour.says in failed
        assert behaviour.says in rows[0].unanswered
    else:
        assert (summary["replies"], failed) == ({behaviour.end: QUESTIONS}, None)
        assert all(behaviour.says in (row.unanswered or "") for row in rows)
        assert said
    if behaviour.learned is not None:
        assert behaviour.learned.items() <= summary["learned"].items()
    # the same command: answers and final refusals are not asked for again, and what was learned is known from the start
    before, first = len(server.asks), out.read_bytes()
    server.prompts.clear()
    generate(server, behaviour, scene, out)
    again = len(server.asks) - before
    final = (
        behaviour.end == "answer" or behaviour.end in {"refusal", "cut off"} or not behaviour.end.startswith(("empty", "stop"))
    )
    assert again == 0 if final else 0 < again <= QUESTIONS * behaviour.most
    assert out.read_bytes() == first


@pytest.mark.parametrize("behaviour", PARAMETERS, ids=lambda behaviour: behaviour.name)
def test_no_refusal_is_heard_twice(behaviour: Behaviour, serve, scene, tmp_path):
    """Twelve questions at once: a parameter that was refused is not sent again, not even by those that came second."""
    refused = Counter()

    def respond(ask):
        reply = behaviour.respond(ask)
        refused.update([reply.payload()] if reply.status >= 400 else [])
        return reply

    server = serve(respond)
    rows, _, _ = generate(server, behaviour, scene, tmp_path / "predictions.jsonl", count=12, concurrency=12)
    assert all(row.pred for row in rows)
    assert refused.total() <= behaviour.most - 1
    assert len(server.asks) <= 12 + behaviour.most - 1


def test_lessons_end(serve, scene, tmp_path):
    """A server that refuses whatever it is sent, and names it all, is asked in a few other ways, and then no more."""
    server = serve(lambda ask: refuse(400, f"Bad request: {', '.join(ask.body)}, role system, stream: send something else"))
    rows, _, failed = generate(
        server, Behaviour(name="", whose="", respond=server.respond), scene, tmp_path / "predictions.jsonl"
    )
    assert not any(row.pred for row in rows)
    assert "answered none of 3" in failed
    assert 3 < len(server.asks) < 14
    assert len({json.dumps(sorted(ask.body)) for ask in server.asks}) > 3


def test_the_table_is_long_enough():
    assert len(BEHAVIOURS) >= 190
    assert len({behaviour.name for behaviour in BEHAVIOURS}) == len(BEHAVIOURS)
    assert len(ENDPOINTS) >= 20
