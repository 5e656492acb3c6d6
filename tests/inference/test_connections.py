"""The key, the proxies and the certificates of this machine: told before anything is sent, and never repeated with secrets."""

import asyncio
import contextlib
import socketserver
import threading
import time

import pytest

from inference.server.server import Reply, Server
from spatialreasoner.core.errors import BusyError, ConfigError, EndpointError
from spatialreasoner.inference.backends.api import ApiPolicy
from spatialreasoner.inference.backends.connections import connect, endpoint_key, failed_connection, words_of
from spatialreasoner.inference.backends.http import HttpClient
from spatialreasoner.inference.failures import judge_failure
from spatialreasoner.inference.said import read_said

NAME = "api:m@http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("key", ["sk-planted\nX: y", "sk-pl\u00e4nted", "sk planted", "sk-planted\x1b[2J", "\u200bsk-planted"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_told(monkeypatch, key):
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(ConfigError, match="MY_KEY") as refused:
        ApiPolicy(f"{NAME}?key_variable=MY_KEY")
    assert "planted" not in str(refused.value)


@pytest.mark.parametrize(("key", "sent"), [("sk-1\r\n", "sk-1"), ("  ", ""), (" sk-1 ", "sk-1")])
def test_blanks_around_a_key_are_none_of_it(monkeypatch, key, sent):
    monkeypatch.setenv("MY_KEY", key)
    assert endpoint_key("MY_KEY") == sent


@pytest.mark.parametrize("proxy", ["::::", "socks9://127.0.0.1:9", "http://me:planted@127.0.0.1:x"])
def test_a_proxy_that_is_none_is_refused_and_not_told(monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(ConfigError, match="HTTP_PROXY") as refused:
        ApiPolicy(NAME)
    assert "planted" not in str(refused.value)


def test_certificates_that_are_not_there_are_refused(monkeypatch, tmp_path):
    (tmp_path / "a.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "a.pem"))
    from spatialreasoner.inference.backends import connections

    connections.certificates.cache_clear()
    try:
        with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
            connect("https://127.0.0.1:9", {}, 1.0)
    finally:
        connections.certificates.cache_clear()


def test_a_proxy_on_the_way_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://me:planted@127.0.0.1:9")
    with pytest.raises(BusyError, match=r"through the proxy 127\.0\.0\.1:9 .* NO_PROXY") as failed:
        asyncio.run(HttpClient("m", "http://192.0.2.1/v1", {}, 1.0).get("models"))
    assert "planted" not in str(failed.value)


def test_a_server_that_hangs_up_at_once_is_told_of_as_such():
    class ConnectError(Exception):
        """As httpx2 raises it: without a word."""

    said = failed_connection("https://127.0.0.1:9/v1", ConnectError())
    assert "hung up during the TLS handshake" in said
    assert "is its certificate valid" in said


def test_a_refused_port_says_nothing_of_event_loops(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:10")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(BusyError, match=r"nothing listens at 127\.0\.0\.1:9") as failed:
        asyncio.run(HttpClient("m", "http://127.0.0.1:9/v1", {}, 1.0).get("models"))
    assert "event loop" not in str(failed.value)
    assert "proxy" not in str(failed.value)
    assert words_of(ValueError()) == "ValueError: ValueError"


@pytest.mark.parametrize("location", ["http://[::1", "http://127.0.0.1:99999/v1", "//[", "http://127.0.0.1:http/"])
def test_a_redirect_to_an_address_that_is_none_is_told(location):
    with Server(lambda ask: Reply(status=307, value={}, headers={"Location": location})).start() as server:
        with pytest.raises(EndpointError, match="redirects to"):
            asyncio.run(HttpClient("m", server.url, {}, 5.0).post("chat/completions", {"messages": []}))
        server.stop()


class Interim(socketserver.BaseRequestHandler):
    """Says again and again that it is at work."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.request.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
                time.sleep(0.05)


@pytest.mark.parametrize("way", ["post", "events", "lines"])
def test_interim_replies_without_end_are_not_a_reply(way):
    """Each of them comes in time, so only the whole wait can end it."""

    async def ask(client: HttpClient) -> None:
        try:
            if way == "post":
                await client.post("chat", {})
            async for _ in client.events("chat", {}) if way == "events" else client.lines("chat", 0.3):
                pass
        finally:
            await client.aclose()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Interim) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = HttpClient("m", f"http://127.0.0.1:{server.server_address[1]}/v1", {}, 0.3)
        with pytest.raises(BusyError, match=r"did not reply within 0\.3 s"):
            asyncio.run(asyncio.wait_for(ask(client), 10))
        server.shutdown()


def test_cookies_are_not_sent_back():
    cookies = []

    def respond(ask):
        cookies.append(ask.headers.get("cookie"))
        return Reply(value={"choices": []}, headers={"Set-Cookie": "who=you; Path=/"})

    with Server(respond).start() as server:
        client = HttpClient("m", server.url, {}, 5.0)

        async def twice():
            for _ in range(2):
                await client.post("chat/completions", {"messages": []})
            await client.aclose()

        asyncio.run(twice())
        server.stop()
    assert cookies == [None, None]


def test_a_proxy_that_wants_a_password_is_not_taken_for_a_key():
    failure = judge_failure(read_said(407, "<h1>Proxy Authentication Required</h1>"))
    assert failure.owner == "endpoint"
    assert "HTTP_PROXY" in failure.fix
    assert "OPENAI_API_KEY" not in failure.fix
