"""Hostile replies, and bodies without end: to one question of four, or to all."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from strange.case import Bench, Case, Ended, need
from strange.server import Handler, Request, Server, begin, chunk, completion, healthy, respond

ONE = "to the right of"
"""Words of the one question of four that meets a bad reply."""

TAKEN = "the answer is taken; nothing else is lost"
TOLD = "no answer: told, the other three are kept, and the same command ends as if it had never been"
ENDS = "the other three are kept, no terminal control is printed, nothing hangs"

Make = Callable[[Request], Any]
"""Gives the body of a reply to a request."""


def _message(**fields: Any) -> Make:
    def make(request: Request) -> Any:
        body = completion(request)
        body["choices"][0]["message"].update(fields)
        return body

    return make


def _top(**fields: Any) -> Make:
    return lambda request: completion(request, **fields)


def _literal(place: str, text: str) -> Make:
    """The reply with any JSON text as a number of its usage."""
    return lambda request: json.dumps(completion(request, usage={place: "@", "completion_tokens": 20})).replace('"@"', text)


def _times(text: str, times: int) -> Make:
    return _message(content=text * times)


GOOD: tuple[tuple[str, Make], ...] = (
    ("usage below zero", _literal("prompt_tokens", "-5")),
    ("usage of 1e400", _literal("prompt_tokens", "1e400")),
    ("usage of NaN", _literal("prompt_tokens", "NaN")),
    ("usage of 9 * 100,000 digits", _literal("prompt_tokens", "9" * 100_000)),
    ("usage of 2^63", _literal("prompt_tokens", str(2**63))),
    ("usage in words", _top(usage={"prompt_tokens": "many"})),
    ("usage that is a list", _top(usage=[1, 2])),
    ("no usage", _top(usage=None)),
    ("a finish reason that is a number", lambda request: _finish(request, 7)),
    ("a finish reason of a megabyte", lambda request: _finish(request, "x" * 2**20)),
    ("a model's name of 5 MB", _top(model="m" * 5_000_000)),
    ("200,000 more keys in the message", lambda request: _message(**{f"k{i}": i for i in range(200_000)})(request)),
    ("a byte order mark before it", lambda request: b"\xef\xbb\xbf" + json.dumps(completion(request)).encode()),
    ("the same key twice", lambda request: json.dumps(completion(request)).replace('"id"', '"choices": [], "id"', 1)),
    ("thoughts of 7 MB beside it", _message(reasoning_content="so " * 2_300_000)),
    (
        "parts of content",
        lambda request: _message(content=[{"type": "text", "text": completion(request)["choices"][0]["message"]["content"]}])(
            request
        ),
    ),
    ("a second choice that nobody asked for", lambda request: completion(request, choices=completion(request)["choices"] * 2)),
    (
        "a tool's call of 1 MB beside it",
        _message(tool_calls=[{"id": "t", "type": "function", "function": {"name": "f", "arguments": "x" * 10**6}}]),
    ),
)
"""Replies whose answer is fine, with something odd beside it."""

BAD: tuple[tuple[str, Make], ...] = (
    ("content that is null", _message(content=None)),
    ("content of numbers", _message(content=[1, 2, 3])),
    ("content that is a mapping 500 deep", lambda request: _message(content=_deep(500))(request)),
    (
        "only a tool's call",
        _message(content=None, tool_calls=[{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]),
    ),
    ("only characters that nobody sees", _message(content="\u200b\u2060\u202e\ufeff" * 50)),
    ("only white space, 300,000 of it", _times(" \n", 150_000)),
    ("choices that are a mapping", _top(choices={"0": 1})),
    ("choices of null", _top(choices=[None])),
    ("no choice", _top(choices=[])),
    ("an error with status 200", lambda request: {"error": {"message": "the model is asleep", "code": 503}}),
    ("a page of a hotel's network", lambda request: "<html><body>Please accept our terms</body></html>"),
    ("nothing", lambda request: b""),
    ("a list", lambda request: [completion(request)]),
    ("a number", lambda request: "42"),
    ("100,000 brackets", lambda request: "[" * 100_000),
    ("60 MB of blanks before it", lambda request: b" " * 60_000_000 + json.dumps(completion(request)).encode()),
    ("half a reply as if it were whole", lambda request: json.dumps(completion(request))[:150]),
)
"""Replies that hold no answer."""

ODD: tuple[tuple[str, Make], ...] = (
    ("an escaped half of a character", lambda request: json.dumps(completion(request)).replace("both", "\\ud83d both")),
    ("NUL and commands for terminals", lambda request: completion(request, "\0\x1b[2J\x1b]0;owned\x07 " + _text(request))),
    ("400,000 openings of thoughts", _times("<think>", 57_000)),
    ("390,000 characters of steps", _times("### Step 1\n<region1> is 1.5 m wide.\n", 10_800)),
    ("300,000 digits", _times("9", 300_000)),
    ("7 MB of statements", _times("<region1> is 1.5 m wide. ", 280_000)),
    ("100,000 regions", _times("<region1><region99999999999999999999> ", 2_700)),
    (
        "bytes that are not text",
        lambda request: json.dumps(completion(request)).encode().replace(b"Yes", b"\xff\xfe").replace(b"No", b"\xff"),
    ),
    ("in UTF-16", lambda request: json.dumps(completion(request)).encode("utf-16")),
)
"""Replies of which a reader may make something, or not."""

REPLIES = (*GOOD, *BAD, *ODD)


def _finish(request: Request, reason: Any) -> Any:
    body = completion(request)
    body["choices"][0]["finish_reason"] = reason
    return body


def _text(request: Request) -> str:
    return completion(request)["choices"][0]["message"]["content"]


def _deep(levels: int) -> Any:
    inner: Any = 1
    for _ in range(levels):
        inner = {"text": inner}
    return inner


# Bodies without end: each takes the connection and the request


def _gzip_bomb(connection: socket.socket, request: Request) -> None:
    respond(connection, zeros("gzip"), Content_Encoding="gzip")


def _deflate_bomb(connection: socket.socket, request: Request) -> None:
    respond(connection, zeros("deflate"), Content_Encoding="deflate")


def _packed_twice(connection: socket.socket, request: Request) -> None:
    respond(connection, gzip.compress(zeros("gzip")), Content_Encoding="gzip, gzip")


def _unasked_packing(connection: socket.socket, request: Request) -> None:
    respond(connection, b"\x1b\xff\xff\x7f" * 1000, Content_Encoding="br")


def _endless(connection: socket.socket, request: Request) -> None:
    begin(connection)
    for _ in range(20_000):
        chunk(connection, b" " * 2**20)


def _endless_error(connection: socket.socket, request: Request) -> None:
    begin(connection, status="500 Internal Server Error")
    for _ in range(20_000):
        chunk(connection, b"x" * 2**20)


def _endless_limit(connection: socket.socket, request: Request) -> None:
    begin(connection, status="429 Too Many Requests")
    for _ in range(20_000):
        chunk(connection, b"x" * 2**20)


def _endless_headers(connection: socket.socket, request: Request) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(2_000_000):
        connection.sendall(f"X-{number}: {'y' * 1000}\r\n".encode())


def _one_header(connection: socket.socket, request: Request) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(4_000):
        connection.sendall(b"y" * 2**20)


def _endless_interim(connection: socket.socket, request: Request) -> None:
    for _ in range(3_000_000):
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)


def _endless_stream(connection: socket.socket, request: Request) -> None:
    begin(connection, "X-Kind: stream")
    for _ in range(2_000_000):
        chunk(connection, b'data: {"choices": [{"index": 0, "delta": {"content": "so "}}]}\n\n' * 100)


def _endless_line(connection: socket.socket, request: Request) -> None:
    begin(connection)
    chunk(connection, b"data: ")
    for _ in range(20_000):
        chunk(connection, b"x" * 2**20)


def _short(connection: socket.socket, request: Request) -> None:
    body = json.dumps(completion(request)).encode()
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) + 9999}\r\n\r\n".encode() + body)
    connection.close()


def _huge_chunk(connection: socket.socket, request: Request) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n{")
    connection.close()


BODIES: tuple[tuple[str, Handler], ...] = (
    ("gzip that unpacks to 2.5 GB", _gzip_bomb),
    ("deflate that unpacks to 2.5 GB", _deflate_bomb),
    ("gzip in gzip that unpacks to 2.5 GB", _packed_twice),
    ("a packing that nobody asked for", _unasked_packing),
    ("a body without end", _endless),
    ("an error without end", _endless_error),
    ("too many requests, told without end", _endless_limit),
    ("headers without end", _endless_headers),
    ("one header without end", _one_header),
    ("interim replies without end", _endless_interim),
    ("events without end", _endless_stream),
    ("one event without end", _endless_line),
    ("less than was announced", _short),
    ("a chunk of an exabyte", _huge_chunk),
)


@cache
def zeros(packing: str) -> bytes:
    """A few MB that unpack to 2.5 GB of blanks."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31 if packing == "gzip" else 15)
    block = b" " * 2**20
    return b"".join([*(packer.compress(block) for _ in range(2_400)), packer.flush()])


def once(handler: Handler) -> Handler:
    """Answer one question of four with this, the others decently."""

    def handle(connection: socket.socket, request: Request) -> None:
        with suppress(OSError):
            (handler if ONE in request.text else healthy)(connection, request)

    return handle


def replying(make: Make) -> Handler:
    """A handler that sends such a reply."""
    return lambda connection, request: respond(connection, make(request))


def cases() -> Iterator[Case]:
    """Each reply to one question of four of `generate`."""
    for name, make in GOOD:
        yield Case(kind="hostile replies", done=name, expected=TAKEN, run=partial(taken, replying(make)))
    for name, make in BAD:
        yield Case(kind="hostile replies", done=name, expected=TOLD, run=partial(told, replying(make)))
    for name, make in ODD:
        yield Case(kind="hostile replies", done=name, expected=ENDS, run=partial(ends, replying(make)))
    for name, handler in BODIES:
        yield Case(kind="endless bodies", done=name, expected=TOLD, run=partial(told, handler))


def generate(bench: Bench, server: Server, timeout: int = 6) -> Ended:
    """Ask four questions."""
    out = bench.folder / "out.jsonl"
    return bench.spatial("generate", bench.questions, "--model", server.model, "--timeout", timeout, "--out", out)


def rows(bench: Bench) -> dict[str, str]:
    """The answers of this case by question."""
    return answers(bench.folder / "out.jsonl")


def answers(path: Path) -> dict[str, str]:
    """The answers of a file of predictions by question."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["question"]: row["pred"] for row in found}


def taken(handler: Handler, bench: Bench) -> str:
    """One question of four is answered so; the answer must be taken."""
    with Server(handler=once(handler)) as server:
        generate(bench, server, 60).expect(0)
    need(rows(bench) == answers(bench.inputs / "healthy.jsonl"), "other answers than a decent server's")
    return "4 of 4 answers"


def told(handler: Handler, bench: Bench) -> str:
    """One question of four is answered so; that it has no answer must be told, and the same command must ask it alone."""
    with Server(handler=once(handler)) as server:
        first = generate(bench, server).expect(0, 1, says="1 of 4|empty|refus|malformed|not finished|no answer")
    before = others(bench) if first.code == 0 else None
    with Server(handler=healthy, port=server.port) as server:
        generate(bench, server, 60).expect(0)
        need(len(server.asked) <= 1, f"{len(server.asked)} requests were sent again")
    if before is None:
        need(rows(bench) == answers(bench.inputs / "healthy.jsonl"), "other answers than a decent server's")
    return f"exit {first.code}: {first.error[:90]}"


def ends(handler: Handler, bench: Bench) -> str:
    """One question of four is answered so; the others must be kept."""
    with Server(handler=once(handler)) as server:
        first = generate(bench, server).expect(0, 1)
        need("\x1b[2J" not in first.out + first.err, "a command for terminals was printed")
    with Server(handler=healthy, port=server.port) as server:
        generate(bench, server).expect(0)
    others(bench)
    return f"exit {first.code}: {first.error[:90]}" if first.code else "read"


def others(bench: Bench) -> dict[str, str]:
    """The answers to the other three questions, which must be a decent server's."""
    found, whole = rows(bench), answers(bench.inputs / "healthy.jsonl")
    for text, pred in whole.items():
        need(ONE in text or found.get(text) == pred, f"the answer to another question was lost: {text[:40]}")
    return found
