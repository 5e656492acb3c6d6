"""A third look at the wire: answers that are streamed to `ask`, judges, lists of models, keys, and faults beside kills."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from strange.budgets import files
from strange.case import Bench, Case, need
from strange.replies import BODIES, answers, generate, rows, zeros
from strange.server import Handler, Request, Server, begin, chunk, completion, healthy, respond
from strange.wires import certificate

SAID = "The answer is 1.5 m."
STREAMED = "the answer is shown, or the cause in one sentence; within 30 s"
JUDGED = "scored, or unscored with the reason; the same command ends"


def cases() -> Iterator[Case]:
    """Streams, judges, lists, keys, and campaigns."""
    for name, handler in STREAMS.items():
        yield Case(kind="streams", done=f"ask: {name}", expected=STREAMED, run=partial(_streamed, handler))
    for name, handler in BODIES:
        yield Case(kind="streams", done=f"ask: {name}", expected=STREAMED, run=partial(_streamed, handler))
    for name, make in GRADES.items():
        for command in ("reward", "score"):
            yield Case(kind="judges", done=f"{command} --judge: {name}", expected=JUDGED, run=partial(_judged, command, make))
    for name, handler in LISTS.items():
        yield Case(kind="lists of models", done=f"generate: {name}", expected="4 of 4 answers", run=partial(_listed, handler))
    for name, handler in ECHOES.items():
        yield Case(kind="keys", done=f"generate: {name}", expected="the key is nowhere", run=partial(_key, handler))
    yield Case(
        kind="redirects", done="a 307 from TLS to plain HTTP of the same host", expected="told; nothing is sent in the clear",
        run=_downgraded,
    )  # fmt: skip
    yield Case(kind="hostile replies", done="two usages of 2^62", expected="4 of 4 answers, twice", run=_two_usages)
    for share, models in ((0.3, 3), (0.6, 2)):
        yield Case(
            kind="campaigns", done=f"search: {share:.0%} faults at {models} models, 10 kills, --max-calls 400",
            expected="the bytes of an undisturbed run; at most 400 requests", run=partial(_campaign, share, models),
        )  # fmt: skip


def _delta(text: str | None, **choice: Any) -> bytes:
    return f"data: {json.dumps({'id': 'c', 'choices': [{'index': 0, 'delta': {'content': text}, **choice}]})}\n\n".encode()


DONE = b"data: [DONE]\n\n"


def _events(*events: bytes, head: str = "Content-Type: text/event-stream") -> Handler:
    """Send events, one chunk each."""

    def handle(connection: socket.socket, request: Request) -> None:
        if not request.streamed:
            return healthy(connection, request)
        connection.sendall(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{head}\r\n\r\n".encode())
        for event in events:
            chunk(connection, event)
        connection.sendall(b"0\r\n\r\n")
        return None

    return handle


def _pings(connection: socket.socket, request: Request) -> None:
    begin(connection)
    for _ in range(600):
        chunk(connection, b": ping\n\n")
        time.sleep(0.3)


def _bomb(connection: socket.socket, request: Request) -> None:
    respond(connection, zeros("gzip"), type="text/event-stream", Content_Encoding="gzip")


def _unstreamed(connection: socket.socket, request: Request) -> None:
    respond(connection, completion(request, SAID))


def _elsewhere(connection: socket.socket, request: Request) -> None:
    respond(connection, b"", status="307 Temporary Redirect", Location="http://localhost.localdomain:9/v1/chat/completions")


STREAMS: Mapping[str, Handler] = {
    "one letter in two halves of UTF-16": _events(_delta("\ud83d"), _delta("\ude00 " + SAID), DONE),
    "half a letter, and the end": _events(_delta(SAID + "\ud83d"), DONE),
    "a letter cut in its bytes": _events(*[_delta(SAID + "é")[n : n + 1] for n in range(len(_delta(SAID + "é")))], DONE),
    "300,000 empty events": _events(*[_delta("") * 3000] * 100, _delta(SAID), DONE),
    "an event of 30 MB": _events(_delta("so " * 10**7), DONE),
    "an error within": _events(_delta(SAID), b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'),
    "no end is told": _events(_delta(SAID)),
    "nothing is said": _events(DONE),
    "a choice of number 1": _events(_delta("no", index=1), _delta(SAID), DONE),
    "no choices": _events(b'data: {"choices": []}\n\n', _delta(SAID), DONE),
    "choices of null": _events(b'data: {"choices": null}\n\n', _delta(SAID), DONE),
    "line ends of Windows": _events(_delta(SAID).replace(b"\n", b"\r\n"), DONE.replace(b"\n", b"\r\n")),
    "line ends of old Macs": _events(_delta(SAID).replace(b"\n", b"\r"), DONE.replace(b"\n", b"\r")),
    "half an event": _events(_delta(SAID), _delta("more")[:20]),
    "brackets": _events(b"data: " + b"[" * 100_000 + b"\n\n", _delta(SAID), DONE),
    "a comment a third of a second, nothing else": _pings,
    "gzip that unpacks to 2.5 GB as a stream": _bomb,
    "one reply, not streamed": _unstreamed,
    "after the end, more": _events(_delta(SAID), DONE, _delta("MORE"), DONE),
    "a finish for want of length": _events(_delta(SAID, finish_reason="length"), DONE),
    "content that is a list": _events(b'data: {"choices": [{"index": 0, "delta": {"content": [1]}}]}\n\n', _delta(SAID), DONE),
    "commands for terminals": _events(_delta("\x1b[2J\x1b]0;owned\x07" + SAID), DONE),
    "a 307 to another host": _elsewhere,
}


def _streamed(handler: Handler, bench: Bench) -> str:
    with Server(handler=handler) as server:
        model = f"{server.model}?timeout=8"
        command = ("ask", bench.image, "How wide is <region1>?", "--region", "9,9,40,40", "--model", model)
        end = bench.spatial(*command).expect(0, 1, within=40)
        need("\x1b[2J" not in end.out + end.err and "\ud83d" not in end.out, "something else than text is printed")
        need("MORE" not in end.out, "what came after the end is shown")
        need(end.code == 1 or SAID[:10] in end.out, f"no answer: {end.out[-100:]!r}")
    return f"exit {end.code}, {end.megabytes:.0f} MB: {end.error[:110]}"


GRADES: Mapping[str, Callable[[Request], Any]] = {
    "half a letter": lambda request: json.dumps(completion(request, "Score: 3 @")).replace("@", "\\ud83d"),
    "a grade of 10^400": lambda request: completion(request, '{"score": 1' + "0" * 400 + "}"),
    "a grade of NaN": lambda request: completion(request, '{"score": NaN, "correct": NaN}'),
    "a grade of -5": lambda request: completion(request, '{"score": -5}'),
    "brackets": lambda request: completion(request, "[" * 40_000),
    "100,000 grades": lambda request: completion(request, '{"score": 3} ' * 8_000),
    "nothing": lambda request: completion(request, ""),
    "a sentence": lambda request: completion(request, "I would rather not say."),
    "7 MB": lambda request: completion(request, "well, " * 1_200_000),
    "usage of 2^70": lambda request: completion(request, "3", usage={"prompt_tokens": 2**70, "completion_tokens": 1}),
    "20,000 choices": lambda request: completion(request, choices=completion(request, "3")["choices"] * 20_000),
}


def _judged(command: str, make: Callable[[Request], Any], bench: Bench) -> str:
    with Server(handler=lambda c, r: respond(c, make(r))) as server:
        out = bench.folder / "out.json"
        given: list[object] = [bench.questions, bench.inputs / "responses.jsonl", "--judge-all", "--yes"]
        given = given if command == "reward" else [bench.inputs / "healthy.jsonl"]
        ended = [bench.spatial(command, *given, "--judge", server.model, "--out", out).expect(0, 1) for _ in range(2)]
    return f"exit {ended[0].code}, {ended[1].code}: {ended[0].error[:110]}"


def _endless(connection: socket.socket, request: Request) -> None:
    begin(connection)
    for _ in range(5_000):
        chunk(connection, b" " * 2**20)


def _get(act: Handler) -> Handler:
    """Do so where a list of models is asked for; answer questions well."""

    def handle(connection: socket.socket, request: Request) -> None:
        with suppress(OSError):
            (act if request.line.startswith("GET") else healthy)(connection, request)

    return handle


LISTS: Mapping[str, Handler] = {
    "a list that unpacks to 2.5 GB": _get(_bomb),
    "a list without end": _get(_endless),
    "a list of a million models": _get(lambda c, r: respond(c, {"data": [{"id": "m"}] * 1_000_000})),
    "a list of 100,000 brackets": _get(lambda c, r: respond(c, "[" * 100_000)),
    "a list that is null": _get(lambda c, r: respond(c, "null")),
    "a list sent on to another host": _get(
        lambda c, r: respond(c, b"", status="307 Temporary Redirect", Location="http://localhost.localdomain:9/v1/models")
    ),
    "no answer for the list": _get(lambda c, r: time.sleep(30)),
}


def _listed(handler: Handler, bench: Bench) -> str:
    with Server(handler=handler) as server:
        end = generate(bench, server, 20).expect(0, within=120)
    need(rows(bench) == answers(bench.inputs / "healthy.jsonl"), "other answers than a decent server's")
    return f"{end.seconds:.1f} s"


KEY = "sk-planted-0123456789abcdef"


def _echo(status: str) -> Handler:
    return lambda c, r: respond(
        c, {"error": {"message": f"bad: {r.headers.get('authorization')}", "at": dict(r.headers)}}, status=status
    )


ECHOES: Mapping[str, Handler] = {
    "a 401 that repeats the key": _echo("401 Unauthorized"),
    "a 400 that repeats the key": _echo("400 Bad Request"),
    "a 500 that repeats the key": _echo("500 Internal Server Error"),
    "an answer that repeats the key": lambda c, r: respond(c, completion(r, f"Key {r.headers.get('authorization')}.")),
    "a model's name that repeats the key": lambda c, r: respond(c, completion(r, model=r.headers.get("authorization"))),
    "a header that repeats the key": lambda c, r: respond(c, completion(r), X_Request_Id=r.headers.get("authorization", "")),
}


def _key(handler: Handler, bench: Bench) -> str:
    with Server(handler=handler) as server:
        command = ("generate", bench.questions, "--model", server.model, "--timeout", 6, "--out", bench.folder / "out.jsonl")
        end = bench.spatial(*command, env={"OPENAI_API_KEY": KEY}).expect(0, 1)
    need(KEY not in end.out + end.err, "the key is printed")
    holding = [path.name for path in bench.folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    need(not holding, f"the key is in {holding}")
    return f"exit {end.code}: {end.error[:110]}"


def _downgraded(bench: Bench) -> str:
    with Server(handler=healthy) as plain:
        location = f"http://localhost:{plain.port}/v1/chat/completions"

        def send_on(connection: socket.socket, request: Request) -> None:
            respond(connection, b"", status="307 Temporary Redirect", Location=location)

        with Server(handler=send_on, tls=certificate(bench, "localhost")) as server:
            model = f"api:m@https://localhost:{server.port}/v1"
            command = ("generate", bench.questions, "--model", model, "--timeout", 6, "--out", bench.folder / "out.jsonl")
            end = bench.spatial(*command, env={"SSL_CERT_FILE": str(bench.folder / "cert.pem")}).expect(1)
            need(bool(server.asked), f"the server was not asked: {end.error}")
        need(not plain.asked, "the question was sent in the clear")
    return end.error[:160]


def _two_usages(bench: Bench) -> str:
    usage = {"prompt_tokens": 2**62, "completion_tokens": 2**62, "total_tokens": 2**63}
    for _ in range(2):
        with Server(handler=lambda c, r: respond(c, completion(r, usage=usage)), port=9_753) as server:
            generate(bench, server, 20).expect(0)
    need(rows(bench) == answers(bench.inputs / "healthy.jsonl"), "other answers than a decent server's")
    return "4 of 4 answers, twice"


def _faults() -> list[Handler]:
    def error(status: str, **headers: str) -> Handler:
        return lambda c, r: respond(c, {"error": {"message": status}}, status=status, **headers)

    def late(connection: socket.socket, request: Request) -> None:
        time.sleep(1.5)
        healthy(connection, request)

    def cut(connection: socket.socket, request: Request) -> None:
        body = json.dumps(completion(request)).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:50])
        connection.close()

    return [
        *(error(f"{code} Error") for code in (500, 502, 503, 504, 520, 522, 524, 529, 408, 409, 425)),
        error("429 Too Many Requests", Retry_After="0"), error("429 Too Many Requests", Retry_After="-1"),
        error("503 Service Unavailable", Retry_After="Thu, 01 Jan 1970 00:00:00 GMT"), error("429 Too Many Requests"),
        lambda c, r: c.close(), cut, late,
        lambda c, r: respond(c, b""), lambda c, r: respond(c, "<html>busy</html>"), lambda c, r: respond(c, "{"),
        lambda c, r: respond(c, completion(r, choices=[], usage=None)),  # what is empty and was paid for is the model's own
        lambda c, r: respond(c, {"error": {"message": "overloaded", "type": "overloaded_error"}}),
        lambda c, r: respond(c, b"\x1f\x8bnot gzip", Content_Encoding="gzip"),
        lambda c, r: c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ]  # fmt: skip


def _campaign(share: float, models: int, bench: Bench) -> str:
    chance, lock, kinds, faults = random.Random(7), threading.Lock(), list[int](), _faults()

    def faulty(connection: socket.socket, request: Request) -> None:
        with lock:
            kind = None
            if request.body and chance.random() < share:
                kinds.append(kind := len(kinds) % len(faults))
        if kind is None:
            return healthy(connection, request)
        return faults[kind](connection, request)

    def command(servers: list[Server], out: Path) -> list[object]:
        policies = [part for server in servers for part in ("--policy", server.model)]
        return [
            *("search", bench.questions, *policies, "--timeout", 30, "--rounds", 12, "--samples", 1, "--candidates", 3),
            *("--yes", "--max-calls", 400, "--out", out),
        ]  # fmt: skip

    servers = [Server(handler=healthy) for _ in range(models)]
    for server in servers:
        server.__enter__()
    try:
        bench.spatial(*command(servers, bench.folder / "whole")).expect(0)
        calls = sum(len(server.asked) for server in servers)
        for server in servers:
            server.asked.clear()
            server.handler = faulty
        killed = 0
        for _ in range(10):
            before, wanted = sum(len(server.asked) for server in servers), chance.randint(1, 8)
            end = bench.spatial(
                *command(servers, bench.folder / "out"),
                until=lambda before=before, wanted=wanted: sum(len(server.asked) for server in servers) >= before + wanted,
            )
            killed += end.code == -9
        ended = [bench.spatial(*command(servers, bench.folder / "out")).expect(0, 1) for _ in range(3)]
    finally:
        for server in servers:
            server.__exit__()
    asked = sum(len(server.asked) for server in servers)
    need(asked <= 400, f"{asked} requests of at most 400")
    whole, out = files(bench.folder / "whole"), files(bench.folder / "out")
    differ = [name for name, data in out.items() if data != whole[name]]
    need(not differ, f"{differ} differ; {[end.code for end in ended]} {ended[-1].error}")
    need(len(set(kinds)) >= 22, f"{len(set(kinds))} kinds")
    return f"{killed} kills, {asked} requests for {calls}, {len(set(kinds))} kinds, exits {[end.code for end in ended]}"
