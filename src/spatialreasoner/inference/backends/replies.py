"""What an endpoint replied: its choices, cleaned, with why each ended and what it took. Nothing of a reply is trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from spatialreasoner.core.errors import BusyError
from spatialreasoner.core.types import Completion
from spatialreasoner.inference.cleaning import MOST_CLEANED_CHARACTERS, clean_reply, refused

MOST_REPLY_TOKENS = 10_000_000
"""More tokens than one request can take; a larger number is no count."""

Finish = Literal["stop", "length", "refusal"]

_LENGTH = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded", "token_limit"}
)
_REFUSAL = frozenset(
    {
        "content_filter",
        "refusal",
        "safety",
        "sensitive",
        "prohibited_content",
        "blocklist",
        "recitation",
        "spii",
        "content_filtered",
    }
)
_ERRORS = frozenset(
    {"error", "network_error", "insufficient_system_resource", "server_error", "abort", "aborted", "cancelled", "timeout",
     "malformed_function_call", "engine_overloaded", "other_error"}
)  # fmt: skip


def parse_body(text: str) -> Any:
    """The JSON of a reply, with or without a byte order mark; None where it is none."""
    try:
        return json.loads(text.removeprefix("\ufeff"), parse_int=_whole_number)
    except (ValueError, RecursionError):
        return None


def _whole_number(digits: str) -> int | float:
    """A number of any length: one beyond what Python converts is beyond every limit, too, and costs no answer."""
    return int(digits) if len(digits) < 100 else math.inf


def read_completions(name: str, body: Any, *, n: int, prefix: str) -> list[Completion]:
    """The completions in a reply, at most as many as were asked for.

    Args:
        name: What to call the endpoint in errors.
        body: The reply as it was parsed.
        n: Replies that were asked for.
        prefix: The beginning of the answer that was continued.

    Raises:
        BusyError: If it has no choices, or the server stopped with an error while writing.
    """
    choices = body.get("choices") if isinstance(body, Mapping) else None
    if not isinstance(choices, list) or not choices:
        raise BusyError(f"{name}: expected choices with messages in the reply; there are none", kind="bad reply")
    read = [_read_choice(name, choice, prefix) for choice in choices[:n]]
    spent = _usage(body.get("usage"))
    shares = [spent.written // len(read) + (index < spent.written % len(read)) for index in range(len(read))]
    return [
        Completion(
            text=text,
            prompt_tokens=spent.read if index == 0 else 0,
            completion_tokens=shares[index],
            finish=finish,
            cached_tokens=spent.cached if index == 0 else 0,
            thinking=thinking,
        )
        for index, (text, thinking, finish) in enumerate(read)
    ]


def _read_choice(name: str, choice: Any, prefix: str) -> tuple[str, str, Finish]:
    if not isinstance(choice, Mapping):
        raise BusyError(f"{name}: expected choices with messages in the reply; there are none", kind="bad reply")
    message = choice.get("message")
    if message is None and isinstance(choice.get("text"), str):  # the older form, which some servers keep
        message = {"content": choice["text"]}
    if not isinstance(message, Mapping):
        raise BusyError(f"{name}: expected choices with messages in the reply; there are none", kind="bad reply")
    reason = str(choice.get("finish_reason") or choice.get("finishReason") or "stop").lower()
    if reason in _ERRORS or choice.get("error"):
        said = choice.get("error") or message.get("error") or reason
        said = said.get("message", reason) if isinstance(said, Mapping) else said
        raise BusyError(f"{name} stopped with an error while writing: {str(said)[:200]}", kind="errored reply")
    if isinstance(message.get("content"), str) and len(message["content"]) > MOST_CLEANED_CHARACTERS:
        raise BusyError(f"{name}: the reply has more than {MOST_CLEANED_CHARACTERS} characters", kind="bad reply")
    declined = refused(message)
    cleaned = clean_reply(message, prefix=prefix)
    if declined is not None or reason in _REFUSAL or reason.startswith("content_filter"):
        return cleaned.text or declined or "", cleaned.thinking, "refusal"
    return cleaned.text, cleaned.thinking, "length" if reason in _LENGTH else "stop"


@dataclass(frozen=True, kw_only=True)
class _Usage:
    read: int = 0
    written: int = 0
    cached: int = 0


def _usage(usage: Any) -> _Usage:
    """What a request took; 0 where the reply does not tell."""
    if not isinstance(usage, Mapping):
        return _Usage()
    read = _count(usage, "prompt_tokens", "input_tokens")
    written = _count(usage, "completion_tokens", "output_tokens")
    total = _count(usage, "total_tokens")
    details = usage.get("prompt_tokens_details")
    cached = _count(details if isinstance(details, Mapping) else {}, "cached_tokens")
    cached = cached or _count(usage, "prompt_cache_hit_tokens", "cache_read_input_tokens", "cached_tokens")
    if written and total > read + written:  # Gemini bills thinking that it lists nowhere but in the total
        written = total - read
    return _Usage(read=read, written=written, cached=min(cached, read))


def _count(usage: Mapping[str, Any], *names: str) -> int:
    for name in names:
        count = usage.get(name)
        if isinstance(count, int) and not isinstance(count, bool) and 0 < count <= MOST_REPLY_TOKENS:
            return count
    return 0


@dataclass(kw_only=True)
class Assembled:
    """A streamed reply, put together event by event into the form of one that comes whole."""

    _choices: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    _usage: Any = None
    error: Any = None
    _characters: int = 0

    def add(self, event: Any) -> list[str]:
        """Take in one event; returns the new pieces of text of the first choice."""
        if not isinstance(event, Mapping):
            return []
        self.error = self.error or event.get("error")
        self._usage = event.get("usage") or self._usage
        choices = event.get("choices")
        pieces: list[str] = []
        for choice in choices[:64] if isinstance(choices, list) else ():
            if isinstance(choice, Mapping):
                pieces += self._add_choice(choice)
        return pieces

    def _add_choice(self, choice: Mapping[str, Any]) -> list[str]:
        index = choice.get("index")
        number = index if isinstance(index, int) and 0 <= index < 64 else 0
        whole = self._choices.setdefault(number, {"message": {"content": []}, "finish_reason": None})
        whole["finish_reason"] = choice.get("finish_reason") or whole["finish_reason"]
        delta = choice.get("delta") or choice.get("message")
        if not isinstance(delta, Mapping):
            return []
        new: list[str] = []
        for name in ("content", "reasoning_content", "reasoning", "refusal"):
            text = delta.get(name)
            if isinstance(text, str) and self._characters < 2 * MOST_CLEANED_CHARACTERS:
                self._characters += len(text)
                whole["message"].setdefault(name, []).append(text)
                new += [text] if name == "content" and text and number == 0 else []
        return new

    def body(self) -> dict[str, Any]:
        """The reply as it would have come whole."""
        choices = [
            {**choice, "message": {name: "".join(pieces) for name, pieces in choice["message"].items()}}
            for _, choice in sorted(self._choices.items())
        ]
        return {"choices": choices, "usage": self._usage, "error": self.error}


def ended(completions: Sequence[Completion]) -> str:
    """How a reply counts: "answer", or why there is none in it.

    >>> ended([Completion(text="", finish="length", thinking="Hm.")])
    'empty: cut off while thinking'
    """
    if any(completion.finish == "stop" and completion.text.strip() for completion in completions):
        return "answer"
    if any(completion.finish == "refusal" for completion in completions):
        return "refusal"
    if any(completion.text.strip() for completion in completions):
        return "cut off"
    if any(completion.finish == "length" for completion in completions):
        return "empty: cut off while thinking" if any(completion.thinking for completion in completions) else "empty: cut off"
    return "empty"
