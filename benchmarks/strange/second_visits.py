"""A second look at the app: parts of files, methods, floods, halves of requests, and numbers that are none."""

from __future__ import annotations

import json
import math
import socket
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from typing import Any

from strange.case import Case, need
from strange.images import png
from strange.server import Request, healthy
from strange.visits import STARTED_HANDLER, App, Visitor, pipe, post_head, refused, status_of, visit

SAFE = "refused with a sentence, or answered; never a 500; the next visitor is answered"
PATHS = (
    *("/", "/assets/main.js", "/example/0", "/api/about", "/api/begin", "/api/state", "/api/open", "/api/path", "/api/example"),
    *("/api/frame", "/api/edit", "/api/step", "/api/jump", "/api/image", "/api/depth", "/api/depth.png", "/api/space"),
    *("/api/measures", "/api/ruler", "/api/save", "/api/export/csv", "/api/ask", "/browse", "/s/x", "/favicon.ico", "/nowhere"),
)


def cases() -> Iterator[Case]:
    """Each at the app that all visitors share; afterwards the next visitor must be answered."""
    acts: tuple[tuple[str, Callable[[App], str]], ...] = (
        ("Range: parts of every page, 8 ways", _ranges),
        ("HEAD and OPTIONS of every address", _methods),
        ("a body that is packed by gzip", _packed),
        ("Expect: 100-continue, and then nothing", _expect),
        ("500 requests in one go on one connection", _pipelined),
        ("200 visits begun at once", _begun),
        ("200 WebSocket handshakes", _sockets),
        ("60 questions at once to a slow model", _asked),
        ("50 visitors who leave within an answer", _leaving),
        ("a token of 60 kB, of control characters, in a query", _tokens),
        ("Hosts in capitals, with dots, ports and blanks", _hosts),
        ("X-Forwarded-Host and -For of another site", _forwarded),
        ("Sec-Fetch-Site: cross-site", _cross_site),
        ("points that are NaN, infinite, 1e308, a million", _points),
        ("regions written as 20,000 numbers, NaN, 10^400", _numbers),
        ("steps and jumps of 10^30, true, null, 0.5", _steps),
        ("a question of control characters and of right-to-left text", _controls),
        ("a question of 30,000 regions' names", _names),
        ("JSON keys of 5 MB, and 100,000 keys", _keys),
        ("JSON in UTF-16 and UTF-7", _encoded),
        ("a form without a boundary, with a boundary of 5 kB", _boundaries),
        ("500 files in an upload", _files),
        ("an upload whose file has no name", _nameless),
        ("paths in an upload's name, 12 ways", _traversals),
        ("a label file of 200,000 brackets as regions", _labels),
        ("a request cut off after each of its first 60 bytes", _cut),
        ("headers with a NUL, without a colon, of 500 lines", _headers),
        ("two lengths, a length and chunks, chunks of -1", _smuggled),
        ("the same edit by 30 at once in one visit", _together),
        ("60 uploads in one visit, one after another, undone each", _uploads),
    )
    for name, act in acts:
        yield Case(kind="the app", done=name, expected=SAFE, run=partial(visit, act))


def _fine(status: int, told: object) -> int:
    need(status < 500 or status == 503, f"{status}: {str(told)[:200]}")
    need("Traceback" not in str(told), str(told)[:200])
    return status


def _counted(statuses: list[int]) -> str:
    return ", ".join(f"{count} x {status or 'closed'}" for status, count in sorted(Counter(statuses).items()))


def _ranges(one: App) -> str:
    visitor, found = Visitor(one).ready(), list[int]()
    asked = (
        "bytes=0-9",
        "bytes=-1",
        "bytes=99999999999999999999-",
        "bytes=5-2",
        "bytes=" + ",".join(["0-0"] * 2_000),
        "bytes=a-b",
        "words=1-2",
        "bytes=0-" + "9" * 5_000,
    )
    for path in ("/", "/assets/main.js", "/example/0", "/api/image", "/api/depth.png"):
        for each in asked:
            status, body, _ = visitor.send("GET", path, headers={"Range": each})
            need(len(body) < 20_000_000, f"{len(body)} bytes for {each[:30]}")
            found.append(_fine(status, body))
    return _counted(found)


def _methods(one: App) -> str:
    visitor, found = Visitor(one).ready(), list[int]()
    for path in PATHS:
        for method in ("HEAD", "OPTIONS"):
            status, body, reply = visitor.send(method, path)
            need(method != "HEAD" or not body, f"a HEAD of {path} has a body")
            need(
                "access-control-allow-origin" not in {name.lower() for name, _ in reply.getheaders()}, f"{path} lets others in"
            )
            found.append(_fine(status, body))
    return _counted(found)


def _packed(one: App) -> str:
    visitor = Visitor(one).ready()
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join([*(bomb.compress(b" " * 2**20) for _ in range(300)), bomb.flush()])
    status, body, _ = visitor.send("POST", "/api/ask", data, {"Content-Type": "application/json", "Content-Encoding": "gzip"})
    return refused(status, json.loads(body))


def _expect(one: App) -> str:
    token = Visitor(one).begin().token
    head = post_head(one, "/api/ask", "Content-Length: 20", "Expect: 100-continue", token=token)
    with socket.create_connection(("127.0.0.1", one.port), timeout=5) as connection:
        connection.sendall(head.encode())
        time.sleep(1)
    return "left"


def _pipelined(one: App) -> str:
    head = f"GET /api/about HTTP/1.1\r\nHost: 127.0.0.1:{one.port}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", one.port), timeout=30) as connection:
        connection.sendall(head * 500)
        reply = b""
        with suppress(OSError):
            while reply.count(b"HTTP/1.1 200") < 500 and (more := connection.recv(2**20)):
                reply += more
    count = reply.count(b"HTTP/1.1 ")
    need(reply.count(b"HTTP/1.1 200") == count, "not all were answered alike")
    return f"{count} answered"


def _safely(work: Callable[[], int]) -> int:
    """A status; 0 where the connection was closed."""
    try:
        return work()
    except (OSError, HTTPException):
        return 0


def _begun(one: App) -> str:
    def begin() -> int:
        status, told = Visitor(one).post("/api/begin", {"saved": ""}, timeout=120)
        return _fine(status, told)

    with ThreadPoolExecutor(40) as pool:
        return _counted(list(pool.map(lambda _: _safely(begin), range(200))))


def _sockets(one: App) -> str:
    head = (
        f"GET /api/state HTTP/1.1\r\nHost: 127.0.0.1:{one.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(lambda _: status_of(pipe(one, head, iter(()), timeout=3)), range(200)))
    need(101 not in found, "upgraded")
    return _counted(found)


def _slowly(connection: socket.socket, request: Request) -> None:
    time.sleep(1.0)
    healthy(connection, request)


def _asked(one: App) -> str:
    STARTED_HANDLER[0] = _slowly
    visitors = [Visitor(one).ready() for _ in range(12)]

    def ask(number: int) -> int:
        status, told = visitors[number % 12].ask(timeout=200)
        need(status < 500 or status in {503}, f"{status}: {told[:200]}")
        return status

    with ThreadPoolExecutor(60) as pool:
        return _counted(list(pool.map(lambda number: _safely(partial(ask, number)), range(60))))


def _leaving(one: App) -> str:
    STARTED_HANDLER[0] = _slowly
    for _ in range(5):
        token = Visitor(one).ready().token
        body = json.dumps({"question": "How wide is <region1>?", "models": [one.server.model]}).encode()
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", one.port), timeout=5) as connection:
                connection.sendall(post_head(one, "/api/ask", f"Content-Length: {len(body)}", token=token).encode() + body)
                time.sleep(0.02)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    status, told = Visitor(one).ready().ask(timeout=60)
    need(status == 200, f"{status}: {told[:200]}")
    return "50 left, the next was answered"


def _tokens(one: App) -> str:
    found: list[int] = []
    for token in ("x" * 60_000, "a\tb", "", "%00", "../../etc/passwd", "' OR 1=1 --"):
        with suppress(OSError, HTTPException, ValueError):
            status, body, _ = Visitor(one, token).send("GET", "/api/state")
            found.append(_fine(status, body))
    status, body, _ = Visitor(one).send("GET", f"/api/state?X-Session={Visitor(one).begin().token}")
    need(status == 401, f"a token in an address is let in: {status}")
    return _counted([*found, status])


def _hosts(one: App) -> str:
    ways = (
        f"LOCALHOST:{one.port}",
        f"localhost.:{one.port}",
        "localhost:99999",
        "localhost:",
        " localhost",
        "[::1]",
        "[::1",
        "127.0.0.1:http",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "localhost,evil.example",
        "localhost@evil.example",
        "loc\u0430lhost",
    )
    found: list[int] = []
    for way in ways:
        head = f"GET /api/about HTTP/1.1\r\nHost: {way}\r\nConnection: close\r\n\r\n"
        reply = pipe(one, head, iter(()), timeout=5)
        need(status_of(reply) != 200 or "evil" not in way, f"{way} is let in")
        found.append(_fine(status_of(reply), reply[-200:]))
    return _counted(found)


def _forwarded(one: App) -> str:
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "10.0.0.1", "Forwarded": "host=evil.example"}
    status, body, reply = Visitor(one).send("GET", "/", headers=headers)
    need(status == 200 and b"evil.example" not in body and "evil.example" not in str(reply.getheaders()), "it is believed")
    return "ignored"


def _cross_site(one: App) -> str:
    headers = {"Content-Type": "text/plain", "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    status, body, _ = Visitor(one).send("POST", "/api/begin", '{"saved": ""}', headers)
    need(400 <= status < 500, f"{status}: {body[:100]!r}")
    return str(status)


def _posted(visitor: Visitor, path: str, bodies: list[str]) -> list[int]:
    found: list[int] = []
    for body in bodies:
        status, told, _ = visitor.send("POST", path, body.encode(), {"Content-Type": "application/json"})
        found.append(_fine(status, told))
    return found


def _points(one: App) -> str:
    shapes: list[Any] = [
        {"tool": tool, "points": points}
        for tool in ("box", "polygon", "click", "paint", "nothing", 5)
        for points in (
            [[math.nan, 1], [2, 3]],
            [[math.inf, 1], [2, 3]],
            [[1e308, 1e308], [-1e308, 5]],
            [[1, 1]] * 200_000,
            [],
            [[]],
            [[1]],
            [["a", "b"]],
            None,
            [[10**30, 1], [2, 3], [4, 5]],
            [[1, 2, 3]],
        )
    ]
    visitor = Visitor(one).ready()
    bodies = [json.dumps({"action": "add", "shape": shape, "cut": cut}) for shape in shapes for cut in (False,)]
    return _counted(_posted(visitor, "/api/edit", bodies))


def _numbers(one: App) -> str:
    texts = (
        "1," * 9_999 + "1",
        "nan,nan,nan,nan",
        "1" + "0" * 400 + ",1,2,3",
        "-5,-5,-1,-1",
        "1,1,1,1",
        "",
        ";" * 5_000,
        "1e308,1,2,3",
    )
    bodies = [json.dumps({"action": "write", "text": text}) for text in texts]
    return _counted(_posted(Visitor(one).ready(), "/api/edit", bodies))


def _steps(one: App) -> str:
    visitor, values = Visitor(one).ready(), ("1" + "0" * 30, "true", "null", "0.5", '"1"', "-1", "99", "[]", "NaN")
    found: list[int] = []
    for path, key in (("/api/step", "by"), ("/api/jump", "to"), ("/api/frame", "place"), ("/api/example", "number")):
        found += _posted(visitor, path, [f'{{"{key}": {value}}}' for value in values])
    return _counted(found)


def _question(one: App, text: str) -> int:
    status, told = Visitor(one).ready().ask(text)
    return _fine(status, told)


def _controls(one: App) -> str:
    texts = (
        "How wide is <region1>?\x1b[2J\x00\x07",
        "\u202eHow wide is <region1>?",
        "How\u2028wide\u2029is <region1>?",
        "\ufeff" * 500,
    )
    return _counted([_question(one, text) for text in texts])


def _names(one: App) -> str:
    few, many = "<region1>" * 1_500, "".join(f"<region{number}>" for number in range(1, 30_000))
    return _counted([_question(one, text) for text in (few, many, "<region1" * 3_000, "<region99999999999999999999>")])


def _keys(one: App) -> str:
    bodies = [
        '{"' + "k" * 5_000_000 + '": 1}',
        json.dumps({f"k{number}": 1 for number in range(100_000)}),
        '{"question": ' * 5_000,
        '{"question": 1, "question": 2}',
        '{"models": {"a": 1}, "question": ["x"]}',
        "\x00",
        "",
    ]
    return _counted(_posted(Visitor(one).ready(), "/api/ask", bodies))


def _encoded(one: App) -> str:
    visitor, found = Visitor(one).ready(), list[int]()
    sent = json.dumps({"question": "How wide is <region1>?", "models": [one.server.model]})
    for encoding in ("utf-16", "utf-32", "utf-7"):
        status, told, _ = visitor.send("POST", "/api/ask", sent.encode(encoding), {"Content-Type": "application/json"})
        found.append(_fine(status, told))
    return _counted(found)


def _boundaries(one: App) -> str:
    visitor, found = Visitor(one).ready(), list[int]()
    for kind in (
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 5_000,
        'multipart/form-data; boundary="\\"',
        "multipart/mixed; boundary=x",
        "text/plain",
        "",
    ):
        status, told, _ = visitor.send(
            "POST", "/api/open", b"--x\r\nContent-Disposition: form-data\r\n\r\n", {"Content-Type": kind}
        )
        found.append(_fine(status, told))
    return _counted(found)


def _files(one: App) -> str:
    return refused(*Visitor(one).ready().upload(*((f"{number}.png", png(8, 8)) for number in range(1_200))))


def _nameless(one: App) -> str:
    found: list[int] = []
    for name in ("", ".", "..", "/", " ", "a" * 300 + ".png", "con.png", "a.png/", "\\\\host\\share\\a.png"):
        status, told = Visitor(one).ready().upload((name, png(64, 48)))
        found.append(_fine(status, told))
    return _counted(found)


def _traversals(one: App) -> str:
    found: list[int] = []
    for name in (
        "../../a.png",
        "..\\..\\a.png",
        "/etc/a.png",
        "a/../../b.png",
        "....//a.png",
        "%2e%2e/a.png",
        "a/./b/../../../c.png",
        "\x7f/a.png",
        "a//b.png",
        "~/a.png",
        "file:///etc/a.png",
        "a/" * 30 + "b.png",
    ):
        status, told = Visitor(one).ready().upload((name, png(64, 48)), ("b.png", png(64, 48)))
        need("root:" not in str(told), str(told)[:200])
        found.append(_fine(status, told))
    return _counted(found)


def _labels(one: App) -> str:
    found: list[int] = []
    for name, data in (
        ("labels.json", b"[" * 200_000),
        ("labels.json", b'{"annotations": ' + b"9" * 100_000 + b"}"),
        ("labels.xml", b"<a>" * 50_000),
        (
            "labels.xml",
            b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 1_000 + b'">' + b'<!ENTITY c "' + b"&b;" * 1_000 + b'">]><a>&c;</a>',
        ),
        ("masks.png", png(100_000, 100_000, data=b"")),
        ("labels.zip", b"PK\3\4"),
    ):
        visitor = Visitor(one).ready()
        status, told = visitor.upload((name, data), kind="regions")
        found.append(_fine(status, told))
    return _counted(found)


def _cut(one: App) -> str:
    head = post_head(one, "/api/ask", "Content-Length: 2", token=Visitor(one).begin().token).encode()
    for length in range(1, 61):
        with socket.create_connection(("127.0.0.1", one.port), timeout=5) as connection:
            connection.sendall(head[:length])
    return "60 cut off"


def _headers(one: App) -> str:
    first = f"GET /api/about HTTP/1.1\r\nHost: 127.0.0.1:{one.port}\r\n"
    lines = (
        "X-A: a\0b",
        "hello",
        "X A: b",
        ": empty",
        "X-A: " + "b" * 100_000,
        "\r\n".join(f"X-{n}: y" for n in range(500)),
        "X-Ä: ü",
    )
    found = [status_of(pipe(one, f"{first}{line}\r\nConnection: close\r\n\r\n", iter(()), timeout=5)) for line in lines]
    return _counted([_fine(status, "") for status in found])


def _smuggled(one: App) -> str:
    token, found = Visitor(one).begin().token, list[int]()
    for headers, body in (
        (("Content-Length: 2", "Content-Length: 40"), b"{}"),
        (("Content-Length: 2", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"-1\r\n{}\r\n0\r\n\r\n"),
        (("Transfer-Encoding: gzip, chunked",), b"2\r\n{}\r\n0\r\n\r\n"),
        (("Content-Length: -2",), b"{}"),
        (("Content-Length: 0x2",), b"{}"),
        (("Transfer-Encoding: chunked",), b"FFFFFFFFFFFFFFFF\r\n"),
    ):
        reply = pipe(one, post_head(one, "/api/step", *headers, token=token), iter([body]), timeout=4)
        found.append(_fine(status_of(reply), reply[-200:]))
    return _counted(found)


def _together(one: App) -> str:
    visitor = Visitor(one).ready()

    def edit(number: int) -> int:
        shape = {"tool": "box", "points": [[1 + number, 1], [30 + number, 30]]}
        status, told = visitor.post("/api/edit", {"action": "add", "shape": shape, "cut": False})
        return _fine(status, told)

    with ThreadPoolExecutor(30) as pool:
        found = list(pool.map(edit, range(30)))
    status, state, _ = visitor.send("GET", "/api/state")
    drawn = len(json.loads(state)["regions"])
    need(status == 200 and drawn == 1 + found.count(200), f"{drawn} regions after {found.count(200)} edits")
    return _counted(found)


def _uploads(one: App) -> str:
    visitor, found = Visitor(one).begin(), list[int]()
    for number in range(60):
        status, told = visitor.upload((f"{number}.png", png(64, 48)))
        found.append(_fine(status, told))
        visitor.post("/api/step", {"by": -1})
    return _counted(found)
