"""What a server said when it did not answer: its words, taken out of the many forms that servers wrap them in.

OpenAI's form is `{"error": {"message", "type", "param", "code"}}`. Others put it into a list (Gemini), into `detail` (FastAPI),
into bare texts (LM Studio, xAI), or into the message of another error (gateways); a few send it with status 200.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST_SAID_CHARACTERS = 4_000
"""Maximum number of characters read of a server's message."""

_DEPTH = 8
_NESTED = re.compile(r"\{.{0,4000}\}", re.DOTALL)
_TEXTS = ("message", "msg", "detail", "error", "errors", "reason", "description", "raw", "error_message",
          "error_msg", "status_msg", "errmsg")  # fmt: skip
_GENERIC = re.compile(r"\s*(provider returned error|bad request|error|unknown error|upstream error)\.?\s*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Said:
    """An error of a server.

    Attributes:
        status: The HTTP status, or the code that a reply with status 200 names as its error's.
        message: All its words, one after the other.
        params: The names that the error points at, such as "temperature" or "messages[0].role".
        codes: The codes and types that it gives, in lower case.
        body: The parsed reply, for further details.
    """

    status: int
    message: str
    params: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    body: Any = None

    @property
    def words(self) -> str:
        """The message in lower case, with plain quotes and single blanks, thousands without commas, for comparing."""
        text = re.sub(r"\\+[nrt]", " ", self.message.lower())  # of a text inside of a text
        plain = re.sub(r"[`\"\u2018\u2019\u201c\u201d\\]", "'", text)
        return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", " ".join(plain.split()))


def read_said(status: int, text: str) -> Said:
    r"""The error in the text of a reply, whatever its form.

    >>> said = read_said(400, '[{"error": {"code": 400, "message": "Unknown name: seed", "status": "INVALID_ARGUMENT"}}]')
    >>> said.message, sorted(said.codes)
    ('Unknown name: seed', ['400', 'invalid_argument'])
    """
    body = _parsed(text)
    if body is None:
        return Said(status=status, message=re.sub(r"<[^>]{0,200}>", " ", text[:MOST_SAID_CHARACTERS]).strip())
    messages, params, codes = _Gathered(), set[str](), set[str]()
    for key, value in _walk(body):
        if key in _TEXTS and isinstance(value, str):
            messages.add(value)
        elif key in {"param", "parameter", "field", "loc"} and isinstance(value, str) and value:
            params.add(value)
        elif key in {"code", "type", "status", "quotaId"} and isinstance(value, str | int) and not isinstance(value, bool):
            codes.add(str(value).lower()[:80])
    if not messages.texts and isinstance(body, str):
        messages.add(body)
    named = next((int(code) for code in codes if code.isdecimal() and 400 <= int(code) <= 599), None)
    return Said(
        status=named if status < 400 and named else status,
        message=" ".join(messages.texts)[:MOST_SAID_CHARACTERS],
        params=frozenset(params),
        codes=frozenset(codes),
        body=body,
    )


def is_error(body: Any) -> bool:
    """Whether a reply with status 200 is an error: it has one, and no choices."""
    return isinstance(body, Mapping) and bool(body.get("error")) and not body.get("choices")


def is_refusal(body: Any) -> bool:
    """Whether a chat's reply with status 200 tells an error in place of choices, in whatever form."""
    if not isinstance(body, Mapping) or body.get("choices"):
        return False
    return is_error(body) or isinstance(body.get("message"), str) or any(body.get(name) for name in _INSTEAD)


_INSTEAD = ("errors", "detail", "msg", "base_resp", "error_msg", "errmsg", "error_message", "status_msg")


class _Gathered:
    """Texts in their order; generic ones only where there is nothing else, none inside of another."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    @property
    def texts(self) -> list[str]:
        return [text for text in self._texts if not _GENERIC.fullmatch(text)] or self._texts[:1]

    def add(self, text: str) -> None:
        text = text.strip()[:MOST_SAID_CHARACTERS]
        if text and not any(text in known for known in self._texts):
            self._texts.append(text)


def _walk(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """All named values of a parsed error, those of errors inside of its texts too."""
    if depth > _DEPTH:
        return
    if isinstance(value, Mapping):
        for name, inner in list(value.items())[:40]:
            yield from _walk(inner, str(name), depth + 1)
    elif isinstance(value, list):
        if key == "loc":  # FastAPI's place of a field, part by part
            yield key, ".".join(map(str, value[:8]))
            return
        for inner in value[:20]:
            yield from _walk(inner, key, depth + 1)
    else:
        found = _NESTED.search(value[:MOST_SAID_CHARACTERS]) if isinstance(value, str) else None
        inner = _parsed(found.group()) if found else None
        if found and inner is not None:  # gateways pass on what they were told
            yield from _walk(inner, "", depth + 1)
            value = value.replace(found.group(), "").strip(" -:")
        yield key, value


def _parsed(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Mapping | list | str) else None
