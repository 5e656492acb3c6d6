"""What a visitor, or a page on another site, sends to the app."""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import signal
import socket
import struct
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from strange.case import PROGRAM, Bench, Case, Surprise, need
from strange.images import FILES, png
from strange.replies import BODIES, REPLIES, replying
from strange.server import Handler, Server, healthy

SAFE = "refused with a sentence; the next visitor is answered"
HEADERS = ("content-security-policy", "x-frame-options", "x-content-type-options")


@dataclass(kw_only=True)
class App:
    """A running app whose model is at an endpoint of ours.

    Attributes:
        port: Where it listens.
        server: The endpoint; its handler may be changed.
        process: The app.
        log: What it says.
    """

    port: int
    server: Server
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def megabytes(self) -> float:
        """The most memory that it has held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # pyright: ignore[reportOptionalSubscript]

    def lowered(self) -> None:
        """Reset the peak of memory, where the system can."""
        with suppress(OSError):
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)


def start(*more: str, server: Server) -> App:
    """Start the app, and wait until it tells its address."""
    log = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115 - as long as the app
    _LOGS.append(log)
    process = subprocess.Popen(
        [*PROGRAM, "app", "--model", server.model, "--port", "0", *more],
        stdout=log,
        stderr=log,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    for _ in range(1200):
        said = Path(log.name).read_text()
        if found := re.search(r"http://[^:/]+:(\d+)", said.replace(server.url, "")):
            return App(port=int(found[1]), server=server, process=process, log=Path(log.name))
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise Surprise(f"the app did not start: {Path(log.name).read_text()[-300:]}")


STARTED: list[App] = []
_LOGS: list[Any] = []
_STACK = ExitStack()


def app() -> App:
    """The app that all visitors share."""
    if not STARTED:
        server = _STACK.enter_context(Server(handler=lambda c, r: STARTED_HANDLER[0](c, r)))
        STARTED.append(start(server=server))
        _STACK.callback(STARTED[0].stop)
    return STARTED[0]


STARTED_HANDLER: list[Handler] = [healthy]


def close() -> None:
    """End the app that all visitors shared."""
    _STACK.close()
    STARTED.clear()


class Visitor:
    """One visit of the app, over one connection at a time."""

    def __init__(self, app: App, token: str = "") -> None:
        self.app, self.token = app, token

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, timeout: float = 60
    ) -> tuple[int, bytes, HTTPResponse]:
        """A request; the status, body and the reply's headers."""
        connection = HTTPConnection("127.0.0.1", self.app.port, timeout=timeout)
        sent = {"X-Session": self.token, **(headers or {})}
        connection.request(method, path, body=body, headers=sent)
        reply = connection.getresponse()
        with closing(connection):
            return reply.status, reply.read(), reply

    def post(self, path: str, value: Any, **options: Any) -> tuple[int, Any]:
        """A request of JSON; status and JSON."""
        status, body, _ = self.send("POST", path, json.dumps(value), {"Content-Type": "application/json"}, **options)
        try:
            return status, json.loads(body)
        except ValueError:
            return status, body.decode(errors="replace")

    def begin(self) -> Visitor:
        """Begin a visit."""
        status, told = self.post("/api/begin", {"saved": ""})
        need(status == 200, f"a visit could not begin: {status} {told}")
        self.token = told["token"]
        return self

    def upload(self, *files: tuple[str, bytes], fields: int = 0, kind: str = "image") -> tuple[int, Any]:
        """Open files."""
        mark = secrets.token_hex(8)
        parts = [*(("as", kind.encode()), ("kind", b"auto"), ("intrinsics", b"")), *((f"f{n}", b"x") for n in range(fields))]
        body = b"".join(
            f'--{mark}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n'.encode() + v + b"\r\n" for n, v in parts
        )
        for name, data in files:
            head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
            body += head.encode(errors="surrogatepass") + data + b"\r\n"
        body += f"--{mark}--\r\n".encode()
        status, told, _ = self.send("POST", "/api/open", body, {"Content-Type": f"multipart/form-data; boundary={mark}"})
        with suppress(ValueError):
            return status, json.loads(told)
        return status, told.decode(errors="replace")

    def ask(self, question: str = "How wide is <region1>?", timeout: float = 60) -> tuple[int, str]:
        """Ask about a box, which is drawn if there is none."""
        status, body, _ = self.send(
            "POST",
            "/api/ask",
            json.dumps({"question": question, "models": [self.app.server.model]}),
            {"Content-Type": "application/json"},
            timeout,
        )
        return status, body.decode(errors="replace")

    def ready(self) -> Visitor:
        """Begin a visit with an image and a box."""
        self.begin()
        status, told = self.upload(("a.png", png(64, 48)))
        need(status == 200, f"an image could not be opened: {status} {told}")
        shape = {"tool": "box", "points": [[5, 5], [40, 40]]}
        status, told = self.post("/api/edit", {"action": "add", "shape": shape, "cut": False})
        need(status == 200, f"a box could not be drawn: {status} {told}")
        return self


def cases() -> Iterator[Case]:
    """Each at one running app; afterwards the next visitor must be answered."""
    plain: tuple[tuple[str, str, Callable[[App], str]], ...] = (
        ("a body of 100 GB is announced", SAFE, _announced),
        ("a chunked body without end", SAFE, _chunked),
        ("a body of 3 GB that is really sent", SAFE, _sent),
        ("100,000 brackets as JSON", SAFE, partial(_json, "[" * 100_000)),
        ("a question of 50 MB", SAFE, _long_question),
        ("JSON that is not an object", SAFE, partial(_json, "[1]")),
        ("a number of 100,000 digits", SAFE, partial(_json, '{"question": ' + "9" * 100_000 + "}")),
        ("no model", SAFE, partial(_json, '{"question": "How wide is <region1>?", "models": []}')),
        ("half a character in a question", "answered, or refused with a sentence", _half_character),
        ("another model than those of the app", SAFE, _other_model),
        ("a Host of another site", "refused", partial(_host, {"Host": "evil.example"})),
        ("an Origin of another site", "refused", partial(_host, {"Origin": "http://evil.example"})),
        ("an Origin that is null", "refused", partial(_host, {"Origin": "null"})),
        ("Host 127.0.0.1.evil.example", "refused", partial(_host, {"Host": "127.0.0.1.evil.example"})),
        ("an Origin of another port of this machine", "refused", partial(_host, {"Origin": "http://127.0.0.1:1"})),
        ("two Hosts, no Host, HTTP/0.9", "refused or closed; the next visitor is answered", _raw_hosts),
        ("every address without a token", "401 or 404 for all that is a visitor's", _without_token),
        ("1,000 guessed tokens", "none is let in", _guessed),
        ("/../../etc/passwd in 12 ways", "404 or 400, never a file", _outside),
        ("methods that there are not", "405, 404 or 400", _methods),
        ("a WebSocket", "refused", _websocket),
        ("200 connections that never finish a header", "the next visitor is answered within 10 s", _slow_heads),
        ("40 connections that never finish a body", "the next visitor is answered within 10 s", _slow_bodies),
        ("a visitor who reads no answer", "the next visitor is answered within 10 s", _reads_nothing),
        ("headers of 10 MB", "refused", _headers),
        ("the 21st question of a minute", "told how long to wait", _hurried),
        ("a zip that unpacks to 5 GB", SAFE, partial(_zip, "bomb")),
        ("a zip of 70,000 files", SAFE, partial(_zip, "many")),
        ("a zip in a zip in a zip of 4 GB", SAFE, partial(_zip, "nested")),
        ("a zip whose names lead out", SAFE, partial(_zip, "out")),
        ("a zip of links", SAFE, partial(_zip, "links")),
        ("a zip whose sizes are lies", SAFE, partial(_zip, "lies")),
        ("uploads of odd names", "opened, or refused with a sentence; never a 500", _names),
        ("an upload of 100,000 fields", SAFE, _fields),
        ("a form without its end", SAFE, _endless_form),
        ("101 images", "the 101st is refused with a sentence", _hundred),
        ("HTML in names and labels", "no tag comes back unescaped", _html),
        ("headers of every page", "the three protecting ones, everywhere", _protected),
        ("a session that is asked by 30 at once", "answers, or a told queue", _thirty),
    )
    for name, expected, act in plain:
        yield Case(kind="the app", done=name, expected=expected, run=partial(visit, act))
    yield Case(kind="the app", done="all odd images are opened", expected="opened, or refused with a sentence", run=_all_images)
    yield Case(kind="the app", done="all hostile replies", expected="an answer or a sentence", run=_all_replies)
    yield Case(kind="the app", done="all bodies without end", expected="an answer or a sentence", run=_all_bodies)


def visit(act: Callable[[App], str], bench: Bench) -> str:
    """What came of something that is done to the app; afterwards the next visitor must be answered."""
    one = app()
    came = act(one)
    STARTED_HANDLER[0] = healthy
    began = time.monotonic()
    status, page, _ = Visitor(one).send("GET", "/", timeout=10)
    need(status == 200 and b"</html>" in page, f"the next visitor got {status}")
    need(time.monotonic() - began < 10, "the next visitor waited")
    bench.note("app", one.megabytes)
    need(one.megabytes < 1500, f"{one.megabytes:.0f} MB of memory")
    return came


def refused(status: int, told: Any) -> str:
    """A refusal with a sentence."""
    text = told.get("error", "") if isinstance(told, dict) else str(told)
    need(400 <= status < 500, f"{status}: {text[:200]}")
    need(0 < len(text) < 500 and "Traceback" not in text, f"{status}, told {text[:100]!r}")
    return f"{status}: {text[:90]}"


def pipe(one: App, head: str, blocks: Iterator[bytes], timeout: float = 20) -> bytes:
    """Send a request by hand as far as it is taken; what came back."""
    with socket.create_connection(("127.0.0.1", one.port), timeout=timeout) as connection:
        connection.sendall(head.encode())
        with suppress(OSError):
            for block in blocks:
                connection.sendall(block)
        reply = b""
        with suppress(OSError):
            while len(reply) < 65536 and (more := connection.recv(65536)):
                reply += more
        return reply


def post_head(one: App, path: str, *headers: str, token: str = "") -> str:
    """The head of a request of JSON."""
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{one.port}", f"X-Session: {token}", "Content-Type: application/json"]
    return "\r\n".join([*lines, *headers, "", ""])


def status_of(reply: bytes) -> int:
    """The status of a reply; 0 where there was none."""
    found = re.match(rb"HTTP/1.1 (\d+)", reply)
    return int(found[1]) if found else 0


def _closed(reply: bytes) -> str:
    status = status_of(reply)
    need(status == 0 or 400 <= status < 500, f"{status}: {reply[-100:]!r}")
    return str(status or "closed")


def _announced(one: App) -> str:
    token = Visitor(one).begin().token
    return _closed(pipe(one, post_head(one, "/api/ask", "Content-Length: 107374182400", token=token), iter([b"{"])))


def _chunked(one: App) -> str:
    token = Visitor(one).begin().token
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    return _closed(
        pipe(one, post_head(one, "/api/ask", "Transfer-Encoding: chunked", token=token), (piece for _ in range(3000)))
    )


def _sent(one: App) -> str:
    token = Visitor(one).begin().token
    head = post_head(one, "/api/open", f"Content-Length: {3 * 2**30}", token=token).replace(
        "application/json", "multipart/form-data; boundary=x"
    )
    first = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    return _closed(pipe(one, head, (first if n == 0 else b"\0" * 2**20 for n in range(3072))))


def _refused(status: int, told: bytes) -> str:
    """A refusal whose body may be JSON or plain words."""
    with suppress(ValueError):
        return refused(status, json.loads(told))
    return refused(status, told.decode(errors="replace"))


def _json(body: str, one: App) -> str:
    visitor = Visitor(one).ready()
    status, told, _ = visitor.send("POST", "/api/ask", body, {"Content-Type": "application/json"})
    return _refused(status, told)


def _half_character(one: App) -> str:
    visitor = Visitor(one).ready()
    sent = '{"question": "\\ud83d How wide is <region1>?", "models": ["MODEL"]}'.replace("MODEL", one.server.model)
    status, told, _ = visitor.send("POST", "/api/ask", sent, {"Content-Type": "application/json"})
    need(status < 500 and b"went wrong" not in told, f"{status}: {told[-200:]!r}")
    return str(status)


def _long_question(one: App) -> str:
    return _json(json.dumps({"question": "why " * 12_500_000, "models": [one.server.model]}), one)


def _other_model(one: App) -> str:
    visitor = Visitor(one).ready()
    return refused(*visitor.post("/api/ask", {"question": "<region1>?", "models": ["api:m@http://127.0.0.1:9/v1"]}))


def _host(headers: dict[str, str], one: App) -> str:
    status, body, _ = Visitor(one).send("POST", "/api/begin", '{"saved": ""}', {"Content-Type": "application/json", **headers})
    need(400 <= status < 500, f"{status}: {body[:80]!r}")
    return str(status)


def _raw_hosts(one: App) -> str:
    heads = ("GET / HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET /\r\n\r\n")
    return ", ".join(_closed(pipe(one, head, iter(()), timeout=5)) for head in heads)


ADDRESSES = (
    *("/api/state", "/api/image", "/api/depth", "/api/depth.png", "/api/measures", "/api/space"),
    *("/api/export/zip", "/api/export/scene"),
)


def _without_token(one: App) -> str:
    Visitor(one).ready()
    found = {path: Visitor(one).send("GET", path)[0] for path in ADDRESSES}
    posts = {path: Visitor(one).post(path, {})[0] for path in ("/api/edit", "/api/ask", "/api/save", "/api/jump", "/api/ruler")}
    let_in = [path for path, status in {**found, **posts}.items() if status not in {401, 403, 404}]
    need(not let_in, f"let in: {let_in}")
    return "401 everywhere"


def _guessed(one: App) -> str:
    real = Visitor(one).ready().token
    guesses = [
        *(secrets.token_urlsafe(8) for _ in range(900)),
        *(real[:-1] + chr(c) for c in range(33, 120) if chr(c) != real[-1]),
    ]
    need(not any(Visitor(one, guess).send("GET", "/api/state")[0] == 200 for guess in guesses), "a guess was let in")
    return f"{len(guesses)} refused"


def _outside(one: App) -> str:
    ways = (
        "/../../../../etc/passwd",
        "/assets/../../../../../etc/passwd",
        "/assets/..%2f..%2f..%2f..%2fetc/passwd",
        "/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/assets//etc/passwd",
        "/assets/..\\..\\etc\\passwd",
        "/assets/%00",
        "/s/../../etc/passwd",
        "/example/-1",
        "/example/99999999999999999999",
        "/example/..%2f..",
        "/assets/" + "a" * 6000,
    )
    statuses: list[int] = []
    for way in ways:
        status, body, _ = Visitor(one).send("GET", way)
        need(b"root:" not in body, f"{way} is served")
        need(status < 500, f"{way}: {status}")
        statuses.append(status)
    return str(sorted(set(statuses)))


def _methods(one: App) -> str:
    found = [
        Visitor(one).send(method, path)[0]
        for method in ("TRACE", "PUT", "DELETE", "PATCH", "FOO")
        for path in ("/", "/api/open")
    ]
    need(all(400 <= status < 500 for status in found), str(found))
    return str(sorted(set(found)))


def _websocket(one: App) -> str:
    head = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
    )
    replies = [
        pipe(one, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{one.port}\r\n{head}\r\n\r\n", iter(()), timeout=5)
        for path in ("/api/state", "/ws")
    ]
    need(all(status_of(reply) != 101 for reply in replies), "upgraded")
    return str([status_of(reply) for reply in replies])


def _held(one: App, count: int, head: str) -> str:
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", one.port), timeout=10))
            connection.sendall(head.encode())
        began = time.monotonic()
        status, answer = Visitor(one).ready().ask(timeout=10)
        need(status == 200 and "In Conclusion" not in answer[:1], f"{status}: {answer[:80]}")
        return f"answered in {time.monotonic() - began:.1f} s"


def _slow_heads(one: App) -> str:
    return _held(one, 200, "GET / HTTP/1.1\r\nX: ")


def _slow_bodies(one: App) -> str:
    return _held(one, 40, post_head(one, "/api/open", "Content-Length: 99999", token=Visitor(one).begin().token) + "{")


def _reads_nothing(one: App) -> str:
    visitor = Visitor(one).ready()
    body = json.dumps({"question": "How wide is <region1>?", "models": [one.server.model]})
    return _held(one, 10, post_head(one, "/api/ask", f"Content-Length: {len(body)}", token=visitor.token) + body)


def _headers(one: App) -> str:
    return _closed(pipe(one, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", (b"y" * 2**20 for _ in range(10)), timeout=5))


def _hurried(one: App) -> str:
    visitor = Visitor(one).ready()
    for _ in range(20):
        status, told = visitor.ask()
        need(status == 200, f"{status}: {told[:80]}")
    status, told = visitor.ask()
    need("minute" in told or "second" in told or "wait" in told, f"{status}: {told[:100]}")
    return f"{status}: {told[:90]}"


def _zip(what: str, one: App) -> str:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        if what in {"bomb", "many"}:
            _fill(archive, what)
        elif what == "nested":
            archive.writestr("a.zip", _inner(_inner(b"\0" * 2**29) * 1))
        elif what == "out":
            for name in ("../../evil.png", "/tmp/strangers-evil.png", "..\\..\\evil.png", "a/../../evil.png"):
                archive.writestr(name, png(64, 48))
        elif what == "links":
            link = zipfile.ZipInfo("image.png")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        else:
            archive.writestr("image.png", png(64, 48))
    data = file.getvalue()
    if what == "lies":
        place = data.rindex(b"PK\x01\x02") + 24
        data = data[:place] + struct.pack("<I", 10) + data[place + 4 :]
    visitor = Visitor(one).begin()
    status, told = visitor.upload(("a.zip", data))
    need(not Path("/tmp/strangers-evil.png").exists(), "a file was written outside")
    if what == "out" and status == 200:
        return "opened, names inside"
    return refused(status, told)


def _fill(archive: zipfile.ZipFile, what: str) -> None:
    if what == "many":
        for number in range(70_000):
            archive.writestr(f"{number}.json", b"")
        return
    with archive.open("depth.png", "w", force_zip64=True) as inner:
        for _ in range(5_000):
            inner.write(b"\0" * 2**20)


def _inner(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("b.zip", data)
    return file.getvalue()


def _names(one: App) -> str:
    names = (
        "",
        ".",
        "..",
        "/",
        "../../x.png",
        "x" * 5000 + ".png",
        "a\\b\\..\\c.png",
        "\x01.png",
        "é😀.png",
        "con.png",
        "a.png/",
        " ",
    )
    visitor, found = Visitor(one).begin(), []
    for name in names:
        status, told = visitor.upload((name, png(64, 48)))
        need(status == 200 or refused(status, told) != "", "")
        found.append(status)
    return str(found)


def _fields(one: App) -> str:
    return refused(*Visitor(one).begin().upload(("a.png", png(64, 48)), fields=100_000))


def _endless_form(one: App) -> str:
    visitor = Visitor(one).begin()
    body = b"--x\r\nContent-Disposition: form-data; name=" + b"y" * 3_000_000
    status, told, _ = visitor.send("POST", "/api/open", body, {"Content-Type": "multipart/form-data; boundary=x"})
    return _refused(status, told)


def _hundred(one: App) -> str:
    visitor = Visitor(one).begin()
    for number in range(100):
        status, told = visitor.upload((f"{number}.png", png(8, 8)))
        if status != 200:
            return f"the {number + 1}th: {refused(status, told)}"
    return "the 101st: " + refused(*visitor.upload(("last.png", png(8, 8))))


def _html(one: App) -> str:
    visitor = Visitor(one).begin()
    status, _ = visitor.upload(('<img src=x onerror="1">.png', png(64, 48)))
    visitor = visitor if status == 200 else Visitor(one).ready()
    visitor.post("/api/edit", {"action": "add", "shape": {"tool": "box", "points": [[5, 5], [40, 40]]}, "cut": False})
    status, answer = visitor.ask("<script>1</script> <region1>?")
    lines = [json.loads(line) for line in answer.splitlines() if line.strip()]
    need(
        not any(
            "<script" in str(line.get("html", "")) or "onerror" in str(line.get("html", ""))
            for line in lines
            if isinstance(line, dict)
        ),
        "a tag came back",
    )
    return f"{status}, escaped"


def _protected(one: App) -> str:
    visitor = Visitor(one).ready()
    for path in ("/", "/assets/main.js", "/api/state", "/api/image", "/nothing", "/api/measures", "/browse"):
        reply = visitor.send("GET", path)[2]
        missing = [name for name in HEADERS if reply.getheader(name) is None]
        need(not missing, f"{path} lacks {missing}")
        policy = reply.getheader("content-security-policy") or ""
        need("unsafe-inline" not in policy and "unsafe-eval" not in policy, f"{path}: {policy}")
    return "everywhere"


def _thirty(one: App) -> str:
    from concurrent.futures import ThreadPoolExecutor

    visitor = Visitor(one).ready()
    with ThreadPoolExecutor(30) as pool:
        found = list(pool.map(lambda _: visitor.ask(), range(30)))
    need(all(status == 200 or (status < 500 and "wait" in told) for status, told in found), str(found)[:200])
    return str({status: sum(each == status for each, _ in found) for status in sorted({status for status, _ in found})})


def _all_images(bench: Bench) -> str:
    def act(one: App) -> str:
        opened = 0
        for name, _, file, make in FILES:
            one.lowered()
            status, told = Visitor(one).begin().upload((file, make()))
            need(status == 200 or bool(refused(status, told)), name)
            need(one.megabytes < 1500, f"{name}: {one.megabytes:.0f} MB of memory")
            bench.note("app: an image", one.megabytes)
            opened += status == 200
        return f"{opened} opened, {len(FILES) - opened} refused"

    return visit(act, bench)


def _all_replies(bench: Bench) -> str:
    return visit(lambda one: _asked(one, [(name, replying(make)) for name, make in REPLIES], bench), bench)


def _all_bodies(bench: Bench) -> str:
    return visit(lambda one: _asked(one, list(BODIES), bench), bench)


def _asked(one: App, handlers: list[tuple[str, Handler]], bench: Bench) -> str:
    for name, handler in handlers:
        STARTED_HANDLER[0] = handler
        one.lowered()
        try:
            status, told = Visitor(one).ready().ask(timeout=180)  # the app itself waits 120 s for an endpoint
        except (OSError, HTTPException) as error:
            raise Surprise(f"{name}: {error}") from error
        need(status == 200 and "Traceback" not in told, f"{name}: {status} {told[-100:]}")
        need(one.megabytes < 1500, f"{name}: {one.megabytes:.0f} MB of memory")
        bench.note("app: a reply", one.megabytes)
    return f"{len(handlers)} told or answered"
