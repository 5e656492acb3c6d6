"""Slow servers, servers that cannot be reached, and servers that send one elsewhere."""

from __future__ import annotations

import itertools
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from strange.case import Bench, Case, Ended, need
from strange.replies import answers, generate, once, rows
from strange.server import Handler, Request, Server, begin, chunk, healthy, moved, respond

SLOW = "told after the 6 s of --timeout and little more; the other three are kept; the same command asks for the fourth"
WORDS = "exit 1 or 2 with the cause in words of its own, and what to do"
ELSEWHERE = "the other server is sent nothing, and the end says so"


def _drip(connection: socket.socket, request: Request) -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b" " * 5000
    for byte in body:
        connection.sendall(bytes([byte]))
        time.sleep(0.3)


def _drip_chunks(connection: socket.socket, request: Request) -> None:
    begin(connection)
    for _ in range(300):
        chunk(connection, b" ")
        time.sleep(0.3)


def _silent(connection: socket.socket, request: Request) -> None:
    time.sleep(60)


def _half(connection: socket.socket, request: Request) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
    time.sleep(60)


def _later(value: str) -> Handler:
    return lambda connection, request: respond(
        connection, {"error": {"message": "slow down"}}, status="429 Too Many Requests", Retry_After=value
    )


def _interim(connection: socket.socket, request: Request) -> None:
    for _ in range(200):
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
        time.sleep(0.3)


DELAYS: tuple[tuple[str, Handler], ...] = (
    ("one byte three times per second", _drip),
    ("one chunk of a blank three times per second", _drip_chunks),
    ("nothing at all after the request", _silent),
    ("half a reply, then nothing", _half),
    ("interim replies and nothing else", _interim),
    ("Retry-After: 1e308", _later("1e308")),
    ("Retry-After: inf", _later("inf")),
    ("Retry-After: -7", _later("-7")),
    ("Retry-After of the year 9999", _later("Fri, 31 Dec 9999 23:59:59 GMT")),
    ("Retry-After of 5000 digits", _later("9" * 5000)),
)


def cases() -> Iterator[Case]:
    """Slow ones, unreachable ones, and redirects."""
    for name, handler in DELAYS:
        yield Case(kind="slow servers", done=name, expected=SLOW, run=partial(_slow, handler))
    yield Case(kind="slow servers", done="a TLS handshake without an answer", expected=SLOW, run=_handshake)
    yield Case(
        kind="slow servers", done="20 s of silence, watched at the terminal",
        expected="after about 10 s the terminal says what is being waited for", run=_watched,
    )  # fmt: skip
    for name, url, says in ADDRESSES:
        yield Case(kind="connection errors", done=name, expected=WORDS, run=partial(_address, url, says))
    for name, make, says in SERVERS:
        yield Case(kind="connection errors", done=name, expected=WORDS, run=partial(_server, make, says))
    for name, env, says in ENVIRONMENTS:
        yield Case(kind="connection errors", done=name, expected=WORDS, run=partial(_environment, env, says))
    for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"):
        yield Case(
            kind="redirects", done=f"a {status} to another host", expected=ELSEWHERE,
            run=partial(_elsewhere, status, "http://localhost:{port}/v1/chat/completions"),
        )  # fmt: skip
    for name, location in LOCATIONS:
        yield Case(kind="redirects", done=name, expected=ELSEWHERE, run=partial(_elsewhere, "307 Temporary Redirect", location))
    yield Case(kind="redirects", done="a circle", expected="ends within the timeout, told", run=_circle)
    yield Case(kind="redirects", done="a 308 to another path of the host", expected="followed; 4 answers", run=_moved)


def _slow(handler: Handler, bench: Bench) -> str:
    with Server(handler=once(handler)) as server:
        first = generate(bench, server).expect(1, within=60)
    return _again(bench, server, first)


def _handshake(bench: Bench) -> str:
    with Server(raw=lambda connection: time.sleep(60)) as server:
        model = server.model.replace("http:", "https:")
        first = bench.spatial(
            "generate", bench.questions, "--model", model, "--timeout", "6", "--out", bench.folder / "out.jsonl"
        ).expect(1, within=60)
    return f"{first.seconds:.0f} s: {first.error[:90]}"


def _watched(bench: Bench) -> str:
    with Server(handler=once(_silent)) as server:
        first = bench.spatial(
            "generate", bench.questions, "--model", server.model, "--timeout", "14", "--out", bench.folder / "out.jsonl"
        ).expect(1, says="wait", within=60)
    return next(line for line in first.err.splitlines() if "wait" in line)[:90]


def _again(bench: Bench, server: Server, first: Ended) -> str:
    with Server(handler=healthy, port=server.port) as server:
        generate(bench, server, 60).expect(0)
        need(len(server.asked) <= 1, f"{len(server.asked)} requests were sent again")
    need(rows(bench) == answers(bench.inputs / "healthy.jsonl"), "other answers than a decent server's")
    return f"{first.seconds:.0f} s: {first.error[:90]}"


ADDRESSES: tuple[tuple[str, str, str], ...] = (
    ("a host that there is not", "http://no-such-host.invalid/v1", "host|name|found|resolve"),
    ("a port where nobody listens", "http://127.0.0.1:9/v1", "refused|listen|running"),
    ("half an IPv6 address", "http://[::1/v1", "URL|address"),
    ("port 99999", "http://127.0.0.1:99999/v1", "port"),
    ("port 0", "http://127.0.0.1:0/v1", "port|refused|reached"),
    ("a port of letters", "http://127.0.0.1:http/v1", "port|URL"),
    ("no host", "http:///v1", "URL|host"),
    ("a host with a blank", "http://my host/v1", "URL|host|api:"),
    ("a line break in the host", "http://127.0.0.1\n.evil/v1", "URL|host|api:"),
    ("a host of 300 letters", f"http://{'a' * 300}.invalid/v1", "host|name|long|URL"),
    ("an empty label in the host", "http://a..b/v1", "host|name|URL"),
    ("FTP", "ftp://127.0.0.1/v1", "http"),
    ("a file", "file:///etc/passwd", "http"),
    ("a user and password", "http://me:secret@127.0.0.1/v1", "password"),
)


def _address(url: str, says: str, bench: Bench) -> str:
    end = bench.spatial(
        "generate", bench.questions, "--model", f"api:m@{url}", "--timeout", "6", "--out", bench.folder / "out.jsonl"
    ).expect(1, 2, says=says, within=60)
    need("secret" not in end.err, "the password is told")
    out = bench.folder / "out.jsonl"
    need(not out.exists() or out.read_text().count('"unanswered": "') == 4, "a row does not say why it has no answer")
    return f"exit {end.code}: {end.error[:110]}"


def certificate(bench: Bench, name: str, days: int = 9) -> ssl.SSLContext:
    """A certificate that nobody vouches for."""
    key, cert = bench.folder / "key.pem", bench.folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", str(days),
         "-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def _plain(bench: Bench) -> tuple[Server, str, dict[str, str]]:
    return Server(handler=healthy), "https", {}


def _tls(bench: Bench) -> tuple[Server, str, dict[str, str]]:
    return Server(handler=healthy, tls=certificate(bench, "localhost")), "http", {}


def _unknown(bench: Bench) -> tuple[Server, str, dict[str, str]]:
    return Server(handler=healthy, tls=certificate(bench, "localhost")), "https", {}


def _of_another(bench: Bench) -> tuple[Server, str, dict[str, str]]:
    server = Server(handler=healthy, tls=certificate(bench, "other.example"))
    return server, "https", {"SSL_CERT_FILE": str(bench.folder / "cert.pem")}


def _raw(data: bytes) -> Callable[[Bench], tuple[Server, str, dict[str, str]]]:
    def say(connection: socket.socket) -> None:
        connection.sendall(data)
        with suppress(OSError):
            connection.recv(65536)

    return lambda bench: (Server(raw=say), "http", {})


def _status(status: str, body: str) -> Callable[[Bench], tuple[Server, str, dict[str, str]]]:
    return lambda bench: (Server(handler=lambda connection, request: respond(connection, body, status=status)), "http", {})


def _garbage(bench: Bench) -> tuple[Server, str, dict[str, str]]:
    return Server(handler=lambda c, r: respond(c, b"\x1f\x8b garbage", Content_Encoding="gzip")), "http", {}


SERVERS: tuple[tuple[str, Callable[[Bench], tuple[Server, str, dict[str, str]]], str], ...] = (
    ("https to a server of http", _plain, "TLS|SSL|https|certificate"),
    ("http to a server of https", _tls, "TLS|SSL|https|HTTP|closed"),
    ("a certificate that nobody vouches for", _unknown, "certificate"),
    ("a certificate of another host", _of_another, "certificate"),
    ("a server of SSH", _raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "HTTP|protocol"),
    ("a server that closes at once", _raw(b""), "closed|disconnect|without"),
    ("gzip that is not gzip", _garbage, "gzip|unpack|decompress|decod"),
    ("404 for every path", _status("404 Not Found", "<h1>nginx</h1>"), "404|/v1"),
    ("403 with a page of HTML", _status("403 Forbidden", "<html>" + "x" * 99_999), "403|key|forbidden"),
    ("a status that there is not", _raw(b"HTTP/1.1 999 Whatever\r\nContent-Length: 0\r\n\r\n"), "999|HTTP|protocol|status"),
)


def _server(make: Callable[[Bench], tuple[Server, str, dict[str, str]]], says: str, bench: Bench) -> str:
    server, scheme, env = make(bench)
    with server:
        end = bench.spatial(
            "generate", bench.questions, "--model", f"api:m@{scheme}://127.0.0.1:{server.port}/v1", "--timeout", "6",
            "--out", bench.folder / "out.jsonl", env=env,
        ).expect(1, 2, says=says, within=60)  # fmt: skip
    need(len(end.error) < 1200, f"a message of {len(end.error)} characters")
    return f"exit {end.code}: {end.error[:110]}"


ENVIRONMENTS: tuple[tuple[str, dict[str, str], str], ...] = (
    ("a key with a line break", {"OPENAI_API_KEY": "sk-planted\nX: y"}, "key|OPENAI_API_KEY"),
    ("a key that is not ASCII", {"OPENAI_API_KEY": "sk-plänted"}, "key|OPENAI_API_KEY"),
    ("a key of blanks", {"OPENAI_API_KEY": "   "}, "key|OPENAI_API_KEY|4 predictions"),
    ("a proxy that is not there", {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}, "proxy"),
    ("a proxy that is not a URL", {"HTTP_PROXY": "::::", "http_proxy": "::::"}, "proxy"),
    ("a proxy of another protocol", {"ALL_PROXY": "socks9://127.0.0.1:9", "all_proxy": "socks9://127.0.0.1:9"}, "proxy"),
    ("a file of certificates that is not there", {"SSL_CERT_FILE": "/no/such.pem"}, "certificate|SSL_CERT_FILE|4 predictions"),
)


def _environment(env: dict[str, str], says: str, bench: Bench) -> str:
    with Server(handler=healthy) as server:
        end = bench.spatial(
            "generate", bench.questions, "--model", server.model, "--timeout", "6", "--out", bench.folder / "out.jsonl",
            env={"NO_PROXY": "", "no_proxy": "", **env},
        ).expect(0, 1, 2, says=says, within=60)  # fmt: skip
    need("planted" not in end.err and "plänted" not in end.err, "the key is told")
    return f"exit {end.code}: {end.error[:110]}" if end.code else "4 of 4 answers"


LOCATIONS = (
    ("a 307 to another port of the host", "http://127.0.0.1:{port}/v1/chat/completions"),
    ("a 307 to //host", "//localhost:{port}/v1/chat/completions"),
    ("a 307 to another host behind a user", "http://127.0.0.1@localhost:{port}/v1/chat/completions"),
    ("a 307 to a file", "file:///etc/passwd"),
    ("a 307 to an address that is not one", "http://[::1"),
    ("a 307 to nowhere", ""),
)


def _elsewhere(status: str, location: str, bench: Bench) -> str:
    with Server(handler=healthy) as other:
        target = location.format(port=other.port)
        with Server(handler=lambda c, r: respond(c, b"", status=status, Location=target)) as server:
            end = generate(bench, server).expect(1, 2, within=60)
        need(not other.asked, f"{len(other.asked)} requests were sent to the other server")
    return f"exit {end.code}: {end.error[:110]}"


def _circle(bench: Bench) -> str:
    count = itertools.count()

    def turn(connection: socket.socket, request: Request) -> None:
        respond(connection, b"", status="307 Temporary Redirect", Location=f"/v1/{next(count)}")

    with Server(handler=turn) as server:
        end = generate(bench, server).expect(1, within=60)
    need(next(count) < 1000, "round and round")
    return f"exit {end.code}: {end.error[:110]}"


def _moved(bench: Bench) -> str:
    with Server(handler=partial(moved, "308 Permanent Redirect")) as server:
        generate(bench, server).expect(0)
    need(rows(bench) == answers(bench.inputs / "healthy.jsonl"), "other answers than a decent server's")
    return "4 of 4 answers"
