"""When to ask again: all the ways in which servers say it.

`Retry-After` in seconds or as a date, `retry-after-ms` (OpenAI, Azure), "try again in 7.66s" (OpenAI, Groq), `retryDelay`
(Gemini), `x-ratelimit-reset-requests: 6m0s` (OpenAI), RFC 3339 dates (Messages API), seconds or milliseconds since 1970
(OpenRouter).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

from spatialreasoner.inference.said import Said

LONGEST = 7 * 86_400.0
"""A longer wait than a week is taken for a week."""

_EPOCH = 1e9
"""A number beyond it counts seconds since 1970, beyond a thousand times it milliseconds; below, seconds from now."""

_UNITS: dict[str, float] = {
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86_400.0,
    "day": 86_400.0,
}
_PART = r"\d{1,9}(?:\.\d{1,9})?\s?(?:ms|milliseconds?|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"
_DURATION = re.compile(rf"(?:{_PART}[\s,]{{0,2}}(?:and )?){{1,5}}", re.IGNORECASE)
_PIECE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s?([a-z]+)", re.IGNORECASE)
_WORDS = re.compile(
    rf"(?:again|retry|retrying|wait|reset|resets|available)\W{{1,3}}(?:\w+\W{{1,2}}){{0,3}}?({_DURATION.pattern})",
    re.IGNORECASE,
)
_KEYS = ("retrydelay", "retry_after", "retry-after", "retryafter", "retry_after_seconds")


def retry_after(said: Said, headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds to wait, or None if the server says nothing of it.

    Args:
        said: The error; its words and its body are searched.
        headers: The reply's headers, names in lower case.
        now: Seconds since 1970.
    """
    ways = (_explicit(headers, now), _in_body(said.body, now), _in_words(said.message), _resets(headers, now))
    for found in ways:
        if found is not None:
            return min(LONGEST, max(0.0, found))
    return None


def seconds(text: str, *, now: float) -> float | None:
    """The wait that a text names: a number, a duration or a time.

    >>> seconds("6m0s", now=0), seconds("7.66s", now=0), seconds("120ms", now=0), seconds("1h2m", now=0), seconds("20", now=0)
    (360.0, 7.66, 0.12, 3720.0, 20.0)
    """
    text = text.strip()[:80]
    try:
        number = float(text)
    except ValueError:
        return _duration(text) if _DURATION.fullmatch(text) else _until(text, now)
    if not isfinite(number):
        return None
    if number >= 1000 * _EPOCH:
        number /= 1000
    return min(number - now if number >= _EPOCH else number, LONGEST)


def _explicit(headers: Mapping[str, str], now: float) -> float | None:
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None and (wait := seconds(milliseconds, now=now)) is not None:
        return wait / 1000
    said = headers.get("retry-after")
    return None if said is None else seconds(said, now=now)


def _in_body(body: Any, now: float) -> float | None:
    for key, value in _named(body):
        if key in _KEYS and isinstance(value, str | int | float) and not isinstance(value, bool):
            return seconds(str(value), now=now)
        if key == "headers" and isinstance(value, Mapping):  # OpenRouter passes the provider's headers on
            return _resets({str(name).lower(): str(inner) for name, inner in list(value.items())[:40]}, now)
    return None


def _in_words(message: str) -> float | None:
    found = _WORDS.search(message)
    return _duration(found.group(1)) if found else None


def _resets(headers: Mapping[str, str], now: float) -> float | None:
    """The last of the limits that are used up is renewed then; of all that are told, where none says that it is."""
    told: dict[str, float] = {}
    used_up: set[str] = set()
    for name, value in headers.items():
        if "ratelimit" not in name.replace("-limit", "limit"):
            continue
        bucket = name.replace("reset", "*").replace("remaining", "*").replace("-after", "")
        if "reset" in name and (wait := seconds(value, now=now)) is not None:
            told[bucket] = wait
        elif "remaining" in name and value.strip() in {"0", "0.0"}:
            used_up.add(bucket)
    waits = [wait for bucket, wait in told.items() if bucket in used_up] or list(told.values())
    return max(waits, default=None)


def _duration(text: str) -> float | None:
    total, found = 0.0, False
    for number, unit in _PIECE.findall(text):
        scale = _scale(unit.lower())
        if scale is None:
            return None
        total, found = total + float(number) * scale, True
    return total if found else None


def _scale(unit: str) -> float | None:
    unit = {"milliseconds": "ms", "millisecond": "ms", "hrs": "h", "hr": "h"}.get(unit, unit)
    return _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))


def _until(date: str, now: float) -> float | None:
    try:
        moment = datetime.fromisoformat(date) if re.match(r"\d{4}-", date) else parsedate_to_datetime(date)
        return moment.timestamp() - now
    except (ValueError, OverflowError, OSError):
        return None


def _named(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > 6:
        return
    if isinstance(value, Mapping):
        for key, inner in list(value.items())[:40]:
            yield str(key).lower(), inner
            yield from _named(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value[:20]:
            yield from _named(inner, depth + 1)
