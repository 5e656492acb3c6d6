"""What an endpoint promises: budgets hold over kills, futures settle, failures have words, what is missing is asked for."""

import asyncio
import json
import os
import signal
import socket
import time
from contextlib import suppress
from random import Random

import pytest

from builders import build_scene, measured_balls
from children import begin
from inference.server.server import Reply, Server, completion, refuse
from spatialreasoner.core.errors import BusyError, ConfigError, EndpointError, WorkError
from spatialreasoner.core.types import Completion, Prompt, RewardBreakdown
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy
from spatialreasoner.inference.budget import Budget, BudgetError, charge_past, refuse_unknown_prices
from spatialreasoner.inference.endpoint import Endpoint
from spatialreasoner.inference.journal import Journal, Spent
from spatialreasoner.inference.limits import Limits
from spatialreasoner.inference.names import expand_name, parse_name, read_endpoints
from spatialreasoner.inference.prices import Price, Tier, find_price
from spatialreasoner.inference.registry import WritingConfig, limits_of
from spatialreasoner.inference.waiting import watched
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.search.run import RunConfig, run_search

FILES = ("trajectories.jsonl", "trees.jsonl", "summary.json", "config.json")
TEXT = Prompt(image="", regions=(), request="How wide is it?")


class ByLength:
    async def rate(self, question, prefix, step):
        return {"spatial": 0.5 if len(step) % 3 else -0.5}

    async def score(self, question, text):
        return RewardBreakdown(visual=1.0, spatial_description=1.0, spatial_reasoning=1.0, logical=1.0)

    def succeeds(self, question, text):
        return len(text) % 4 == 0


@pytest.fixture
def serve():
    servers = []

    def start(respond, port=0):
        servers.append(Server(respond, port).start())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def numbered(ask):
    """An answer that depends on nothing but what was asked."""
    number = Random(json.dumps([ask.body["model"], ask.body["messages"], ask.body.get("seed")])).randrange(10**6)
    return completion(ask, f"{ask.rest()} I am sure, {number}{'!' * (number % 7)}.")


def job(tmp_path, urls, **config):
    scene = build_scene(tmp_path / "scenes")
    policies = [ApiPolicy(f"api:{name}@{url}", ApiConfig(prefill=True, timeout=5)) for name, url in urls.items()]
    limits = {policy.name: Limits(concurrency=2, attempts=2, backoff=0.01, failure_threshold=3) for policy in policies}
    return {
        "questions": ask_about(measured_balls(), Random(1), 6), "scenes": {scene.id: scene}, "policies": policies,
        "reward": ByLength(),
        "config": RunConfig(limits=limits, trees_in_flight=3, **config), "inputs": {},
    }  # fmt: skip


def test_a_budget_of_calls_holds_to_the_call_over_kills_and_failures(serve, tmp_path):
    """Every third request fails; killed five times and continued as often, no request is sent beyond the limit."""

    def respond(ask):
        time.sleep(0.01)
        return refuse(500, "oops") if ask.number % 3 == 2 else numbered(ask)

    server = serve(respond)
    work, rng = job(tmp_path, {"a": server.url}, max_calls=60), Random(3)
    for _ in range(5):
        child = begin(lambda: run_search(**work, out=tmp_path / "out"))
        time.sleep(rng.uniform(0.05, 0.4))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    result = run_search(**work, out=tmp_path / "out")
    assert len(server.asks) <= 60
    assert len(server.asks) >= 30
    assert "max_calls" in (result.stopped or "max_calls")


def test_a_policy_that_was_away_is_told_and_asked_for_by_the_same_command(serve, tmp_path):
    """One of two policies at a dead port: the run ends and says so; when it is back, the end is that of a healthy run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    first = serve(numbered)
    urls = {"a": first.url, "b": f"http://127.0.0.1:{port}/v1"}
    broken = run_search(**job(tmp_path, urls), out=tmp_path / "out")
    name = f"api:b@{urls['b']}"
    assert broken.missing[name] > 0
    assert "nothing listens" in broken.away[name]
    assert any(f"{name} was away" in line and "same command" in line for line in broken.lines(100))
    second = serve(numbered, port)
    asked = len(first.asks)
    whole = run_search(**job(tmp_path, urls), out=tmp_path / "out")
    assert (whole.missing, whole.away) == ({}, {})
    assert len(second.asks) > 0
    healthy = run_search(**job(tmp_path, urls), out=tmp_path / "healthy")
    assert healthy.summary == whole.summary
    for file in FILES:
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "healthy" / file).read_bytes(), file
    sent = len(first.asks) + len(second.asks)
    run_search(**job(tmp_path, urls), out=tmp_path / "out")
    assert len(first.asks) + len(second.asks) == sent
    assert asked > 0


def test_what_was_learned_is_in_the_summary_and_in_the_journal(serve, tmp_path):
    server = serve(lambda ask: refuse(400, "unknown name 'seed'") if "seed" in ask.body else numbered(ask))
    result = run_search(**job(tmp_path, {"a": server.url}), out=tmp_path / "out")
    name = f"api:a@{server.url}"
    assert result.summary["learned"] == {name: {"seed_param": "none"}}
    assert server.sent("seed") == 1
    assert any("takes no seed" in line for line in result.lines(100))
    run_search(**job(tmp_path, {"a": server.url}, samples_per_policy=4), out=tmp_path / "out")
    assert server.sent("seed") == 1


class Odd:
    """Writes what no journal can keep."""

    name = "odd"

    def __init__(self, **reply):
        self.reply = reply

    async def complete(self, prompt, *, n, seed):
        return [Completion(**self.reply)]


class Named(Odd):
    name = "other"


@pytest.mark.parametrize(
    "reply", [{"text": "a \ud800 b"}, {"text": "a", "prompt_tokens": 2**80}, {"text": "a", "completion_tokens": 2**62}]
)
def test_a_reply_that_cannot_be_kept_settles_all_the_same(reply, tmp_path):
    async def complete(policy, journal):
        endpoint = Endpoint(policy, journal=journal, budget=Budget(), limits=Limits())
        return await asyncio.wait_for(endpoint.complete(TEXT, n=1, seed=1), 20)

    with Journal(tmp_path / "journal.sqlite") as journal:
        with suppress(WorkError):  # where the journal refuses it
            asyncio.run(complete(Odd(**reply), journal))
        asyncio.run(complete(Named(text="fine"), journal))
    with Journal(tmp_path / "journal.sqlite") as journal:
        spent = dict(journal.spent())
        assert (spent["odd"].calls, spent["other"].calls) == (1, 1)


def test_usages_that_add_up_beyond_64_bits_leave_the_journal_readable(tmp_path):
    huge = Spent(calls=1, prompt_tokens=2**62, completion_tokens=0)
    with Journal(tmp_path / "journal.sqlite") as journal:
        for key in "abc":
            asyncio.run(journal.put_reply(key, "[]", policy="p", spent=huge))
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert dict(journal.spent())["p"].prompt_tokens > 2**63


def test_one_row_that_cannot_be_kept_does_not_take_others_with_it(tmp_path):
    async def write(journal):
        rows = [journal.put_question(f"k{n}", "v" if n != 3 else "\ud800") for n in range(6)]
        return await asyncio.wait_for(asyncio.gather(*rows, return_exceptions=True), 20)

    with Journal(tmp_path / "journal.sqlite") as journal:
        ends = asyncio.run(write(journal))
        assert [isinstance(end, WorkError) for end in ends] == [n == 3 for n in range(6)]
        assert journal.get("questions", "k5") == "v"


def test_a_request_whose_end_nobody_knows_counts_as_the_most_it_can_take(tmp_path):
    async def begin(journal):
        await journal.begin("key", "p", 500)

    with Journal(tmp_path / "journal.sqlite") as journal:
        asyncio.run(begin(journal))
    budget = Budget(max_tokens=600, max_calls=5)
    with Journal(tmp_path / "journal.sqlite") as journal:
        charge_past(budget, journal, {"p": Price(prompt=1, completion=10)})
    assert (budget.calls, budget.tokens, budget.cost) == (1, 500, pytest.approx(0.005))
    with pytest.raises(BudgetError):
        budget.reserve(200, 0.0)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/v1", "nothing listens at 127.0.0.1:9"),
        ("http://no-such-host.invalid/v1", "the host name of no-such-host.invalid is unknown"),
    ],
)
def test_every_connection_error_has_words_of_its_own(url, words):
    policy = ApiPolicy(f"api:m@{url}", ApiConfig(timeout=20))
    with pytest.raises(BusyError, match=words):
        complete(policy)


def test_https_to_a_server_of_http_speaks_of_tls(serve):
    server = serve(numbered)
    policy = ApiPolicy(f"api:m@{server.url.replace('http', 'https', 1)}", ApiConfig(timeout=20))
    with pytest.raises(BusyError, match="TLS"):
        complete(policy)


def complete(policy):
    async def go():
        try:
            return await policy.complete(Prompt(image=_image(), regions=(), request="?"), n=1, seed=1)
        finally:
            await policy.aclose()

    return asyncio.run(go())


def _image():
    import tempfile

    from PIL import Image

    path = os.path.join(tempfile.gettempdir(), f"endpoint-{os.getpid()}.png")
    Image.new("RGB", (8, 8)).save(path)
    return path


def test_silence_is_broken_by_a_line(tmp_path):
    class Slow:
        name = "slow"

        async def complete(self, prompt, *, n, seed):
            await asyncio.sleep(0.5)
            return [Completion(text="a")]

    async def wait(journal, lines):
        endpoint = Endpoint(Slow(), journal=journal, budget=Budget(), limits=Limits())
        async with watched([endpoint], lines.append, patience=0.1):
            await endpoint.complete(TEXT, n=1, seed=1)

    lines = []
    with Journal(tmp_path / "journal.sqlite") as journal:
        asyncio.run(wait(journal, lines))
    assert "waiting for slow: 1 requests in flight" in lines[0]


def test_a_request_sent_between_two_looks_is_told_of_soon_after_its_time():
    class Late:
        name, in_flight = "late", 1

        def __init__(self):
            self.sent = time.monotonic() + 0.15

        def longest_wait(self):
            return time.monotonic() - self.sent

    async def wait(lines):
        async with watched([Late()], lines.append, patience=0.3):
            await asyncio.sleep(0.58)

    lines = []
    asyncio.run(wait(lines))
    assert lines


def test_a_request_and_its_retries_end_within_the_deadline(tmp_path):
    class Stuck:
        name = "stuck"

        async def complete(self, prompt, *, n, seed):
            await asyncio.sleep(60)

    async def wait(journal):
        limits = Limits(timeout=0.3, patience=1.0, backoff=0.1, attempts=50)
        await Endpoint(Stuck(), journal=journal, budget=Budget(), limits=limits).complete(TEXT, n=1, seed=1)

    begun = time.monotonic()
    with Journal(tmp_path / "journal.sqlite") as journal, pytest.raises(EndpointError, match="stuck failed"):
        asyncio.run(wait(journal))
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "name",
    ["api:m@http://x/v1?key=sk-1234567890", "api:m@http://[::1/v1", "api:m@http://x:99999/v1", "api:m@http://x/v1?system=boss"],
)
def test_names_that_cannot_be_used_are_refused_without_a_traceback(name):
    with pytest.raises(ConfigError) as caught:
        parse_name(name)
    assert "sk-1234567890" not in str(caught.value)


def test_settings_in_a_name_and_in_a_yaml_file_are_the_same(tmp_path, serve):
    path = tmp_path / "endpoints.yaml"
    server = serve(numbered)
    path.write_text(
        f"teacher:\n  model: m\n  url: {server.url}\n  max_tokens_param: max_completion_tokens\n  system: user\n"
        "  price: [1.25, 10]\n  temperature: 0.3\n  concurrency: 3\n"
    )
    (name,) = expand_name(["teacher"], path)
    assert name == read_endpoints(path)["teacher"]
    limits = limits_of(name, concurrency=16, writing=WritingConfig(max_new_tokens=100))
    assert (limits.concurrency, limits.price.completion, limits.patience) == (3, 10.0, 600.0)
    policy = ApiPolicy(name)
    complete(policy)
    body = server.asks[0].body
    assert (body["max_completion_tokens"], body["temperature"], server.asks[0].roles) == (1024, 0.3, ["user"])
    assert policy.learned == {}


def test_prices_are_those_of_the_request_s_size_and_of_cached_input():
    gemini = find_price("google/gemini-2.5-pro")
    assert (gemini.prompt, gemini.completion) == (1.25, 10.0)
    assert gemini.cost(1_000, 100) == pytest.approx(0.00225)
    assert gemini.cost(300_000, 0) == pytest.approx(0.75)
    assert gemini.cost(1_000, 0, 1_000) < gemini.cost(1_000, 0)
    assert Price(prompt=1, tiers=(Tier(above=10, prompt=2, completion=0),)).most(5) == pytest.approx(5e-6)
    with pytest.raises(ConfigError, match=r"price=1\.25/10"):
        refuse_unknown_prices(1.0, {"api:own@http://x/v1": find_price("own-model", "http://x/v1")})


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_on_the_same_host_counts_as_a_request(status, serve, tmp_path):
    """Each request is sent on once, so ten calls make five replies; over several processes, too."""

    def respond(ask):
        return numbered(ask) if ask.again % 2 else Reply(status=status, value={}, headers={"Location": "/v1/chat/completions"})

    server = serve(respond)
    work = job(tmp_path, {"a": server.url}, max_calls=10)
    for _ in range(3):
        result = run_search(**work, out=tmp_path / "out")
        assert "max_calls" in result.stopped
    assert len(server.asks) == 10
    with Journal(tmp_path / "out" / "journal.sqlite") as journal:
        assert sum(spent.calls for _, spent in journal.spent()) == 10


def killed_while_away(work, out, away):
    """Search in a process that is killed once the policy that is away was given up."""
    child = begin(lambda: run_search(**work, out=out))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not away():
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.parametrize("kills", [1, 3])
def test_a_policy_that_was_away_when_the_run_was_killed_is_asked_once_it_is_back(kills, serve, tmp_path):
    """Killed while one policy is away; with it back, one run more ends with the bytes of a healthy one, and nothing is left."""
    back = []
    first = serve(lambda ask: (time.sleep(0.02), numbered(ask))[1])
    second = serve(lambda ask: numbered(ask) if back else refuse(500, "asleep"))
    work = job(tmp_path, {"a": first.url, "b": second.url})
    for _ in range(kills):
        seen = len(second.asks)
        killed_while_away(work, tmp_path / "out", lambda seen=seen: len(second.asks) > seen + 2)
    back.append(True)
    whole = run_search(**work, out=tmp_path / "out")
    assert (whole.missing, whole.away, whole.unfinished) == ({}, {}, {})
    run_search(**work, out=tmp_path / "healthy")
    for file in FILES:
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "healthy" / file).read_bytes(), file
    sent = len(first.asks) + len(second.asks)
    run_search(**work, out=tmp_path / "out")
    assert len(first.asks) + len(second.asks) == sent


def test_what_failed_for_good_is_asked_again_in_the_same_run_while_the_policy_answers(serve, tmp_path):
    """One request fails all its tries, others do not: the run that meets this ends as if it had not."""

    def respond(ask):
        fails = server.unlucky in (None, ask.body["seed"]) and ask.again < 2
        if fails:
            server.unlucky = ask.body["seed"]
        return refuse(500, "oops") if fails else numbered(ask)

    server = serve(respond)
    server.unlucky = None
    work = job(tmp_path, {"a": server.url})
    result = run_search(**work, out=tmp_path / "out")
    assert (result.missing, result.unfinished) == ({}, {})
    run_search(**work, out=tmp_path / "healthy")
    for file in FILES:
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "healthy" / file).read_bytes(), file
