"""One request to a server that nobody trusts: bounded in bytes and time, kept on its host, failures in their own words."""

from __future__ import annotations

import asyncio
import json
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from spatialreasoner.core.errors import BusyError, EndpointError, MissingExtraError

if TYPE_CHECKING:
    import httpx2

MOST_BYTES = 8 * 2**20
"""A longer reply is refused, however small it was packed: no answer comes near it."""

MOST_REDIRECTS = 3

_JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Accept-Encoding": "gzip"}


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a server answered: the status, its headers with names in lower case, and its text."""

    status: int
    headers: Mapping[str, str]
    text: str


class HttpClient:
    """Sends requests to one base URL.

    Args:
        name: What to call the endpoint in errors.
        url: The base URL.
        headers: Sent with every request, the key among them; to no other host.
        timeout: Longest wait for one reply, from first to last byte, seconds.
    """

    def __init__(self, name: str, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self._name, self._url, self._headers, self._timeout = name, url.rstrip("/"), dict(headers), timeout
        self._httpx = import_httpx()
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(self, path: str, body: Mapping[str, Any]) -> Answered:
        """Send a JSON body, and read the whole reply.

        Raises:
            BusyError: If there was no reply, or it cannot be read.
            EndpointError: If the server sends requests on to another host.
        """
        content = json.dumps(body, ensure_ascii=True, allow_nan=False).encode()
        self._connected()  # which may load certificates first: no part of the wait
        try:
            async with asyncio.timeout(self._timeout), self._sending(path, content) as response:
                data = bytearray()
                async for piece in self._unpacked(response):
                    data += piece
                return Answered(
                    status=response.status_code, headers=_lower(response.headers), text=data.decode("utf-8", "replace")
                )
        except TimeoutError:
            raise self._too_late() from None

    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Answered]:
        """Send a JSON body, and read the reply event by event; a reply that is not a stream of events comes whole, as one.

        Raises:
            BusyError: If there was no reply, or it cannot be read.
            EndpointError: If the server sends requests on to another host.
        """
        content = json.dumps(body, ensure_ascii=True, allow_nan=False).encode()
        async with self._sending(path, content) as response:
            status, headers = response.status_code, _lower(response.headers)
            streamed, waiting = headers.get("content-type", "").startswith("text/event-stream"), b""
            clock = asyncio.get_running_loop().time
            end_of_patience = clock() + self._timeout
            async for piece in self._unpacked(response):
                if clock() > end_of_patience:
                    raise self._too_late()
                waiting += piece
                while streamed and (end := waiting.find(b"\n")) >= 0:
                    line, waiting = waiting[:end].strip(), waiting[end + 1 :]
                    if line.startswith(b"data:"):
                        text = line[5:].strip().decode("utf-8", "replace")
                        yield Answered(status=status, headers=headers, text=text)
            if waiting.strip() and not streamed:
                yield Answered(status=status, headers=headers, text=waiting.decode("utf-8", "replace"))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.aclose()
        self._client = None

    @asynccontextmanager
    async def _sending(self, path: str, content: bytes) -> AsyncGenerator[httpx2.Response]:
        """A reply whose body is yet to be read; redirects are followed on the same host alone."""
        url = f"{self._url}/{path}"
        try:
            for _ in range(MOST_REDIRECTS + 1):
                request = self._connected().build_request("POST", url, content=content, headers=_JSON)
                response = await self._connected().send(request, stream=True)
                try:
                    if response.status_code not in {301, 302, 303, 307, 308}:
                        yield response
                        return
                    url = self._next(url, response.headers.get("location", ""))
                finally:
                    await response.aclose()
            raise EndpointError(
                f"{self._name}: more than {MOST_REDIRECTS} redirects; give the address where they end as BASE_URL"
            )
        except self._httpx.TimeoutException as error:
            raise BusyError(f"{self._name} did not reply in time ({_words(error)})", kind="timeout") from None
        except (self._httpx.HTTPError, self._httpx.InvalidURL, ssl.SSLError) as error:
            raise self._connection_error(error) from None

    def _too_late(self) -> BusyError:
        return BusyError(f"{self._name} did not reply within {self._timeout:g} s", kind="timeout")

    def _next(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
        if not location or (old.scheme, old.hostname, _port(old)) != (new.scheme, new.hostname, _port(new)):
            where = f"{new.scheme}://{new.netloc.rpartition('@')[2]}" if location else "nowhere"
            raise EndpointError(
                f"{self._name} redirects to {where[:200]}; images and questions are not sent on to another address: if it is "
                "yours, give it as BASE_URL"
            )
        return target

    async def _unpacked(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        """The body, piece by piece, unpacked here: a small reply may hold gigabytes."""
        packed = response.headers.get("content-encoding", "identity").lower().strip()
        if packed not in {"identity", "", "gzip", "x-gzip", "deflate"}:
            raise BusyError(f"{self._name}: the reply is packed as {packed[:20]!r}; gzip was asked for", kind="bad reply")
        unpack = None if packed in {"identity", ""} else zlib.decompressobj(47)
        read = 0
        async for piece in response.aiter_raw():
            try:
                data = piece if unpack is None else unpack.decompress(piece, MOST_BYTES - read + 1)
            except zlib.error as error:
                raise BusyError(f"{self._name}: the reply is not a gzip, as it says ({error})", kind="bad reply") from None
            read += len(data)
            if read > MOST_BYTES:
                raise BusyError(f"{self._name}: the reply is longer than {MOST_BYTES >> 20} MiB", kind="bad reply")
            yield data
        if unpack is not None and not unpack.eof:
            raise BusyError(f"{self._name}: the reply ends within its gzip", kind="bad reply")

    def _connected(self) -> httpx2.AsyncClient:
        """The client of the running event loop; connections cannot outlive the loop they were made in."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            timeout = self._httpx.Timeout(self._timeout, connect=min(self._timeout, 60.0), pool=None)
            limits = self._httpx.Limits(max_connections=None, max_keepalive_connections=64)
            verify = _certificates() if self._url.startswith("https") else False
            client: httpx2.AsyncClient = self._httpx.AsyncClient(
                timeout=timeout, limits=limits, headers=self._headers, verify=verify
            )
            self._client, self._loop = client, loop
        return self._client

    def _connection_error(self, error: Exception) -> BusyError:
        """What went wrong with a connection, in its own words, and what to look at."""
        words, address = _words(error), urlsplit(self._url).netloc.rpartition("@")[2]
        fix = "is the server running?"
        if any(part in words for part in ("SSL", "TLS", "CERTIFICATE", "certificate")):
            fix = (
                f"the TLS handshake with {address} failed; is its certificate valid, and BASE_URL rightly http:// or https://?"
            )
        elif any(part in words for part in ("Name or service", "nodename", "name resolution", "No address", "getaddrinfo")):
            fix = f"the host name of {address} is unknown; check BASE_URL, and the network"
        elif "refused" in words or "All connection attempts failed" in words:
            fix = f"nothing listens at {address}; is the server running?"
        elif "disconnected" in words or "closed" in words or "incomplete" in words or "ReadError" in words:
            fix = "it hung up before its reply was whole"
        elif "illegal" in words or "Protocol" in words:
            fix = f"what answers at {address} does not speak HTTP as it should; check BASE_URL"
        return BusyError(f"{self._name} cannot be reached ({words}); {fix}", kind="connection")


def import_httpx() -> Any:
    """The package `httpx2`.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import httpx2
    except ImportError:
        raise MissingExtraError("models behind endpoints need the httpx2 package: pip install 'spatialreasoner[api]'") from None
    return httpx2


@cache
def _certificates() -> ssl.SSLContext:
    """What all clients check servers by; loading it takes longest of all."""
    return import_httpx().create_ssl_context()


def _words(error: BaseException) -> str:
    """What an error and what it was caused by say; the classes' names where they say nothing."""
    said: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(said) < 4:
        text = str(seen) or type(seen).__name__
        if not any(text in known for known in said):
            said.append(text[:200])
        seen = seen.__cause__ or seen.__context__
    return f"{type(error).__name__}: {'; '.join(said)}"


def _port(url: Any) -> int:
    return url.port or {"https": 443, "http": 80}.get(url.scheme, 0)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value[:1000] for name, value in list(headers.items())[:100]}
