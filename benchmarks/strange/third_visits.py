"""Ends of the app: Ctrl-C once and twice, while visitors wait, upload, read or say nothing."""

from __future__ import annotations

import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals
from subprocess import TimeoutExpired

from strange.case import Bench, Case, Surprise, need
from strange.images import png
from strange.server import Handler, Request, Server, begin, chunk, healthy
from strange.visits import App, Visitor, post_head, start

WITHIN = 5.0
"""Seconds in which the app must have ended."""

TRIES = 4
"""Of each case, at a different moment each time."""

END = f"exit 130 (143 after SIGTERM) within {WITHIN:.0f} s; no traceback, nothing of visitors left behind"


def cases() -> Iterator[Case]:
    """Each at an app of its own, `TRIES` times."""
    for name, handler, act in (
        ("40 answers are awaited from a model that says nothing", _silent, _asking),
        ("10 answers are streamed without end", _endless, _asking),
        ("a visitor reads no answer", _endless, _unread),
        ("30 connections are kept open", healthy, _kept),
        ("an upload is half sent", healthy, _uploading),
        ("images are opened and measured", healthy, _measuring),
        ("nobody is there", healthy, _nobody),
    ):
        for often, sent in (("Ctrl-C", (SIGINT,)), ("twice Ctrl-C", (SIGINT, SIGINT)), ("SIGTERM", (SIGTERM,))):
            yield Case(kind="ends of the app", done=f"{often}: {name}", expected=END, run=partial(_ended, handler, act, sent))


def _silent(connection: socket.socket, request: Request) -> None:
    if request.line.startswith("GET"):
        return healthy(connection, request)
    time.sleep(60)
    return None


def _endless(connection: socket.socket, request: Request) -> None:
    if request.line.startswith("GET"):
        return healthy(connection, request)
    begin(connection)
    while True:
        chunk(connection, b'data: {"choices": [{"index": 0, "delta": {"content": "a word "}}]}\n\n')
        time.sleep(0.05)


def _in_threads(count: int, act: Callable[[], object]) -> None:
    def quietly() -> None:
        with suppress(OSError, HTTPException, Surprise):
            act()

    for _ in range(count):
        threading.Thread(target=quietly, daemon=True).start()


def _asking(one: App, stack: ExitStack) -> None:
    _in_threads(10 if one.server.handler is _endless else 40, lambda: Visitor(one).ready().ask(timeout=60))


def _unread(one: App, stack: ExitStack) -> None:
    visitor = Visitor(one).ready()
    body = b'{"question": "How wide is <region1>?", "models": ["%s"]}' % one.server.model.encode()
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", one.port)))
    connection.sendall(post_head(one, "/api/ask", f"Content-Length: {len(body)}", token=visitor.token).encode() + body)


def _kept(one: App, stack: ExitStack) -> None:
    for _ in range(30):
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", one.port)))
        connection.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{one.port}\r\n\r\n".encode())
        connection.recv(1000)


def _uploading(one: App, stack: ExitStack) -> None:
    token = Visitor(one).begin().token
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", one.port)))
    head = post_head(one, "/api/open", "Content-Length: 90000000", token=token)
    head = head.replace("application/json", "multipart/form-data; boundary=x")
    connection.sendall(
        head.encode() + b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + b"\0" * 10**6
    )


def _measuring(one: App, stack: ExitStack) -> None:
    def measure() -> None:
        visitor = Visitor(one).begin()
        visitor.upload(("a.png", png(6000, 3900)))
        for path in ("/api/image", "/api/measures"):
            visitor.send("GET", path)

    _in_threads(6, measure)


def _nobody(one: App, stack: ExitStack) -> None:
    pass


def _ended(handler: Handler, act: Callable[[App, ExitStack], None], sent: tuple[Signals, ...], bench: Bench) -> str:
    chance, longest = random.Random(0), 0.0
    for _ in range(TRIES):
        with Server(handler=handler) as server, ExitStack() as stack:
            before = _folders()
            one = start(server=server)
            act(one, stack)
            time.sleep(0.5 + 2 * chance.random())
            began = time.monotonic()
            for each in sent:
                one.process.send_signal(each)
                time.sleep(chance.choice((0.0, 0.001, 0.05, 0.3)))
            try:
                code = one.process.wait(30)
            except TimeoutExpired:
                one.process.kill()
                raise Surprise("it had not ended after 30 s") from None
            longest = max(longest, time.monotonic() - began)
            said = one.log.read_text()
            need(code == (143 if SIGTERM in sent else 130), f"exit {code}: {said[-200:]}")
            need("Traceback" not in said and "Exception ignored" not in said, said[-400:])
            need(longest < WITHIN, f"{longest:.1f} s")
            need(not (left := _folders() - before), f"left behind: {left}")
    return f"at most {longest:.1f} s in {TRIES} tries"


def _folders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("spatialreasoner-app-*")}
