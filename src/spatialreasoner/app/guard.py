"""What is checked before every request: for whom it is, how large it may be, and what browsers are told about the reply."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from spatialreasoner.app.config import AppConfig
from spatialreasoner.core.progress import wording

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Scripts and styles come from this server's own files; there are none in the page."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""What a machine calls itself."""

MAX_BODY_BYTES = 2_000_000
"""Of every request but uploads."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """An ASGI application around another one.

    Args:
        inner: The other one.
        config: The app's settings.
    """

    def __init__(self, inner: Any, config: AppConfig) -> None:
        self._inner, self._config, self._word = inner, config, wording.get()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self._inner(scope, receive, send)
        if (refused := self._stranger(Headers(scope=scope))) is not None:
            return await JSONResponse({"error": refused}, 403)(scope, receive, _with_headers(send))
        most = self._config.max_megabytes * 1_000_000 if scope["path"] == "/api/open" else MAX_BODY_BYTES
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if not told.isdigit() or int(told) > most:
            reply = JSONResponse({"error": _too_large(most)}, 413)
            return await reply(scope, receive, _with_headers(send))
        return await self._inner(scope, _bounded(receive, most), _with_headers(send))

    def _stranger(self, headers: Headers) -> str | None:
        """Why a request is not for this app: a page elsewhere can have a browser send it, but not under this app's name."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._allows(host):
            add = self._word("`allowed_hosts`")
            return f"This app is not called {host[:100]!r}; start it with {add} to reach it under that name."
        if origin is not None and urlsplit(origin).netloc != host:
            return f"Pages of {origin[:100]!r} may not use this app."
        return None

    def _allows(self, host: str) -> bool:
        name = _name_of(host)
        config = self._config
        if name in LOOPBACK or name == config.host.lower() or {name, "*"} & {each.lower() for each in config.allowed_hosts}:
            return True
        # An address says where the app is, whoever writes it; a name can be made to lead here by a stranger
        return config.host not in LOOPBACK and _is_address(name)


def _name_of(host: str) -> str:
    """The host without its port.

    >>> _name_of("[::1]:7860"), _name_of("LocalHost:7860")
    ('::1', 'localhost')
    """
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _bounded(receive: Any, most: int) -> Any:
    """Receive at most `most` bytes: a request need not give its length."""
    seen = 0

    async def bounded() -> Any:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, _too_large(most))
        return message

    return bounded


def _with_headers(send: Any) -> Any:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in {"Content-Security-Policy": POLICY, **_HEADERS}.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


def _too_large(most: int) -> str:
    return f"At most {most / 1e6:g} MB can be sent here at a time."
