"""Batches against a server that follows the public description: nothing is lost or paid for twice, whoever dies when."""

import json
import os
import signal
import time
from math import inf
from random import Random

import pytest
from PIL import Image

from builders import build_scene, measured_balls
from children import begin
from inference.server.batches import BatchServer, Plan
from inference.server.server import ANSWER, completion, refuse
from spatialreasoner.core.errors import ConfigError, WorkError
from spatialreasoner.core.types import Question, RewardBreakdown, Scene
from spatialreasoner.evaluation.predictions import read_predictions
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy
from spatialreasoner.inference.budget import Budget
from spatialreasoner.inference.limits import Limits
from spatialreasoner.inference.prices import Price
from spatialreasoner.inference.submitting import BatchConfig
from spatialreasoner.pipeline.answering import run_generate
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.search.run import RunConfig, run_search

QUICK = {"quiet": 0.1, "first_look": 0.01, "slowest_look": 0.01, "listed_after": 0.0, "patience": 20.0}
FILES = ("predictions.jsonl", "predictions.summary.json")
TREES = ("trajectories.jsonl", "trees.jsonl", "summary.json")


@pytest.fixture
def serve():
    servers = []

    def start(*plans, respond=completion, **options):
        servers.append(BatchServer(respond, *plans, **options).start())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes") / "image.png"
    Image.new("RGB", (90, 70), "grey").save(path)
    return Scene(id="s", image=str(path), regions=())


def questions(count):
    return [
        Question(id=f"q{n}", scene_id="s", category="width_data", text=f"{n}: how wide is it?", region_ids=(), answer="2 m")
        for n in range(count)
    ]


def generate(server, scene, out, count=6, *, budget=None, price=None, tell=lambda line: None, **config):
    """Ask in batches; the rows, and what was said at the end where it failed."""
    policy = ApiPolicy(f"api:m@{server.url}", ApiConfig(timeout=20))
    limits = Limits(attempts=4, max_tokens=1000, price=price or Price())
    batching = BatchConfig(**{**QUICK, **config})
    try:
        run_generate(
            questions(count), {"s": scene}, policy, out / "predictions.jsonl",
            limits=limits, budget=budget, batching=batching, tell=tell,
        )  # fmt: skip
    except WorkError as error:
        return read_predictions(out / "predictions.jsonl"), str(error)
    return read_predictions(out / "predictions.jsonl"), None


def number(ask):
    """The number of the question that was asked."""
    return int(ask.body["messages"][-1]["content"][-1]["text"].split(":")[0])


def test_questions_are_answered_in_one_batch_and_asked_once(serve, scene, tmp_path):
    server, said = serve(Plan(capitals=True)), []
    rows, failed = generate(server, scene, tmp_path, tell=said.append)
    assert ([row.pred for row in rows], failed) == ([ANSWER] * 6, None)
    assert server.steps[:2] == ["upload", "create"]
    assert (len(server.made), len(server.made[0].rows), len(server.asks)) == (1, 5, 1)  # the first is tried at once
    assert any("submitted with 5 requests" in line for line in said)
    assert any("completed, 5 of 5 requests answered" in line for line in said)
    steps = len(server.steps)
    again, _ = generate(server, scene, tmp_path)
    assert (again, len(server.steps), len(server.asks)) == (rows, steps, 1)
    assert not list(tmp_path.glob(".*.batch"))


def test_batches_stay_within_the_limits_of_requests_and_bytes(serve, scene, tmp_path):
    server = serve()
    rows, _ = generate(server, scene, tmp_path / "few", 7, most_requests=3)
    assert [len(batch.rows) for batch in server.made] == [3, 3]
    assert all(row.pred for row in rows)
    line = max(len(data) for name, data in server.files.items() if not name.startswith("file-output")) // 3
    server.made.clear()
    generate(server, scene, tmp_path / "short", 7, most_bytes=2 * line + 10)
    assert [len(batch.rows) for batch in server.made] == [2, 2, 2]


def test_what_was_not_answered_has_a_reason_or_is_asked_again(serve, scene, tmp_path):
    """Filtered, and briefly broken: all in one batch; the answered ones are not asked again."""

    def respond(ask):
        if number(ask) in {1, 4}:
            return refuse(400, "The response was filtered by our content management policy.", code="content_filter")
        return refuse(500, "oops") if number(ask) == 2 and ask.again == 0 else completion(ask)

    server = serve(respond=respond)
    rows, failed = generate(server, scene, tmp_path, 12)
    assert failed is None
    assert [row.question_id for row in rows if row.unanswered] == ["q1", "q4"]
    assert all("content filter" in row.unanswered for row in rows if row.unanswered)
    assert [len(batch.rows) for batch in server.made] == [11, 1]
    assert set(server.executed.values()) == {1}
    steps = len(server.steps)
    generate(server, scene, tmp_path, 12)
    assert len(server.steps) == steps


def test_what_expired_is_asked_again(serve, scene, tmp_path):
    server = serve(Plan(end="expired", answered=lambda place: place % 2 == 0), Plan())
    rows, failed = generate(server, scene, tmp_path)
    assert (failed, [row.pred for row in rows]) == (None, [ANSWER] * 6)
    assert [len(batch.rows) for batch in server.made] == [5, 2]
    assert set(server.executed.values()) == {1}


def test_a_cancelled_batch_keeps_what_is_answered_and_the_same_command_asks_for_the_rest(serve, scene, tmp_path):
    server = serve(Plan(end="cancelled", steps=("in_progress", "cancelling"), answered=lambda place: place < 4), Plan())
    rows, failed = generate(server, scene, tmp_path)
    assert "was cancelled" in failed
    assert sum(bool(row.pred) for row in rows) == 5
    rows, failed = generate(server, scene, tmp_path)
    assert (failed, [row.pred for row in rows]) == (None, [ANSWER] * 6)
    assert [len(batch.rows) for batch in server.made] == [5, 1]


def test_a_failed_batch_says_why_and_its_requests_were_not_sent(serve, scene, tmp_path):
    errors = ({"code": "model_not_found", "message": "The provided model 'm' is not supported by the Batch API.", "line": 1},)
    server = serve(Plan(end="failed", steps=("validating",), errors=errors), Plan())
    _, failed = generate(server, scene, tmp_path, budget=Budget(max_calls=6))
    assert "not supported by the Batch API. (line 1)" in failed
    rows, failed = generate(server, scene, tmp_path, budget=Budget(max_calls=6))
    assert (failed, [row.pred for row in rows]) == (None, [ANSWER] * 6)


def test_what_an_account_may_queue_is_filled_by_and_by(serve, scene, tmp_path):
    """Batches of two at most, one at a time, as "enqueued token limits" have it."""
    full = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached for m. Limit: 90,000 enqueued tokens."}
    server = serve(Plan(refusal=lambda requests, batches: full if requests > 2 or batches else None))
    rows, failed = generate(server, scene, tmp_path, 9, most_requests=4)
    assert (failed, [row.pred for row in rows]) == (None, [ANSWER] * 9)
    assert all(len(batch.rows) <= 2 for batch in server.made if batch.plan.end == "completed")
    assert set(server.executed.values()) == {1}


def test_a_batch_without_an_output_file_is_read_from_its_error_file(serve, scene, tmp_path):
    flagged = refuse(400, "Your image was flagged by the safety system", code="moderation_blocked")
    server = serve(respond=lambda ask: flagged if number(ask) else completion(ask))
    rows, failed = generate(server, scene, tmp_path)
    assert failed is None
    assert [row.unanswered is None for row in rows] == [True, *[False] * 5]
    assert all("content filter" in row.unanswered for row in rows[1:])
    assert (len(server.made), server.made[0].output) == (1, None)


def test_budgets_hold_and_a_batch_costs_half(serve, scene, tmp_path):
    server = serve()
    rows, failed = generate(server, scene, tmp_path, budget=Budget(max_calls=4))
    assert "max_calls" in failed
    assert (sum(bool(row.pred) for row in rows), len(server.made[0].rows)) == (4, 3)
    rows, failed = generate(server, scene, tmp_path, budget=Budget(max_calls=6))
    assert (failed, sum(server.executed.values()), len(server.asks)) == (None, 5, 1)
    half = Price(prompt=2.0, completion=10.0).in_batches()
    generate(server, scene, tmp_path / "paid", price=half)
    summary = json.loads((tmp_path / "paid/predictions.summary.json").read_text())
    assert summary["cost"] == pytest.approx(6 * (11 * 1.0 + 7 * 5.0) / 1e6)


def test_an_endpoint_without_a_batch_api_is_told_from_one_that_is_away(serve, scene, tmp_path):
    server = serve()
    server.url = server.url.replace("/v1", "/elsewhere")
    server.RequestHandlerClass = type("Plain", (server.RequestHandlerClass,), {"do_POST": no_such_path})
    _, failed = generate(server, scene, tmp_path)
    assert "it has no batch API; leave out `batch`" in failed


def no_such_path(handler):
    handler.rfile.read(int(handler.headers["Content-Length"]))
    handler.answer(refuse(404, "Not Found"), stream=False)


def test_batches_of_a_model_in_this_process_are_refused(scene, tmp_path):
    class Local:
        name = "local"

    with pytest.raises(ConfigError, match="needs a model behind an endpoint"):
        run_generate(questions(1), {"s": scene}, Local(), tmp_path / "p.jsonl", batching=BatchConfig())


@pytest.mark.parametrize("moment", ["before", "within", "after"])
@pytest.mark.parametrize("step", ["upload", "create", "look", "read"])
def test_a_process_killed_at_any_step_is_continued(step, moment, serve, scene, tmp_path):
    """The same bytes as undisturbed, and no request answered twice."""
    child = killer = None

    def at(name):
        if name == f"{moment} {step}" and killer is not None and killer not in server.killed:
            server.killed.append(killer)
            os.kill(child, signal.SIGKILL)

    server = serve(at=at)
    server.killed = []
    generate(server, scene, tmp_path / "whole")
    server.executed.clear()
    killer = f"{moment} {step}"
    child = start(lambda: generate(server, scene, tmp_path / "broken"))
    assert os.waitpid(child, 0)[1] == signal.SIGKILL or moment == "after"
    generate(server, scene, tmp_path / "broken")
    assert set(server.executed.values()) == {1}
    assert (sum(server.executed.values()), len(server.asks)) == (5, 2)
    assert [(tmp_path / "broken" / name).read_bytes() for name in FILES] == [
        (tmp_path / "whole" / name).read_bytes() for name in FILES
    ]


def killed_while_it_submits(serve, plan, scene, out):
    """The server of a process that was killed when its batch was made, and before it knew."""

    def at(name):
        if name == "within create" and len(server.made) == 1:
            os.kill(child, signal.SIGKILL)

    server = serve(plan, at=at)
    child = start(lambda: generate(server, scene, out))
    os.waitpid(child, 0)
    return server


def test_a_lost_batch_is_found_by_its_file_where_the_server_forgets_metadata(serve, scene, tmp_path):
    server = killed_while_it_submits(serve, Plan(keeps_metadata=False), scene, tmp_path)
    rows, failed = generate(server, scene, tmp_path)
    assert (failed, len(server.made), [row.pred for row in rows]) == (None, 1, [ANSWER] * 6)


def test_a_batch_that_cannot_be_looked_for_is_not_submitted_again(serve, scene, tmp_path):
    server = killed_while_it_submits(serve, Plan(lists=False), scene, tmp_path)
    _, failed = generate(server, scene, tmp_path)
    assert "it does not list its batches" in failed
    assert len(server.made) == 1


def start(work):
    """Begin work in a process whose number is known to whoever kills it before it asks anything."""
    return begin(lambda: (time.sleep(0.1), work()))


class ByLength:
    async def rate(self, question, prefix, step):
        return {"spatial": 0.5 if len(step) % 3 else -0.5}

    async def score(self, question, text):
        return RewardBreakdown(visual=1.0, spatial_description=1.0, spatial_reasoning=1.0, logical=1.0)

    def succeeds(self, question, text):
        return len(text) % 7 == 0


def searched(server, scene, out, batch):
    policies = [ApiPolicy(f"api:{name}@{server.url}", ApiConfig(timeout=20, prefill=True)) for name in "ab"]
    config = RunConfig(samples_per_policy=1, candidates=3, batch=batch)
    return run_search(
        questions=ask_about(measured_balls(), Random(1), 3), scenes={scene.id: scene}, policies=policies, reward=ByLength(),
        config=config, out=out, inputs={},
    )  # fmt: skip


def varied(ask):
    """An answer of a length that depends on nothing but what was asked."""
    rng = Random(json.dumps([ask.body["model"], ask.body["messages"][-1], ask.body["seed"]]))
    return completion(ask, f"{ask.rest()} {'so ' * rng.randrange(9)}")


def test_each_round_of_all_trees_is_one_batch_per_model(serve, tmp_path):
    server, scene = serve(respond=varied), build_scene(tmp_path / "scenes")
    searched(server, scene, tmp_path / "at once", False)
    assert server.asks
    assert not server.made
    once = len(server.asks)
    result = searched(server, scene, tmp_path / "batched", BatchConfig(**QUICK))
    for name in TREES:
        assert (tmp_path / "batched" / name).read_bytes() == (tmp_path / "at once" / name).read_bytes(), name
    rounds = max(json.loads(line)["rounds"] for line in (tmp_path / "batched/trees.jsonl").read_text().splitlines())
    # three trees, each with its first round and a sample, but for one request that was tried at once and what followed from it
    assert all(len(batch.rows) in {5, 6} for batch in server.made[:2])
    assert rounds >= 2
    assert len(server.made) <= 2 * (rounds + 2)
    tried = len(server.asks) - once
    assert once == tried + sum(len(batch.rows) for batch in server.made)
    assert 2 <= tried <= 4  # of each model, one request without a prefix, and one with
    assert result.stopped is None


def test_a_search_killed_at_its_batches_ends_as_one_that_was_not(serve, tmp_path):
    """Before one of its batches is submitted, before the id of another can be noted, and while a third is read."""
    kills = {"before create": 1, "within create": 3, "within read": 5}
    child = None

    def at(step):
        if child and len(server.made) >= kills.get(step, inf):
            del kills[step]
            os.kill(child, signal.SIGKILL)

    server, scene = serve(respond=varied, at=at), build_scene(tmp_path / "scenes")
    batch = BatchConfig(**QUICK)
    searched(server, scene, tmp_path / "whole", batch)
    server.made.clear()
    server.executed.clear()
    for _ in range(4):
        child = start(lambda: searched(server, scene, tmp_path / "broken", batch))
        os.waitpid(child, 0)
    assert not kills
    assert set(server.executed.values()) == {1}
    for name in TREES:
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
