"""A server of models that is a socket and nothing more, so that it can do to a client whatever a stranger's server can."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client asked: its first line, headers by lower-case name, and body."""

    line: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The question's words, as far as they are in the body."""
        return self.body.decode(errors="replace")

    @property
    def streamed(self) -> bool:
        """Whether the reply is to be streamed."""
        return re.search(rb'"stream": ?true', self.body) is not None


Handler = Callable[[socket.socket, Request], None]
"""Answers one request on its connection."""


@dataclass(kw_only=True)
class Server:
    """Listens on the loopback address until it is closed.

    Attributes:
        handler: Answers a request; the connection is closed after it unless it said that it is kept.
        raw: Instead of that, takes the connection as it is, before anything was read.
        tls: Its certificates, where it speaks TLS.
        port: Where it listens; 0 for a free port.
        asked: The requests that came with a body.
    """

    handler: Handler | None = None
    raw: Callable[[socket.socket], None] | None = None
    tls: ssl.SSLContext | None = None
    port: int = 0
    asked: list[Request] = field(default_factory=list[Request])

    def __enter__(self) -> Server:
        """Begin to listen."""
        self._socket = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port, self._open = self._socket.getsockname()[1], True
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and refuse further connections."""
        self._open = False
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/v1"

    @property
    def model(self) -> str:
        """The name under which the program knows its model."""
        return f"api:m@{self.url}"

    def _accept(self) -> None:
        while self._open:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            connection.settimeout(60)
            if self.raw is not None:
                return self.raw(connection)
            while (request := read(connection)) is not None and self._open:
                if request.body:
                    self.asked.append(request)
                assert self.handler is not None
                self.handler(connection, request)


def read(connection: socket.socket) -> Request | None:
    """The next request of a connection, or None at its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return Request(line=line, headers=headers, body=body)


def respond(
    connection: socket.socket,
    body: bytes | str | Any,
    *,
    status: str = "200 OK",
    type: str = "application/json",
    **headers: str,
) -> None:
    """Send a whole reply; what is not text is sent as JSON."""
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", *([f"Content-Type: {type}"] if type else [])]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + data)


def answer(request: Request) -> str:
    """A decent answer, which depends on the question and the seed alone."""
    content = re.search(r'"seed": ?\d+', request.text)
    number = int(hashlib.sha256((question(request) + (content[0] if content else "")).encode()).hexdigest()[:4], 16) % 300
    return (
        f"<description>There is a thing, <region1>. <region1> is {number / 100:.2f} m wide.</description>\n"
        "<reasoning>### Rationale\nI look at both.\n### Let's think step by step\n### Step 1\n"
        f"<region1> is {number / 100:.2f} m wide.</reasoning>\n### In Conclusion\n{'Yes' if number % 2 else 'No'}."
    )


def question(request: Request) -> str:
    """The words of the question that was asked."""
    texts = [part for part in re.findall(r'"((?:[^"\\]|\\.)*)"', request.text) if "region1" in part]
    return texts[-1][-160:] if texts else ""


def completion(request: Request, text: str | None = None, **changes: Any) -> dict[str, Any]:
    """A decent reply."""
    message = {"role": "assistant", "content": answer(request) if text is None else text}
    return {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}, **changes,
    }  # fmt: skip


def healthy(connection: socket.socket, request: Request) -> None:
    """Answer as a decent server does, streamed where that is asked for."""
    if request.line.startswith("GET"):
        respond(connection, {"object": "list", "data": [{"id": "m", "object": "model"}]})
    elif request.streamed:
        delta = {"id": "c1", "choices": [{"index": 0, "delta": {"content": answer(request)}, "finish_reason": "stop"}]}
        respond(connection, f"data: {json.dumps(delta)}\n\ndata: [DONE]\n\n", type="text/event-stream")
    else:
        respond(connection, completion(request))


def moved(status: str, connection: socket.socket, request: Request) -> None:
    """Send a request on to another place of the same host, with a status; there it is answered."""
    if "/new/" in request.line:
        respond(connection, completion(request))
    else:
        respond(connection, b"", status=status, Location="/new/v1/chat/completions")


def chunk(connection: socket.socket, data: bytes) -> None:
    """Send one chunk of a chunked body."""
    connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def begin(connection: socket.socket, *headers: str, status: str = "200 OK") -> None:
    """Send the head of a chunked reply."""
    lines = [f"HTTP/1.1 {status}", "Transfer-Encoding: chunked", "Content-Type: application/json", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())
