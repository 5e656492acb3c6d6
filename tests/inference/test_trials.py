"""Before thousands of requests go into a batch, one of each form is tried: what it teaches holds for the batch."""

import json
import os
import signal

import pytest

from inference.server.batches import Plan
from inference.server.server import ANSWER, completion, refuse
from inference.test_batches import generate, number, scene, serve, start  # noqa: F401 - fixtures among them
from spatialreasoner.inference.budget import Budget
from spatialreasoner.inference.prices import Price

FRUGAL = ("max_tokens", "temperature", "seed")
"""What the endpoint refuses, one after the other."""


def frugal(ask):
    named = next((name for name in FRUGAL if name in ask.body), None)
    if named is None:
        return completion(ask)
    return refuse(400, f"Unsupported parameter: '{named}' is not supported with this model.", param=named)


@pytest.fixture
def server(serve):  # noqa: F811
    """Its chat completions answer as `live` says; None is as batches do."""
    made = serve()
    made.live = None
    made.sent_at_once = []
    handler = made.RequestHandlerClass

    class Handler(handler):
        def do_POST(self):
            if self.path.endswith("/chat/completions"):
                made.sent_at_once.append(self.path)
                if made.live is not None:
                    self.rfile.read(int(self.headers["Content-Length"]))
                    self.answer(made.live(), stream=False)
                    return
            super().do_POST()

    made.RequestHandlerClass = Handler
    return made


def test_no_line_of_a_batch_holds_what_the_endpoint_refuses(server, scene, tmp_path):  # noqa: F811
    server.respond = frugal
    rows, failed = generate(server, scene, tmp_path, 40)
    assert (failed, [row.pred for row in rows]) == (None, [ANSWER] * 40)
    assert [len(batch.rows) for batch in server.made] == [39]
    assert not any(name in row["body"] for row in server.made[0].rows for name in FRUGAL)
    assert len(server.asks) == 4  # refused three times, then answered


def test_a_second_process_tries_nothing_again(server, scene, tmp_path):  # noqa: F811
    server.respond = frugal
    generate(server, scene, tmp_path, 6)
    tried = len(server.sent_at_once)
    rows, failed = generate(server, scene, tmp_path, 30)
    assert (failed, [row.pred for row in rows]) == (None, [ANSWER] * 30)
    assert len(server.sent_at_once) == tried
    assert [len(batch.rows) for batch in server.made] == [5, 24]


@pytest.mark.parametrize(
    "reply",
    [refuse(404, "The deployment does not exist", code="DeploymentNotFound"), refuse(401, "not at once"), refuse(503, "oops")],
    ids=["no deployment", "no key", "busy"],
)
def test_where_nothing_is_answered_at_once_a_batch_of_one_is_tried(server, scene, tmp_path, reply):  # noqa: F811
    server.live = lambda: reply
    rows, failed = generate(server, scene, tmp_path, 12)
    assert (failed, [row.pred for row in rows]) == (None, [ANSWER] * 12)
    assert [len(batch.rows) for batch in server.made] == [1, 11]
    assert len(server.sent_at_once) <= 4


def test_prompts_that_are_refused_hold_up_few(server, scene, tmp_path):  # noqa: F811
    """The first ten are filtered: three are tried, then the others are put into a batch as they are."""
    filtered = refuse(400, "filtered by our content management policy", code="content_filter")
    server.respond = lambda ask: filtered if number(ask) < 10 else completion(ask)
    rows, failed = generate(server, scene, tmp_path, 14)
    assert (failed, sum(row.unanswered is None for row in rows)) == (None, 4)
    assert len(server.sent_at_once) == 3
    assert [len(batch.rows) for batch in server.made] == [11]


@pytest.mark.parametrize("most", [1, 2, 5])
def test_calls_hold_to_the_call_over_a_kill(server, scene, tmp_path, most):  # noqa: F811
    """Killed when its first batch was made, and continued: what was sent, at once or in batches, is within the limit."""

    def at(name):
        if name == "within create" and len(server.made) == 1:
            os.kill(child, signal.SIGKILL)

    server.at = at
    child = start(lambda: generate(server, scene, tmp_path, 8, budget=Budget(max_calls=most)))
    os.waitpid(child, 0)
    for _ in range(2):
        rows, failed = generate(server, scene, tmp_path, 8, budget=Budget(max_calls=most))
        assert "max_calls" in failed
        assert sum(bool(row.pred) for row in rows) == most
    assert len(server.sent_at_once) + sum(len(batch.rows) for batch in server.made) == most


def test_what_is_set_aside_for_a_batch_is_waited_for(server, scene, tmp_path):  # noqa: F811
    """Each request may take 1,000 tokens and takes 18: three are set aside at a time, and all eight are answered."""
    budget = Budget(max_tokens=3100)
    rows, failed = generate(server, scene, tmp_path, 8, budget=budget)
    assert (failed, [row.pred for row in rows]) == (None, [ANSWER] * 8)
    assert (budget.calls, budget.tokens) == (8, 8 * 18)
    assert all(len(batch.rows) <= 3 for batch in server.made)


def test_what_is_tried_at_once_costs_twice_as_much(server, scene, tmp_path):  # noqa: F811
    price, each = Price(prompt=2.0, completion=10.0), (11 * 2.0 + 7 * 10.0) / 1e6
    budget = Budget(max_cost=1.0)
    generate(server, scene, tmp_path, 6, budget=budget, price=price.in_batches())
    assert budget.cost == pytest.approx(each + 5 * each / 2)
    again = Budget(max_cost=1.0)
    generate(server, scene, tmp_path, 6, budget=again, price=price.in_batches())
    assert again.cost == pytest.approx(budget.cost)


def test_a_batch_that_expired_without_any_file_is_asked_again(server, scene, tmp_path):  # noqa: F811
    server.plans = [Plan(end="expired", answered=lambda place: False), Plan()]
    rows, failed = generate(server, scene, tmp_path)
    assert (failed, [row.pred for row in rows]) == (None, [ANSWER] * 6)
    assert [len(batch.rows) for batch in server.made] == [5, 5]


def test_what_else_a_file_of_results_holds_costs_no_answer(server, scene, tmp_path):  # noqa: F811
    """Errors of requests that are answered too, lines twice, of strangers, cut off, and no JSON at all."""

    def at(name):
        batch = server.made[-1] if server.made else None
        if name != "before read" or batch.output is None or batch.error:
            return
        rows = server.files[batch.output].splitlines(keepends=True)
        keys = [row["custom_id"] for row in batch.rows]
        odd = [{"custom_id": key, "response": None, "error": {"code": "server_error", "message": "oops"}} for key in keys[:2]]
        odd += [
            {"custom_id": keys[2], "response": {"status_code": 200, "body": None}, "error": None},
            {"custom_id": 7},
            [],
            None,
        ]
        odd += [{"custom_id": "a stranger's", "response": {"status_code": 200, "body": {"choices": []}}}]
        before = "".join(json.dumps(each) + "\n" for each in odd).encode() + b'{"custom_id": "cut\nno JSON\n\n'
        server.files[batch.output] = before + b"".join(rows) + b"".join(rows)

    server.at = at
    budget = Budget(max_calls=6)
    rows, failed = generate(server, scene, tmp_path, budget=budget)
    assert (failed, [row.pred for row in rows]) == (None, [ANSWER] * 6)
    assert (len(server.made), budget.calls, set(server.executed.values())) == (1, 6, {1})
