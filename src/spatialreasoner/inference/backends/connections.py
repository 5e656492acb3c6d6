"""How a server is reached: the key, certificates and proxies of this machine, and what a failed connection says to do."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # pyright: ignore[reportAttributeAccessIssue]

from spatialreasoner.core.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    import httpx2


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


def endpoint_key(variable: str) -> str:
    """The key in an environment variable, without blanks around it; "" where there is none.

    Raises:
        ConfigError: If it cannot be sent in a header; the message does not repeat it.
    """
    key = os.environ.get(variable, "").strip()
    if any(not "!" <= mark <= "~" for mark in key):
        raise ConfigError(
            f"expected a key of printable ASCII characters, without blanks or line breaks, in {variable}; it holds others "
            "(not shown here); set it again"
        )
    return key


def connect(url: str, headers: Mapping[str, str], timeout: float) -> httpx2.AsyncClient:
    """A client for one base URL, through the proxies that the environment names.

    Raises:
        ConfigError: If a proxy or a file of certificates in the environment cannot be used.
    """
    httpx = import_httpx()
    try:
        return httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=min(timeout, 60.0), pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            headers=dict(headers),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none is kept: a server is not to know who asks
            verify=certificates() if url.startswith("https") else False,
        )
    except OSError as error:
        raise ConfigError(
            f"the certificates of this machine cannot be read ({error}); check SSL_CERT_FILE and SSL_CERT_DIR"
        ) from None
    except (ValueError, httpx.InvalidURL, ImportError):
        names = ", ".join(sorted(name for name in os.environ if name.lower() in _PROXIES))
        raise ConfigError(
            f"expected proxies such as http://HOST:PORT in {names or 'the environment'}; one cannot be used (SOCKS needs the "
            "package socksio); correct or unset it, or list the endpoint's host in NO_PROXY"
        ) from None


_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


@cache
def certificates() -> ssl.SSLContext:
    """What all clients check servers by; loading it takes longest of all."""
    return import_httpx().create_ssl_context()


def proxy(url: str) -> str:
    """Host and port of the proxy on the way to an address, without its password; "" where there is none."""
    parts, proxies = urlsplit(url), getproxies_environment()
    found = proxies.get(parts.scheme) or proxies.get("all") or ""
    passed_by = not found or proxy_bypass_environment(parts.hostname or "", proxies)
    return "" if passed_by else found.rpartition("@")[2].rpartition("//")[2][:200]


def failed_connection(url: str, error: Exception) -> str:
    """What went wrong with a connection, in its own words, and what to look at."""
    words, address, between = words_of(error), urlsplit(url).netloc.rpartition("@")[2], proxy(url)
    if set(re.findall(r"\w+", words)) == {"ConnectError"} and url.startswith("https:"):  # nothing but its class
        words = "it hung up during the TLS handshake"
    if between:
        return (
            f"cannot be reached through the proxy {between} ({words}); the environment names it (HTTP_PROXY, HTTPS_PROXY, "
            "ALL_PROXY): is it running? To do without it, list the endpoint's host in NO_PROXY"
        )
    return f"cannot be reached ({words}); {_advice(words, address)}"


def _advice(words: str, address: str) -> str:
    if any(part in words for part in ("SSL", "TLS", "CERTIFICATE", "certificate")):
        return f"the TLS handshake with {address} failed; is its certificate valid, and BASE_URL rightly http:// or https://?"
    if "unreachable" in words:
        return f"there is no way to {address} from this network; check BASE_URL, and the network"
    if any(part in words for part in ("Name or service", "nodename", "name resolution", "No address", "getaddrinfo")):
        return f"the host name of {address} is unknown; check BASE_URL, and the network"
    if "refused" in words or "All connection attempts failed" in words:
        return f"nothing listens at {address}; is the server running?"
    if any(part in words for part in ("disconnected", "closed", "incomplete", "ReadError")):
        return "it hung up before its reply was whole"
    if "illegal" in words or "Protocol" in words:
        return f"what answers at {address} does not speak HTTP as it should; check BASE_URL"
    return "is the server running?"


_ASIDES = frozenset({"no running event loop"})
"""What libraries try in passing and handle, which stays in the context of later errors."""


def words_of(error: BaseException) -> str:
    """The messages of an error and of its causes; the classes' names where they have none."""
    said: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(said) < 4:
        text = str(seen) or type(seen).__name__
        if text not in _ASIDES and not any(text in known for known in said):
            said.append(text[:200])
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return f"{type(error).__name__}: {'; '.join(said)}"
