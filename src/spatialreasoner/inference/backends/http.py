"""One request to an untrusted server: bounded in bytes and time, kept on its host, failures in their own words."""

from __future__ import annotations

import asyncio
import json
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from spatialreasoner.core.errors import BusyError, EndpointError
from spatialreasoner.inference.backends.connections import connect, failed_connection, import_httpx, words_of
from spatialreasoner.inference.counting import count_another

if TYPE_CHECKING:
    import httpx2

MOST_BYTES = 8 * 2**20
"""A longer reply is refused, however small it was packed: no answer comes near it."""

MOST_REDIRECTS = 3

STREAM_END = "[DONE]"
"""The last event of a stream."""

SECRET_LENGTH = 16
"""A key of so many characters is one, and kept out of what an endpoint replies; "none" or "EMPTY" is a word."""

_READ = {"Accept": "application/json, text/event-stream", "Accept-Encoding": "gzip"}
_JSON = {"Content-Type": "application/json", **_READ}
_PIECE = 2**20


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a server answered: the status, its headers with names in lower case, and its text."""

    status: int
    headers: Mapping[str, str]
    text: str


Post = Callable[[Mapping[str, Any]], Awaitable[Answered]]
"""Sends the JSON of a request, and gives what was answered: at once, or when a batch is done."""


class HttpClient:
    """Sends requests to one base URL.

    Args:
        name: What to call the endpoint in errors.
        url: The base URL.
        headers: Sent with every request, the key among them; to no other host.
        timeout: Timeout of a request until the last byte of its reply, in seconds.

    Raises:
        ConfigError: If a proxy or a file of certificates in the environment cannot be used.
        MissingExtraError: If the `httpx2` package is not installed.
    """

    def __init__(self, name: str, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self._name, self._url, self._headers, self._timeout = name, url.rstrip("/"), dict(headers), timeout
        self._httpx = import_httpx()
        connect(self._url, self._headers, self._timeout)  # what is wrong with this machine is reported before anything is sent
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answered:
        """Send a JSON body, and read the whole reply.

        Raises:
            BusyError: If there was no reply, or it cannot be read.
            EndpointError: If the server sends requests on to another host.
        """
        return await self._answered("POST", path, _json(body), {**_JSON, **(headers or {})}, self._timeout)

    async def get(self, path: str) -> Answered:
        """Read what is at a path.

        Raises:
            BusyError: If there was no reply, or it cannot be read.
            EndpointError: If the server sends requests on to another host.
        """
        return await self._answered("GET", path, None, _READ, self._timeout)

    async def upload(self, path: str, file: Path, fields: Mapping[str, str], timeout: float) -> Answered:
        """Send a file as a form does, with fields before it; it is read piece by piece while it is sent.

        Raises:
            BusyError: If there was no reply, or it cannot be read.
            EndpointError: If the server sends requests on to another host.
        """
        form = _Form(file, fields)
        return await self._answered("POST", path, form, {**_READ, **form.headers()}, timeout)

    async def lines(self, path: str, timeout: float) -> AsyncGenerator[Answered]:
        """Read what is at a path line by line, however long it is; a reply that is not a success comes whole, as one.

        Raises:
            BusyError: If there was no reply, a line is too long, or it cannot be read.
            EndpointError: If the server sends requests on to another host.
        """
        clock = asyncio.get_running_loop().time
        end_of_patience = clock() + timeout
        async with self._sending("GET", path, None, _READ, timeout) as response:
            status, headers, waiting = response.status_code, _lower(response.headers), b""
            async for piece in self._unpacked(response, whole=status >= 300):
                if clock() > end_of_patience:
                    raise self._too_late()
                waiting += piece
                if status < 300:
                    *whole, waiting = waiting.split(b"\n")
                    for line in filter(None, map(bytes.strip, whole)):
                        yield Answered(status=status, headers=headers, text=line.decode("utf-8", "replace"))
            if waiting.strip() or status >= 300:
                yield Answered(status=status, headers=headers, text=waiting.decode("utf-8", "replace"))

    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Answered]:
        """Send a JSON body, and read the reply event by event; a reply that is not a stream of events comes whole, as one.

        Raises:
            BusyError: If there was no reply, or it cannot be read.
            EndpointError: If the server sends requests on to another host.
        """
        async with self._sending("POST", path, _json(body), _JSON, self._timeout) as response:
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
                        if text == STREAM_END:  # what comes after it belongs to nothing that was asked
                            return
            if streamed and waiting.startswith(b"data:"):
                waiting, streamed = waiting[5:].strip(), False
            if waiting.strip() and not streamed:
                yield Answered(status=status, headers=headers, text=waiting.decode("utf-8", "replace"))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.aclose()
        self._client = None

    async def _answered(
        self, method: str, path: str, content: bytes | _Form | None, headers: Mapping[str, str], timeout: float
    ) -> Answered:
        self._connected()  # which may load certificates first: no part of the wait
        try:
            async with asyncio.timeout(timeout), self._sending(method, path, content, headers, timeout) as response:
                data = bytearray()
                async for piece in self._unpacked(response):
                    data += piece
                text = data.decode("utf-8", "replace")
                if len(key := self._headers.get("api-key", "")) >= SECRET_LENGTH:  # answers are kept, and published
                    text = text.replace(key, "***")
                return Answered(status=response.status_code, headers=_lower(response.headers), text=text)
        except TimeoutError:
            raise self._too_late() from None

    @asynccontextmanager
    async def _sending(
        self, method: str, path: str, content: bytes | _Form | None, headers: Mapping[str, str], timeout: float
    ) -> AsyncGenerator[httpx2.Response]:
        """A reply whose body is yet to be read, begun in time; redirects are followed on the same host alone."""
        url = f"{self._url}/{path}"
        end_of_patience = asyncio.get_running_loop().time() + timeout
        try:
            for redirects in range(MOST_REDIRECTS + 1):
                if redirects:
                    await count_another()
                body = content.pieces() if isinstance(content, _Form) else content
                request = self._connected().build_request(method, url, content=body, headers=dict(headers))
                try:  # interim replies (102) may continue for ever, each of them in time
                    async with asyncio.timeout_at(end_of_patience):
                        response = await self._connected().send(request, stream=True)
                except TimeoutError:
                    raise self._too_late() from None
                try:
                    if response.status_code not in {301, 302, 303, 307, 308}:
                        yield response
                        return
                    url = self._next(url, response.headers.get("location", ""))
                finally:
                    await response.aclose()
            raise EndpointError(f"{self._name}: more than {MOST_REDIRECTS} redirects; give the final address as BASE_URL")
        except self._httpx.TimeoutException as error:
            raise BusyError(f"{self._name} did not reply in time ({words_of(error)})", kind="timeout") from None
        except (self._httpx.HTTPError, self._httpx.InvalidURL, ssl.SSLError) as error:
            raise BusyError(f"{self._name} {failed_connection(self._url, error)}", kind="connection") from None

    def _too_late(self) -> BusyError:
        return BusyError(f"{self._name} did not reply within {self._timeout:g} s", kind="timeout")

    def _next(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
            old, new = urlsplit(url), urlsplit(target)
            same = (old.scheme, old.hostname, _port(old)) == (new.scheme, new.hostname, _port(new))
        except ValueError as error:
            raise EndpointError(f"{self._name} redirects to an invalid address ({error}); check BASE_URL") from None
        if not location or not same:
            where = f"{new.scheme}://{new.netloc.rpartition('@')[2]}" if location else "nowhere"
            raise EndpointError(
                f"{self._name} redirects to {where[:200]}; images and questions are not sent on to another address: if it is "
                "yours, give it as BASE_URL"
            )
        return target

    async def _unpacked(self, response: httpx2.Response, *, whole: bool = True) -> AsyncIterator[bytes]:
        """The body, piece by piece, unpacked here: a small reply may hold gigabytes. Unless `whole`, the limit is per line."""
        packed = response.headers.get("content-encoding", "identity").lower().strip()
        if packed not in {"identity", "", "gzip", "x-gzip", "deflate"}:
            raise BusyError(f"{self._name}: the reply is encoded as {packed[:20]!r}; gzip was requested", kind="bad reply")
        unpack = None if packed in {"identity", ""} else zlib.decompressobj(47)
        read = 0
        async for piece in response.aiter_raw():
            try:
                for data in _parts(piece, unpack):
                    read = read + len(data) if whole or b"\n" not in data else len(data) - data.rfind(b"\n") - 1
                    if read > MOST_BYTES:
                        raise BusyError(f"{self._name}: the reply is longer than {MOST_BYTES >> 20} MiB", kind="bad reply")
                    yield data
            except zlib.error as error:
                raise BusyError(
                    f"{self._name}: the reply is not valid gzip, although its header says so ({error})", kind="bad reply"
                ) from None
        if unpack is not None and not unpack.eof:
            raise BusyError(f"{self._name}: the gzip stream of the reply is cut off", kind="bad reply")

    def _connected(self) -> httpx2.AsyncClient:
        """The client of the running event loop; connections cannot outlive the loop they were made in."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = connect(self._url, self._headers, self._timeout), loop
        return self._client


class _Form:
    """A form with a file, as `multipart/form-data`, read while it is sent."""

    def __init__(self, file: Path, fields: Mapping[str, str]) -> None:
        boundary = token_hex(16)
        part = f'--{boundary}\r\nContent-Disposition: form-data; name="'
        texts = "".join(f'{part}{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
        begin = f'{texts}{part}file"; filename="{file.name.lstrip(".")}"\r\nContent-Type: application/jsonl\r\n\r\n'
        self._file, self._begin, self._end = file, begin.encode(), f"\r\n--{boundary}--\r\n".encode()
        self._type = f"multipart/form-data; boundary={boundary}"

    def headers(self) -> dict[str, str]:
        """The headers that describe the form."""
        length = len(self._begin) + self._file.stat().st_size + len(self._end)
        return {"Content-Type": self._type, "Content-Length": str(length)}

    async def pieces(self) -> AsyncIterator[bytes]:
        """The form, piece by piece."""
        yield self._begin
        with self._file.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, _PIECE):
                yield piece
        yield self._end


def _parts(piece: bytes, unpack: Any) -> Iterator[bytes]:
    """What a piece unpacks to, in parts of bounded length."""
    if unpack is None:
        yield piece
        return
    while piece:
        yield unpack.decompress(piece, _PIECE)
        piece = unpack.unconsumed_tail


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=True, allow_nan=False).encode()


def _port(url: Any) -> int:
    return url.port or {"https": 443, "http": 80}.get(url.scheme, 0)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value[:1000] for name, value in list(headers.items())[:100]}
