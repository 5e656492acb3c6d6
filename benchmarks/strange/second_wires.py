"""A second look at the wire: what HTTP allows, or almost allows, that the first cases left out; proxies and addresses."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from strange.case import Bench, Case, need
from strange.replies import ENDS, TAKEN, TOLD, Make, answers, generate, replying, rows
from strange.replies import ends as ends_well
from strange.replies import taken as taken_whole
from strange.replies import told as told_once
from strange.server import Handler, Request, Server, completion, healthy, moved, read, respond


def _body(request: Request) -> bytes:
    return json.dumps(completion(request)).encode()


def _raw(head: str, *, cut: int | None = None, after: bytes = b"", close: bool = True) -> Handler:
    """A reply by hand: `LENGTH` in the head is the body's."""

    def handle(connection: socket.socket, request: Request) -> None:
        body = _body(request)
        connection.sendall(head.replace("LENGTH", str(len(body))).encode("latin-1") + b"\r\n\r\n" + body[:cut] + after)
        if close:
            connection.shutdown(socket.SHUT_RDWR)

    return handle


def _reset(cut: int | None) -> Handler:
    """A connection that is reset, after the head and some bytes of the body, or before anything."""

    def handle(connection: socket.socket, request: Request) -> None:
        if cut is not None:
            body = _body(request)
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:cut])
            time.sleep(0.2)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return handle


def _before(interim: bytes) -> Handler:
    def handle(connection: socket.socket, request: Request) -> None:
        connection.sendall(interim)
        healthy(connection, request)

    return handle


def _chunked(*, extension: bytes = b"", trailers: int = 0, size: bytes | None = None) -> Handler:
    def handle(connection: socket.socket, request: Request) -> None:
        body = _body(request)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n")
        connection.sendall((size or b"%x" % len(body)) + extension + b"\r\n" + body + b"\r\n0\r\n")
        with suppress(OSError):
            connection.sendall(b"".join(b"x-%d: y\r\n" % number for number in range(trailers)) + b"\r\n")

    return handle


def _doubled(connection: socket.socket, request: Request) -> None:
    """Two replies to one request: the second must not be taken for the next request's."""
    other = json.dumps(completion(request, text="I am the answer to another question.")).encode()
    second = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(other) + other
    body = _body(request)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body + second
    )


def _streamed(connection: socket.socket, request: Request) -> None:
    """Events that nobody asked for."""
    delta = {"choices": [{"index": 0, "delta": {"content": completion(request)["choices"][0]["message"]["content"]}}]}
    respond(connection, f"data: {json.dumps(delta)}\n\ndata: [DONE]\n\n", type="text/event-stream")


def _status(status: str) -> Handler:
    return lambda connection, request: respond(connection, completion(request), status=status)


LENGTH = "Content-Type: application/json\r\nContent-Length: LENGTH"

READ: tuple[tuple[str, Handler], ...] = (
    ("HTTP/1.0 without a length", _raw("HTTP/1.0 200 OK\r\nContent-Type: application/json")),
    ("HTTP/1.1 without a length, ended by hanging up", _raw("HTTP/1.1 200 OK\r\nContent-Type: application/json")),
    ("no words behind the status", _raw(f"HTTP/1.1 200 \r\n{LENGTH}")),
    ("the same length twice", _raw(f"HTTP/1.1 200 OK\r\n{LENGTH}\r\nContent-Length: LENGTH")),
    ("three early hints before it", _before(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" * 3)),
    ("100 Continue that nobody asked for", _before(b"HTTP/1.1 100 Continue\r\n\r\n")),
    ("201 Created", _status("201 Created")),
    ("no type of content", _raw("HTTP/1.1 200 OK\r\nContent-Length: LENGTH")),
    ("a type of content with 200 parameters", _raw(f"HTTP/1.1 200 OK\r\n{LENGTH}".replace("json", "json" + "; a=b" * 200))),
    ("a hundred cookies", _raw(f"HTTP/1.1 200 OK\r\n{LENGTH}\r\n" + "\r\n".join(f"Set-Cookie: c{n}=v" for n in range(90)))),
    ("a cookie for another site", _raw(f"HTTP/1.1 200 OK\r\n{LENGTH}\r\nSet-Cookie: a=b; Domain=example.com; Path=/")),
    ("HTTP/2 offered by an Upgrade header", _raw(f'HTTP/1.1 200 OK\r\n{LENGTH}\r\nUpgrade: h2c\r\nAlt-Svc: h3=":1"')),
)

LOST: tuple[tuple[str, Handler], ...] = (
    ("a length that is too short", _raw("HTTP/1.1 200 OK\r\nContent-Length: 20")),
    ("two lengths that differ", _raw(f"HTTP/1.1 200 OK\r\n{LENGTH}\r\nContent-Length: 7")),
    ("a length below zero", _raw("HTTP/1.1 200 OK\r\nContent-Length: -5")),
    ("a length of 5,000 digits", _raw("HTTP/1.1 200 OK\r\nContent-Length: " + "9" * 5000)),
    ("a length in words", _raw("HTTP/1.1 200 OK\r\nContent-Length: many")),
    ("a chunk of minus five bytes", _chunked(size=b"-5")),
    ("a chunk of size zz", _chunked(size=b"zz")),
    ("a reset within the body", _reset(20)),
    ("a reset before anything", _reset(None)),
    ("101 Switching Protocols", _raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade")),
    ("304 Not Modified", _raw("HTTP/1.1 304 Not Modified\r\nContent-Length: 0", cut=0)),
    ("204 No Content", _raw("HTTP/1.1 204 No Content", cut=0)),
    ("zstd that nobody asked for", lambda c, r: respond(c, b"\x28\xb5\x2f\xfd" + b"\0" * 99, Content_Encoding="zstd")),
    ("brotli that nobody asked for", lambda c, r: respond(c, b"\x8b\x00\x80" + b"\0" * 99, Content_Encoding="br")),
    ("the status line of a radio", _raw("ICY 200 OK\r\nicy-name: x")),
    ("a NUL in a header", _raw(f"HTTP/1.1 200 OK\r\n{LENGTH}\r\nX-A: a\0b")),
)

ANY: tuple[tuple[str, Handler], ...] = (
    ("a chunked body with a length, too", _raw(f"HTTP/1.1 200 OK\r\n{LENGTH}\r\nTransfer-Encoding: chunked")),
    ("a chunk with an extension of 1 MB", _chunked(extension=b";a=" + b"x" * 2**20)),
    ("200,000 trailers", _chunked(trailers=200_000)),
    ("206 Partial Content", _status("206 Partial Content")),
    ("a header that is folded over lines", _raw(f"HTTP/1.1 200 OK\r\n{LENGTH}\r\nX-A: a\r\n b\r\n\tc")),
    ("a header without a colon", _raw(f"HTTP/1.1 200 OK\r\n{LENGTH}\r\nhello")),
    ("a header whose name is not ASCII", _raw(f"HTTP/1.1 200 OK\r\n{LENGTH}\r\nX-Ä: a")),
    ("events that nobody asked for", _streamed),
    ("two replies to one request", _doubled),
    (
        "a reply, and then the reset of a connection that is kept",
        _raw(f"HTTP/1.1 200 OK\r\n{LENGTH}\r\nConnection: keep-alive"),
    ),
)


def _choices(*choices: dict[str, Any]) -> Make:
    def make(request: Request) -> Any:
        body = completion(request)
        good = body["choices"][0]
        return {**body, "choices": [{**good, **choice} for choice in choices]}

    return make


def _inside(**fields: Any) -> Make:
    def make(request: Request) -> Any:
        body = completion(request)
        body["choices"][0].update(fields)
        return body

    return make


def _text(old: str, new: str) -> Make:
    return lambda request: json.dumps(completion(request)).replace(old, new, 1)


def _deep(depth: int) -> Make:
    return _text('"object"', '"x": ' + "[" * depth + "]" * depth + ', "object"')


BODIES_READ: tuple[tuple[str, Make], ...] = (
    ("two choices of number 0", _choices({}, {})),
    ("the choice has number 7", _choices({"index": 7})),
    ("the choice has number 10^300", _text('"index": 0', '"index": 1' + "0" * 300)),
    ("created in the year of 4,000 digits", _text('"created": 1', '"created": ' + "9" * 4000)),
    ("probabilities that are NaN", _inside(logprobs={"content": [{"token": "a", "logprob": float("nan")}]})),
    ("300 brackets in a key that nobody reads", _deep(300)),
    ("a refusal that is null", _inside(refusal=None, stop_reason=None, matched_stop=106)),
)
BODIES_ANY: tuple[tuple[str, Make], ...] = (
    ("20,000 brackets in a key that nobody reads", _deep(20_000)),
    ("choices twice, first none", _text('"choices"', '"choices": [], "choices"')),
    ("a finish reason of an error", _inside(finish_reason="error")),
    ("a message that is a list", _inside(message=[])),
    ("a role of commands for terminals", _inside(message={"role": "\x1b[2J", "content": "\x1b[2J"})),
)


def cases() -> Iterator[Case]:
    """Odd replies, then proxies and addresses."""
    for name, handler in READ:
        yield Case(kind="odd HTTP", done=name, expected=TAKEN, run=partial(taken_whole, handler))
    for name, handler in LOST:
        yield Case(kind="odd HTTP", done=name, expected=TOLD, run=partial(told_once, handler))
    for name, handler in ANY:
        yield Case(kind="odd HTTP", done=name, expected=ENDS, run=partial(ends_well, handler))
    for name, make in BODIES_READ:
        yield Case(kind="hostile replies", done=name, expected=TAKEN, run=partial(taken_whole, replying(make)))
    for name, make in BODIES_ANY:
        yield Case(kind="hostile replies", done=name, expected=ENDS, run=partial(ends_well, replying(make)))
    yield Case(kind="odd HTTP", done="cookies of its own", expected="never sent back", run=_cookies)
    yield Case(kind="budgets", done="--max-calls 6, every request is sent on once", expected="6 requests", run=_sent_on)
    for name, run in ADDRESSES:
        yield Case(kind="addresses", done=name, expected="4 of 4 answers, or the cause in words of its own", run=run)


def _cookies(bench: Bench) -> str:
    def handle(connection: socket.socket, request: Request) -> None:
        respond(connection, completion(request), Set_Cookie="who=you; Path=/")

    with Server(handler=handle) as server:
        generate(bench, server).expect(0)
        sent = [request for request in server.asked if "cookie" in request.headers]
    need(not sent, f"{len(sent)} requests carried a cookie")
    return "no cookie was sent back"


def _sent_on(bench: Bench) -> str:
    out = bench.folder / "out.jsonl"
    with Server(handler=partial(moved, "307 Temporary Redirect")) as server:
        for _ in range(3):
            command = ("generate", bench.questions, "--model", server.model, "--max-calls", 6, "--out", out)
            bench.spatial(*command).expect(1, says="max_calls|max-calls|budget")
    need(len(server.asked) == 6, f"{len(server.asked)} requests for 6")
    return "6 requests, then told"


def _whole(bench: Bench) -> str:
    need(rows(bench) == answers(bench.inputs / "healthy.jsonl"), "other answers than a decent server's")
    return "4 of 4 answers"


def _asked(bench: Bench, model: str, **env: str) -> str:
    end = bench.spatial(
        "generate", bench.questions, "--model", model, "--timeout", "6", "--out", bench.folder / "out.jsonl",
        env={"NO_PROXY": "", "no_proxy": "", **env},
    ).expect(0, 1, 2, within=60)  # fmt: skip
    need("planted" not in end.err and "hunter2" not in end.err, "a secret is told")
    return f"exit {end.code}: {end.error[:500]}" if end.code else _whole(bench)


@contextmanager
def _proxy(status: str = "") -> Iterator[tuple[int, list[Request]]]:
    """A proxy of HTTP that hands requests on, or refuses them with a status; its port, and what it was asked."""
    seen: list[Request] = []
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)

    def serve(connection: socket.socket) -> None:
        with suppress(OSError, ValueError, IndexError), connection:
            connection.settimeout(20)
            while (request := read(connection)) is not None:
                seen.append(request)
                if status:
                    return respond(connection, "<h1>proxy</h1>", status=status, Proxy_Authenticate='Basic realm="x"')
                healthy(connection, request)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listening:
        yield listening.getsockname()[1], seen
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


FAR = "api:m@http://model.example/v1"
"""A host that only a proxy can reach."""


def _through(bench: Bench) -> str:
    with _proxy() as (port, seen):
        came = _asked(bench, FAR, http_proxy=f"http://user:hunter2@127.0.0.1:{port}")
    need(came == "4 of 4 answers" and all("model.example" in each.line for each in seen), f"{came}; {len(seen)} by the proxy")
    return f"{came} through the proxy"


def _proxy_refuses(bench: Bench) -> str:
    with _proxy("407 Proxy Authentication Required") as (port, _):
        came = _asked(bench, FAR, http_proxy=f"http://user:hunter2@127.0.0.1:{port}")
    need("proxy between" in came, came)
    return came


def _proxy_of_tls_refuses(bench: Bench) -> str:
    with _proxy("403 Forbidden") as (port, _):
        came = _asked(bench, "api:m@https://model.example/v1", https_proxy=f"http://user:hunter2@127.0.0.1:{port}")
    need("proxy" in came.lower(), came)
    return came


def _passed_by(bench: Bench) -> str:
    with Server(handler=healthy) as server:
        came = _asked(bench, server.model, http_proxy="http://127.0.0.1:9", no_proxy="127.0.0.1", NO_PROXY="127.0.0.1")
    need(came == "4 of 4 answers", came)
    return came


def _passed_by_all(bench: Bench) -> str:
    with Server(handler=healthy) as server:
        came = _asked(bench, server.model, http_proxy="http://127.0.0.1:9", no_proxy="*", NO_PROXY="*")
    need(came == "4 of 4 answers", came)
    return came


def _dead_proxy(bench: Bench) -> str:
    came = _asked(bench, FAR, http_proxy="http://user:hunter2@127.0.0.1:9")
    need("proxy" in came.lower() and "127.0.0.1:9" in came, came)
    return came


def _sixth(bench: Bench) -> str:
    if not socket.has_ipv6:
        return "no IPv6 here"
    server = Server(handler=healthy)
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=64)
    except OSError as error:
        return f"no IPv6 here: {error}"
    with server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=server._serve, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        with listening:
            came = _asked(bench, f"api:m@http://[::1]:{listening.getsockname()[1]}/v1")
    need(came == "4 of 4 answers", came)
    return came


def _by_name(bench: Bench) -> str:
    """`localhost` has an address of each kind; the server listens at one of them."""
    with Server(handler=healthy) as server:
        came = _asked(bench, f"api:m@http://localhost:{server.port}/v1")
    need(came == "4 of 4 answers", came)
    return came


def _base(change: Callable[[Server], str]) -> Callable[[Bench], str]:
    def run(bench: Bench) -> str:
        with Server(handler=healthy) as server:
            came = _asked(bench, change(server))
        return came

    return run


ADDRESSES: tuple[tuple[str, Callable[[Bench], str]], ...] = (
    ("through a proxy with a password", _through),
    ("a proxy that refuses (407)", _proxy_refuses),
    ("a proxy that refuses a tunnel (403)", _proxy_of_tls_refuses),
    ("a proxy with a password where nobody listens", _dead_proxy),
    ("a dead proxy, and the host in NO_PROXY", _passed_by),
    ("a dead proxy, and NO_PROXY=*", _passed_by_all),
    ("IPv6 in brackets", _sixth),
    ("a name with addresses of both kinds", _by_name),
    ("a slash at the end of the address", _base(lambda server: f"{server.model}/")),
    ("the whole path of completions as address", _base(lambda server: f"{server.model}/chat/completions")),
    ("capitals in the scheme and host", _base(lambda server: server.model.replace("http://127.0.0.1", "HTTP://LOCALHOST"))),
    ("127.1 for the host", _base(lambda server: server.model.replace("127.0.0.1", "127.1"))),
    ("a link-local address with a zone", _base(lambda server: "api:m@http://[fe80::1%25lo]:1/v1")),
    ("a host in Cyrillic letters that look like Latin ones", _base(lambda server: "api:m@http://аррӏе.example/v1")),
)
