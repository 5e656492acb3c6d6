"""What an endpoint replied: its choices, cleaned, with why each ended and what it took. Nothing of a reply is trusted."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from spatialreasoner.core.errors import BusyError
from spatialreasoner.core.types import Completion
from spatialreasoner.inference.cleaning import MOST_CLEANED_CHARACTERS, clean_reply, refused

MOST_REPLY_TOKENS = 10_000_000
"""More tokens than one request can take; a larger number is not a count."""

Finish = Literal["stop", "length", "refusal"]

_LENGTH = re.compile(r"length|max_?(?:output_?|predicted_?)?token|token_?limit|context_window|incomplete")
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
        "guardrail_intervened",
        "image_safety",
        "model_armor",
    }
)
_ERRORS = frozenset(
    {"error", "network_error", "insufficient_system_resource", "server_error", "abort", "aborted", "cancelled", "timeout",
     "malformed_function_call", "malformed_response", "engine_overloaded", "engine_error", "internal_error", "failed", "unload",
     "other_error"}
)  # fmt: skip


def parse_body(text: str) -> Any:
    """The JSON of a reply, None if it is not JSON.

    Some servers stream without being asked to, begin with a byte order mark, or put the JSON into a text in JSON.
    """
    value = _parsed(text.lstrip("\ufeff"))
    if isinstance(value, str):
        return _parsed(value)
    return _assembled(text) if value is None and _EVENTS.match(text) else value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_whole_number)
    except (ValueError, RecursionError):
        return None


def _whole_number(digits: str) -> int | float:
    """A number of any length: one beyond what Python converts is beyond every limit, too, and costs no answer."""
    return int(digits) if len(digits) < 100 else math.inf


_EVENTS = re.compile(r"[\s\ufeff]{0,20}(?:data|event|id|retry)?:")


def _assembled(text: str) -> Any:
    """The reply that a text of events adds up to."""
    reply = Assembled()
    for line in text.splitlines():
        if line.startswith("data:"):
            reply.add(_parsed(line[5:]))
    body = reply.body()
    return body if body["choices"] or body["error"] else None


def read_completions(name: str, body: Any, *, n: int, prefix: str) -> list[Completion]:
    """The completions in a reply, at most as many as were asked for.

    Args:
        name: What to call the endpoint in errors.
        body: The reply as it was parsed.
        n: Replies that were asked for.
        prefix: The beginning of the answer that was continued.

    Raises:
        BusyError: If it has no choices, or the server stopped with an error while writing each of them.
    """
    choices = body.get("choices") if isinstance(body, Mapping) else None
    spent = _usage(body.get("usage")) if isinstance(body, Mapping) else _Usage()
    if choices == [] and spent.read + spent.written:  # paid for: gateways leave out what a model only thought
        choices = [{"message": {}}]
    if not isinstance(choices, list) or not choices:
        raise BusyError(f"{name}: expected choices with messages in the reply; there are none", kind="bad reply")
    read = list(_read_choices(name, sorted(choices, key=_index)[:n], prefix))
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


def _index(choice: Any) -> int:
    """The place of a choice, which may come in any order."""
    index = choice.get("index") if isinstance(choice, Mapping) else None
    return index if isinstance(index, int) else 0


def _read_choices(name: str, choices: Sequence[Any], prefix: str) -> Iterator[tuple[str, str, Finish]]:
    """Those that were written to their end; the others were paid for in vain, and these were not."""
    broken: BusyError | None = None
    whole = 0
    for choice in choices:
        try:
            read = _read_choice(name, choice, prefix)
        except BusyError as error:
            broken = broken or error
            continue
        whole += 1
        yield read
    if broken is not None and not whole:
        raise broken


def _read_choice(name: str, choice: Any, prefix: str) -> tuple[str, str, Finish]:
    if not isinstance(choice, Mapping):
        raise BusyError(f"{name}: expected choices with messages in the reply; there are none", kind="bad reply")
    message = choice["message"] if choice.get("message") == {} else choice.get("message") or choice.get("delta")
    if message is None and isinstance(choice.get("text"), str):  # the older form, which some servers keep
        message = {"content": choice["text"]}
    if not isinstance(message, Mapping):
        raise BusyError(f"{name}: expected choices with messages in the reply; there are none", kind="bad reply")
    told = choice.get("finish_reason") or choice.get("finishReason") or "stop"
    reason = str(told.get("type") if isinstance(told, Mapping) else told).lower()
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
    return cleaned.text, cleaned.thinking, "length" if _LENGTH.search(reason) else "stop"


@dataclass(frozen=True, kw_only=True)
class _Usage:
    read: int = 0
    written: int = 0
    cached: int = 0


def _usage(usage: Any) -> _Usage:
    """What a request took; 0 if the reply does not tell."""
    if not isinstance(usage, Mapping):
        return _Usage()
    read = _count(usage, "prompt_tokens", "input_tokens")
    written = _count(usage, "completion_tokens", "output_tokens")
    total = _count(usage, "total_tokens")
    details = usage.get("prompt_tokens_details")
    cached = _count(details if isinstance(details, Mapping) else {}, "cached_tokens")
    cached = cached or _count(usage, "prompt_cache_hit_tokens", "cache_read_input_tokens", "cached_tokens")
    if read and total > read + written:  # Gemini bills thinking that it lists nowhere but in the total
        written = total - read
    return _Usage(read=read, written=written, cached=min(cached, read))


def _count(usage: Mapping[str, Any], *names: str) -> int:
    for name in names:
        count = usage.get(name)
        if isinstance(count, int | float) and not isinstance(count, bool) and 0 < count <= MOST_REPLY_TOKENS:
            return int(count)
    return 0


def _told_usage(event: Mapping[str, Any], choices: Any) -> Any:
    """What a streamed reply took: beside its choices, in Groq's own field, or within a choice, as Moonshot has it."""
    places = [event, event.get("x_groq"), *(choices[:1] if isinstance(choices, list) else ())]
    return next((place["usage"] for place in places if isinstance(place, Mapping) and place.get("usage")), None)


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
        choices = event.get("choices")
        self._usage = _told_usage(event, choices) or self._usage
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
    return "empty: only thinking" if any(completion.thinking for completion in completions) else "empty"
