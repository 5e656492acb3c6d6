"""The forms in which rows of other programs place their images, brought to one: a block `{"type": "image"}` for each.

Known are Qwen's blocks that hold their image, OpenAI's `image_url`, and LLaVA's `<image>` in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

from typing_extensions import TypedDict

from spatialreasoner.core.errors import RecordError

PLACEHOLDER = "<image>"
"""What LLaVA's files write in a text where an image belongs."""

_SOURCES = ("image", "image_url", "path", "url")
_UNREAD = {
    "tools": "rows are rendered without tools. Remove the column",
    "chat_template_kwargs": "rows are rendered without it; thinking has the setting enable_thinking. Remove the column",
}
_UNREAD_OF_TURNS = {
    "tool_calls": "calls of tools are not rendered. Write the call into the content as the model's template would",
    "function_call": "calls of functions are not rendered. Write the call into the content as the model's template would",
    "reasoning_content": "thinking belongs into the content, as the model's template writes it, with enable_thinking=true",
    "thinking": "thinking belongs into the content, as the model's template writes it, with enable_thinking=true",
}
"""What templates read of a turn beside its content, and is not kept here."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Message(TypedDict):
    """One turn; `content` is text, or blocks of `{"type": "image"}` and `{"type": "text", "text": ...}`."""

    role: Literal["system", "user", "assistant"]
    content: str | list[dict[str, Any]]


def refuse_unread(row: Mapping[str, Any]) -> None:
    """Refuse what a chat template would read of a row or its turns but is not kept here: it would be left out without a word.

    Raises:
        RecordError: If there is any.
    """
    for name, why in _UNREAD.items():
        if not _is_empty(row.get(name)):
            raise RecordError(f"the column {name!r} cannot be used: {why}")
    lists = [value if isinstance(value, list) else [value] for value in row.values() if isinstance(value, list | Mapping)]
    turns = [turn for each in lists for turn in cast("list[Any]", each)]
    for turn in turns:
        if isinstance(turn, Mapping) and "role" in turn:
            said = cast("Mapping[str, Any]", turn)
            name = next((name for name in _UNREAD_OF_TURNS if said.get(name)), None)
            if name is not None:
                raise RecordError(f"a turn of the {said['role']} has {name!r}: {_UNREAD_OF_TURNS[name]}")


def _is_empty(value: Any) -> bool:
    """Whether nothing is said: null, nothing but nulls, or the JSON of an empty list or mapping."""
    if isinstance(value, Mapping):
        return all(each is None for each in cast("Mapping[str, Any]", value).values())
    return not value or (isinstance(value, str) and value.strip() in ("[]", "{}", "null"))


def message_text(message: Message) -> str:
    """The text of a turn, its blocks joined."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(block.get("text") or "" for block in content)


def place_images(messages: Sequence[Message], images: Sequence[str]) -> tuple[list[Message], list[str]]:
    """Bring the turns before an answer to one form, and their images into the order of their places.

    Where no turn has a place for an image and the first question is plain text, the images come before it.

    Args:
        messages: The turns.
        images: Paths of the row, for places that name no image of their own.

    Returns:
        The turns, whose blocks no longer name images; and the image of each place.

    Raises:
        RecordError: If a block is not known, or there are more or fewer images than places.
    """
    converted = [Message(role=message["role"], content=_converted(message)) for message in messages]
    places = [block for message in converted for block in _blocks(message) if block["type"] == "image"]
    named = [place["image"] for place in places if "image" in place]
    spare = [] if len(named) == len(places) and named == list(images) else list(images)  # listed once more beside the blocks
    if not places and spare and isinstance(_first_question(converted)["content"], str):
        return converted, spare
    empty = len(places) - len(named)
    if empty != len(spare):
        raise RecordError(
            f"expected an image for each place in the prompt; got {len(spare)} images for {empty} places. Each place is "
            'a block {"type": "image"}, or <image> in the text'
        )
    rest = iter(spare)
    ordered = [place.pop("image") if "image" in place else next(rest) for place in places]
    return converted, ordered


def answer_message(name: str, messages: Sequence[Message]) -> Message:
    """The one turn of an answer, text alone.

    Raises:
        RecordError: If it is anything else.
    """
    if len(messages) != 1 or messages[0]["role"] != "assistant":
        raise RecordError(f"{name} must be one message of the assistant with text; got {str(messages)[:120]}")
    answer = messages[0]
    converted = Message(role="assistant", content=_converted(answer))
    if any(block["type"] == "image" for block in _blocks(converted)):
        raise RecordError(f"{name} must be text; got an image in it. A model learns to write only text: remove the image")
    if not message_text(answer).strip():
        raise RecordError(f"{name} must be one message of the assistant with text; got {str(messages)[:120]}")
    return answer


def with_image_blocks(messages: Sequence[Message], count: int) -> None:
    """Turn plain texts into blocks, in place; images without a place get theirs before the first question."""
    placed = any(block["type"] == "image" for message in messages for block in _blocks(message))
    for message in messages:
        if isinstance(message["content"], str):
            first = message["role"] == "user" and not placed
            images = [{"type": "image"} for _ in range(count)] if first else []
            message["content"] = [*images, {"type": "text", "text": message["content"]}]
            placed |= first


def _blocks(message: Message) -> list[dict[str, Any]]:
    return message["content"] if isinstance(message["content"], list) else []


def _first_question(messages: Sequence[Message]) -> Message:
    return next((message for message in messages if message["role"] == "user"), messages[0])


def _converted(message: Message) -> str | list[dict[str, Any]]:
    content = message["content"]
    if isinstance(content, str) and PLACEHOLDER not in content:
        return content
    given = [{"type": "text", "text": content}] if isinstance(content, str) else content
    blocks = [made for block in given for made in _block(block)]
    if message["role"] == "system" and any(block["type"] == "image" for block in blocks):
        raise RecordError("expected images only in the user's turns; got one in the system's")
    return blocks


def _block(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    kind = block.get("type", next((name for name in ("text", *_SOURCES) if name in block), None))
    if kind in {"text", "input_text"}:
        yield from _pieces(block.get("text"))
    elif kind in {"image", "image_url", "input_image"}:
        yield {"type": "image", **_source(block)}
    else:
        raise RecordError(f"expected blocks of the type text, image or image_url; got {kind!r} in {str(block)[:80]}")


def _pieces(text: object) -> Iterator[dict[str, Any]]:
    """A text without LLaVA's placeholders, and an image in the place of each."""
    if not isinstance(text, str):
        raise RecordError(f"expected a text in each text block; got {text!r:.80}")
    for number, piece in enumerate(text.split(PLACEHOLDER)):
        if number:
            yield {"type": "image"}
        shown = piece.removeprefix("\n") if number else piece
        if shown.strip() or shown == text:
            yield {"type": "text", "text": shown}


def _source(block: Mapping[str, Any]) -> dict[str, str]:
    """The image that a block names, if it does."""
    found = [block[name] for name in _SOURCES if block.get(name) is not None]
    if not found:
        return {}
    source = found[0].get("url") if isinstance(found[0], dict) else found[0]
    if not isinstance(source, str) or not source or len(found) > 1:
        raise RecordError(f"expected an image block to name one path; got {str(dict(block))[:120]}")
    return {"image": source}


def check_path(name: str) -> str:
    """The path, if it is one; of a `file:` URL its own.

    Raises:
        RecordError: If it is a URL of another host: nothing is fetched while training.
    """
    if name.lower().startswith("file://"):
        name = url2pathname(urlsplit(name).path)
    if _URL.match(name) and not re.match(r"[A-Za-z]:[\\/]", name):
        raise RecordError(f"expected the path of an image; got the URL {name[:80]!r}. Download it, and name the file")
    return name
