"""Endpoints over a real connection to a real server in this process: one that answers, and one that fails in every way."""

import asyncio
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

import pytest

from builders import build_scene, measured_balls
from inference.server.fair import Fair
from spatialreasoner.core.errors import BusyError, ConfigError, EndpointError
from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy
from spatialreasoner.inference.backends.chat import messages
from spatialreasoner.inference.endpoint import Limits
from spatialreasoner.inference.names import parse_name
from spatialreasoner.inference.prices import find_price
from spatialreasoner.inference.streaming import stream
from spatialreasoner.language.responses import steps
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.search.run import RunConfig, run_search
from spatialreasoner.teachers import scripted

KEY = "sk-planted-1234567890abcdef"
ANSWER = (
    "<description><region1> is a ball.</description>\n<reasoning>### Rationale\nI look.\n### Let's think step by step\n"
    "### Step 1\nIt is 0.5 m wide.\n</reasoning>\n### In Conclusion\n<region1> is 0.5 meters wide."
)


class Server(ThreadingHTTPServer):
    """Answers chat completions; `fault(number)` names what goes wrong with a request, or None."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, fault=lambda number: None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault, self.requests, self.faults, self.lock = fault, [], Counter(), threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append((body, self.headers["Authorization"]))
            fault = self.server.fault(len(self.server.requests))
            self.server.faults[fault] += 1
        getattr(self, f"answer_{fault}")(body)

    def answer_None(self, body):
        if body.get("stream"):
            return self.answer_stream(body, "data: [DONE]\n\n")
        self.reply(200, self.completion(body, self.rest(body)))

    def answer_stream(self, body, end=""):
        words = self.rest(body).split(" ")
        pieces = [words[0], *(f" {word}" for word in words[1:])]
        chunks = [{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}] + [
            {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
             "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            for piece in pieces
        ]  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", "1000000" if not end else str(sum(len(self.event(c)) for c in chunks) + len(end)))
        self.end_headers()
        self.wfile.write(b"".join(map(self.event, chunks)) + end.encode())
        self.close_connection = not end

    def event(self, chunk):
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    def rest(self, body):
        last = body["messages"][-1]
        written = len(steps(last["content"])) if last["role"] == "assistant" else 0
        text = "".join(step.text for step in steps(ANSWER)[written:])
        return f"{text} I am sure, {body['seed']}."

    def completion(self, body, text, finish="stop", **message):
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        choices = [{**choice, "index": index} for index in range(body.get("n") or 1)]
        return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}

    def answer_429(self, body):
        self.reply(429, {"error": {"message": "slow down", "code": "rate_limit"}}, {"Retry-After": "0.01"})

    def answer_500(self, body):
        self.reply(500, {"error": {"message": "internal"}})

    def answer_timeout(self, body):
        time.sleep(0.5)
        self.answer_None(body)

    def answer_drop(self, body):
        self.close_connection = True

    def answer_torn(self, body):
        payload = json.dumps(self.completion(body, self.rest(body))).encode()[:-30]
        self.send(200, payload)

    def answer_empty(self, body):
        self.reply(200, self.completion(body, None))

    def answer_nothing(self, body):
        self.reply(200, {"id": "1", "object": "chat.completion", "choices": []})

    def answer_refusal(self, body):
        self.reply(200, self.completion(body, None, refusal="I cannot help with that."))

    def answer_cut(self, body):
        self.reply(200, self.completion(body, self.rest(body)[:60], finish="length"))

    def answer_parrot(self, body):
        self.reply(200, self.completion(body, f"My key is {self.headers['Authorization']}."))

    def answer_401(self, body):
        self.reply(401, {"error": {"message": f"Incorrect API key provided: {KEY}. Header was Bearer {KEY}"}})

    def answer_404(self, body):
        self.reply(404, {"error": {"message": "no such model"}})

    def answer_quota(self, body):
        self.reply(429, {"error": {"message": "insufficient_quota", "code": "insufficient_quota"}})

    def answer_400(self, body):
        self.reply(400, {"error": {"message": "no images"}})

    def reply(self, status, value, headers=None):
        self.send(status, json.dumps(value).encode(), headers)

    def send(self, status, payload, headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(payload)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(fault=lambda number: None):
        server = Server(fault)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    scene = build_scene(tmp_path_factory.mktemp("scenes"))
    return scene, ask_about(measured_balls(), Random(1), 12)


@pytest.fixture
def shown(world):
    scene, questions = world
    return prompt(questions[0], scene)


def complete(policy, shown, **options):
    async def go():
        try:
            return await policy.complete(shown, **{"n": 1, "seed": 5, **options})
        finally:
            await policy.aclose()

    return asyncio.run(go())


def test_what_is_sent_and_what_comes_back(serve, shown):
    server = serve()
    policy = ApiPolicy(f"api:m@{server.url}", ApiConfig(temperature=0.5, max_tokens=99))
    replies = complete(policy, shown, n=2)
    assert [reply.text for reply in replies] == [f"{ANSWER} I am sure, 5."] * 2
    assert [(r.prompt_tokens, r.completion_tokens, r.finish) for r in replies] == [(11, 4, "stop"), (0, 3, "stop")]
    (body, authorization) = server.requests[0]
    assert authorization == f"Bearer {KEY}"
    assert (body["model"], body["n"], body["seed"], body["temperature"], body["max_tokens"]) == ("m", 2, 5, 0.5, 99)
    user = body["messages"][1]["content"]
    assert user[0]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert user[1]["text"] == shown.request


@pytest.mark.parametrize(("key", "told"), [(KEY, "***"), ("none", "none")])
def test_an_answer_that_repeats_the_key_does_not_keep_it(serve, shown, monkeypatch, key, told):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    policy = ApiPolicy(f"api:m@{serve(lambda number: 'parrot').url}")
    (reply,) = complete(policy, shown, n=1)
    assert reply.text == f"My key is Bearer {told}."


def streamed(policy, shown):
    pieces = []

    async def go():
        try:
            async for piece in stream(policy, shown, seed=5):
                pieces.append(piece)
        finally:
            await policy.aclose()

    try:
        asyncio.run(go())
    except EndpointError as error:
        return pieces, error
    return pieces, None


def test_what_comes_after_the_end_of_a_stream_is_not_read(serve, shown, monkeypatch):
    more = 'data: {"choices": [{"index": 0, "delta": {"content": "MORE"}}]}\n\n'
    monkeypatch.setattr(Handler, "answer_None", lambda self, body: self.answer_stream(body, f"data: [DONE]\n\n{more}"))
    pieces, error = streamed(ApiPolicy(f"api:m@{serve().url}"), shown)
    assert (error, "".join(pieces)) == (None, f"{ANSWER} I am sure, 5.")


def test_an_answer_is_read_while_it_is_written(serve, shown):
    pieces, error = streamed(ApiPolicy(f"api:m@{serve().url}"), shown)
    assert len(pieces) > 5
    assert error is None
    assert "".join(pieces) == f"{ANSWER} I am sure, 5."


@pytest.mark.parametrize(("fault", "said"), [("stream", "cannot be re"), ("429", "too many"), ("401", "set OPENAI_API_KEY")])
def test_a_stream_that_fails_says_why(serve, shown, fault, said):
    pieces, error = streamed(ApiPolicy(f"api:m@{serve(lambda number: fault).url}"), shown)
    assert bool(pieces) == (fault == "stream")
    assert said in str(error)


def test_a_prefix_is_continued_in_words_or_as_the_models_own_message(serve, shown):
    prefix = "".join(step.text for step in steps(ANSWER)[:2])
    begun = Prompt(image=shown.image, regions=shown.regions, request=shown.request, prefix=prefix)
    assert prefix in messages(begun, "data:", prefill=False)[-1]["content"][1]["text"]
    assert messages(begun, "data:", prefill=True)[-1] == {"role": "assistant", "content": prefix}
    server = serve()
    (reply,) = complete(ApiPolicy(f"api:m@{server.url}", ApiConfig(prefill=True)), begun)
    assert prefix + reply.text == f"{ANSWER} I am sure, 5."
    assert server.requests[0][0]["continue_final_message"] is True
    # asked in words, this server starts from the beginning, as models do; the repeated prefix is taken off
    (reply,) = complete(ApiPolicy(f"api:m@{server.url}"), begun)
    assert prefix + reply.text == f"{ANSWER} I am sure, 5."


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("429", "rate limit"), ("500", "server error"), ("timeout", "timeout"), ("drop", "connection"), ("nothing", "bad reply")],
)
def test_what_may_pass_is_told_apart(serve, shown, fault, kind):
    server = serve(lambda number: fault)
    with pytest.raises(BusyError) as caught:
        complete(ApiPolicy(f"api:m@{server.url}", ApiConfig(timeout=0.2)), shown)
    assert caught.value.kind == kind
    assert caught.value.retry_after == (0.01 if fault == "429" else None)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "advice"),
    [("401", "set OPENAI_API_KEY"), ("404", "check MODEL"), ("quota", "quota is used up"), ("400", "take images")],
)
def test_what_will_not_pass_says_what_to_do(serve, shown, fault, advice):
    server = serve(lambda number: fault)
    with pytest.raises(EndpointError, match=advice) as caught:
        complete(ApiPolicy(f"api:m@{server.url}"), shown)
    assert not isinstance(caught.value, BusyError)
    assert KEY not in str(caught.value)


def test_torn_json_is_a_bad_reply(serve, shown):
    server = serve(lambda number: "torn")
    with pytest.raises(BusyError) as caught:
        complete(ApiPolicy(f"api:m@{server.url}"), shown)
    assert caught.value.kind == "bad reply"


def test_prices_are_known_for_hosted_models_only():
    assert (find_price("gpt-4o").prompt, find_price("gpt-4o").completion) == (2.5, 10.0)
    assert not find_price("my-own-model").known


def test_a_server_that_is_not_there(shown):
    with pytest.raises(BusyError, match="is the server running"):
        complete(ApiPolicy("api:m@http://127.0.0.1:9/v1"), shown)


@pytest.mark.parametrize(
    "name", ["m", "api:m", "api:m@ftp://x", "api:@http://x", "m@http://me:secret@x/v1", "m@http://x/v1?key=1"]
)
def test_wrong_names_are_refused_and_not_repeated_with_their_secrets(name):
    with pytest.raises(ConfigError) as caught:
        parse_name(name)
    assert "secret" not in str(caught.value)


class FairBySeed(Fair):
    """An answer is right by the seed at its end."""

    def succeeds(self, question, text):
        return int(text.rpartition(", ")[2].rstrip(".")) % 3 == 0


FAULTS = ("429", "500", "timeout", "drop", "torn", "empty", "refusal", "cut", "nothing")


def test_a_search_through_a_server_that_fails_a_third_of_the_time(serve, world, tmp_path):
    """Every tree finishes, nothing is lost, no request goes beyond the budget, and no file holds the key."""
    rng = Random(3)
    server = serve(lambda number: rng.choice(FAULTS) if rng.random() < 0.3 else None)
    scene, questions = world
    policies = [ApiPolicy(f"api:{name}@{server.url}", ApiConfig(timeout=0.3, prefill=True)) for name in "ab"]
    limits = {policy.name: Limits(attempts=12, backoff=0.01, concurrency=8) for policy in policies}

    def run(**budget):
        return run_search(
            questions=questions,
            scenes={scene.id: scene},
            policies=policies,
            reward=FairBySeed(),
            config=RunConfig(limits=limits, **budget),
            out=tmp_path / "out",
            inputs={},
        )

    limited = run(max_calls=40)
    assert "max_calls" in limited.stopped
    assert sum(json.loads((tmp_path / "out" / "timing.json").read_text())["requests"].values()) == 40
    assert 30 <= len(server.requests) <= 40  # a request that timed out may never have reached the server
    result = run()
    assert (result.unfinished, result.stopped) == ({}, None)
    assert result.summary["questions"] == len(questions)
    assert set(FAULTS) <= set(server.faults)
    failures = Counter()
    for policy in result.summary["by_policy"].values():
        failures.update(policy["failures"])
    assert failures["empty"] + failures["refusal"] + failures["truncated"] > 3
    timing = json.loads((tmp_path / "out" / "timing.json").read_text())
    assert {"rate limit", "server error", "timeout", "connection", "bad reply"} <= set().union(*timing["failures"].values())
    for path in (tmp_path / "out").iterdir():
        assert KEY.encode() not in path.read_bytes()
    again = len(server.requests)
    run()
    assert len(server.requests) == again


def test_a_refused_key_stops_that_endpoint_at_once_and_never_shows(serve, world, tmp_path, caplog):
    server = serve(lambda number: "401")
    scene, questions = world
    policies = [ApiPolicy(f"api:m@{server.url}"), scripted("careful", {scene.id: scene})]
    seen = []
    result = run_search(
        questions=questions,
        scenes={scene.id: scene},
        policies=policies,
        reward=Even(),
        config=RunConfig(limits={policies[0].name: Limits(concurrency=1)}),
        out=tmp_path / "out",
        inputs={},
        progress=lambda progress: seen.append(str(progress)),
    )
    assert len(server.requests) == 1
    assert result.unfinished == {}
    shown = [path.read_bytes() for path in (tmp_path / "out").iterdir()]
    assert b"set OPENAI_API_KEY" in b"".join(shown)
    for text in (*shown, caplog.text.encode(), "".join(seen).encode(), repr(policies[0].__dict__["name"]).encode()):
        assert KEY.encode() not in text


class Even(Fair):
    """Right by the length of the text."""

    def succeeds(self, question, text):
        return len(text) % 2 == 0
