"""Budgets over crashes, and models that were away."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from strange.case import SMALL_SEARCH, Bench, Case, Ended, need
from strange.replies import answers
from strange.server import Handler, Request, Server, completion, healthy, respond

FILES = ("trees.jsonl", "trajectories.jsonl", "summary.json")
KEPT = "never more requests than that, over all processes together"
BACK = "told with its count; the same command, with it back, ends with a healthy run's bytes"


def cases() -> Iterator[Case]:
    """Limits that must hold over crashes, and runs that must end as if a model had never been away."""
    for name, handler in (
        ("a slow server", _slowly),
        ("a server of errors", _fails),
        ("one that answers and hangs up", _hangs),
    ):
        for command in ("generate", "search"):
            yield Case(
                kind="budgets",
                done=f"{command} --max-calls 7 at {name}, killed 4 times, then begun 3 times",
                expected=KEPT,
                run=partial(_killed, command, handler),
            )
    yield Case(
        kind="budgets", done="--max-calls 2, then the same without it", expected="2 sent, then 2 more; whole", run=_raised
    )
    yield Case(
        kind="budgets", done="--max-tokens 3000 where no reply tells its usage", expected="it ends, told", run=_unmetered
    )
    yield Case(
        kind="budgets", done="--max-cost 5 where no price is known", expected="exit 2 before anything is sent", run=_unpriced
    )
    yield Case(
        kind="budgets", done="reward --judge --max-calls 2, killed, begun 3 times", expected="at most 2 requests", run=_judged
    )
    for name, away in AWAY:
        yield Case(kind="models away", done=f"search: {name}", expected=BACK, run=partial(_search_away, away))
    yield Case(kind="models away", done="search: the server stops after its third reply", expected=BACK, run=_half_away)
    yield Case(kind="models away", done="search: both policies", expected="exit 1; " + BACK, run=_both_away)
    yield Case(kind="models away", done="generate: a server of 500s", expected="exit 1; " + BACK, run=_generate_away)
    yield Case(kind="models away", done="ask: nobody listens", expected="exit 1, the cause in words", run=_ask_away)


def _slowly(connection: socket.socket, request: Request) -> None:
    time.sleep(0.3)
    healthy(connection, request)


def _fails(connection: socket.socket, request: Request) -> None:
    respond(connection, {"error": {"message": "asleep"}}, status="500 Internal Server Error")


def _hangs(connection: socket.socket, request: Request) -> None:
    respond(connection, completion(request))
    connection.close()


def _command(command: str, bench: Bench, *models: str) -> list[object]:
    if command == "generate":
        return ["generate", bench.questions, "--model", models[0], "--timeout", "6", "--out", bench.folder / "out.jsonl"]
    policies = [part for model in models for part in ("--policy", model)]
    limits = "--timeout", "6", "--rounds", "3"
    return ["search", bench.questions, *policies, *limits, *SMALL_SEARCH, "--out", bench.folder / "out"]


def _killed(command: str, handler: Handler, bench: Bench) -> str:
    rng = random.Random(command)
    with Server(handler=handler) as server:
        arguments = [*_command(command, bench, server.model), "--max-calls", 7]
        for _ in range(4):
            seen, delay = len(server.asked), rng.uniform(0.0, 0.5)
            _kill(bench, arguments, server, seen, delay)
        ends = [bench.spatial(*arguments).expect(0, 1) for _ in range(3)]
    need(len(server.asked) <= 7, f"{len(server.asked)} requests")
    return f"{len(server.asked)} requests, then {[end.code for end in ends]}"


def _kill(bench: Bench, arguments: list[object], server: Server, seen: int, delay: float) -> None:
    """Begin, and kill some time after its first request."""
    first: list[float] = []

    def due() -> bool:
        if len(server.asked) > seen and not first:
            first.append(time.monotonic())
        return bool(first) and time.monotonic() > first[0] + delay

    bench.spatial(*arguments, until=due)


def _raised(bench: Bench) -> str:
    with Server(handler=healthy) as server:
        command = _command("generate", bench, server.model)
        bench.spatial(*command, "--max-calls", 2).expect(1, says="max-calls|budget|limit")
        need(len(server.asked) == 2, f"{len(server.asked)} requests for 2")
        bench.spatial(*command).expect(0)
        need(len(server.asked) == 4, f"{len(server.asked)} requests in all")
    need(answers(bench.folder / "out.jsonl") == answers(bench.inputs / "healthy.jsonl"), "other answers")
    return "2, then 2"


def _unmetered(bench: Bench) -> str:
    with Server(handler=lambda c, r: respond(c, completion(r, usage=None))) as server:
        end = bench.spatial(*_command("generate", bench, server.model), "--max-tokens", 3000).expect(1, says="token")
    need(len(server.asked) <= 3, f"{len(server.asked)} requests of 768 tokens and more for 3000")
    return f"{len(server.asked)} requests: {end.error[:90]}"


def _unpriced(bench: Bench) -> str:
    with Server(handler=healthy) as server:
        end = bench.spatial(*_command("generate", bench, server.model), "--max-cost", 5).expect(2, says="price")
    need(not server.asked, f"{len(server.asked)} requests")
    return end.error[:110]


def _judged(bench: Bench) -> str:
    responses = bench.folder / "responses.jsonl"
    ids = [json.loads(line)["id"] for line in bench.questions.read_text().splitlines()]
    responses.write_text("".join(json.dumps({"question_id": name, "text": "It is nice."}) + "\n" for name in ids))
    with Server(handler=_slowly) as server:
        command = [
            "reward",
            bench.questions,
            responses,
            "--judge",
            server.model,
            "--judge-all",
            "--yes",
            "--max-calls",
            2,
            "--out",
            bench.folder / "rewards.jsonl",
        ]
        _kill(bench, command, server, 0, 0.1)
        codes = [bench.spatial(*command).expect(0, 1).code for _ in range(3)]
    need(len(server.asked) <= 2, f"{len(server.asked)} requests")
    return f"{len(server.asked)} requests, then {codes}"


AWAY: tuple[tuple[str, Handler | None], ...] = (
    ("one of two at a port where nobody listens", None),
    ("one of two whose key is refused", lambda c, r: respond(c, {"error": {"message": "bad key"}}, status="401 Unauthorized")),
    ("one of two that has no such model", lambda c, r: respond(c, {"error": {"message": "no model"}}, status="404 Not Found")),
    (
        "one of two with no credit",
        lambda c, r: respond(c, {"error": {"message": "quota", "code": "insufficient_quota"}}, status="429 Too Many Requests"),
    ),
    ("one of two that hangs up", lambda c, r: c.close()),
    ("one of two that writes pages of HTML", lambda c, r: respond(c, "<html>hello</html>")),
)


def _search_away(away: Handler | None, bench: Bench) -> str:
    with Server(handler=healthy) as server, Server(handler=healthy) as other:
        whole = _whole(bench, server, other)
    with Server(handler=healthy, port=server.port) as server:
        if away is None:
            first = bench.spatial(*_command("search", bench, server.model, other.model)).expect(0, 1, says=str(other.port))
        else:
            with Server(handler=away, port=other.port) as other:
                first = bench.spatial(*_command("search", bench, server.model, other.model)).expect(0, 1, says=str(other.port))
        return _compare(bench, whole, server, other, first)


def _whole(bench: Bench, server: Server, other: Server) -> dict[str, bytes]:
    """A run of the same command that nothing disturbs; its files."""
    bench.spatial(*_command("search", bench, server.model, other.model)).expect(0)
    found = files(bench.folder / "out")
    (bench.folder / "out").rename(bench.folder / "whole")
    return found


def files(folder: Path) -> dict[str, bytes]:
    """What must be the same, byte for byte."""
    return {name: (folder / name).read_bytes() for name in FILES}


def _compare(bench: Bench, whole: dict[str, bytes], server: Server, other: Server, first: Ended) -> str:
    with Server(handler=healthy, port=other.port) as other:
        bench.spatial(*_command("search", bench, server.model, other.model)).expect(0)
    differ = [name for name, data in files(bench.folder / "out").items() if data != whole[name]]
    need(not differ, f"{differ} differ from a healthy run's")
    return f"exit {first.code}: {(first.error or first.err.strip().splitlines()[-1])[:100]}; then the same bytes"


def _half_away(bench: Bench) -> str:
    with Server(handler=healthy) as server, Server(handler=healthy) as other:
        whole = _whole(bench, server, other)
    lock, left = threading.Lock(), [3]

    def three(connection: socket.socket, request: Request) -> None:
        with lock:
            left[0] -= 1
        (healthy if left[0] >= 0 else _fails)(connection, request)

    with Server(handler=healthy, port=server.port) as server:
        with Server(handler=three, port=other.port) as other:
            first = bench.spatial(*_command("search", bench, server.model, other.model)).expect(0, 1, says=str(other.port))
        return _compare(bench, whole, server, other, first)


def _both_away(bench: Bench) -> str:
    with Server(handler=healthy) as server, Server(handler=healthy) as other:
        whole = _whole(bench, server, other)
    first = bench.spatial(*_command("search", bench, server.model, other.model)).expect(1)
    with Server(handler=healthy, port=server.port) as server:
        return _compare(bench, whole, server, other, first)


def _generate_away(bench: Bench) -> str:
    with Server(handler=_fails) as server:
        first = bench.spatial(*_command("generate", bench, server.model)).expect(1, says="4 of 4|500")
    with Server(handler=healthy, port=server.port) as server:
        bench.spatial(*_command("generate", bench, server.model)).expect(0)
    need(answers(bench.folder / "out.jsonl") == answers(bench.inputs / "healthy.jsonl"), "other answers")
    return first.error[:110]


def _ask_away(bench: Bench) -> str:
    end = bench.spatial(
        "ask", bench.image, "How wide is <region1>?", "--region", "9,9,40,40", "--model", "api:m@http://127.0.0.1:9/v1"
    ).expect(1, says="refused|listen|running")
    return end.error[:110]
