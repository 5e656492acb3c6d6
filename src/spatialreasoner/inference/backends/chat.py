"""What an endpoint is sent: the chat, and the request around it as the endpoint takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from spatialreasoner.core.data_uri import data_uri
from spatialreasoner.core.types import Prompt, Region
from spatialreasoner.inference.capabilities import Capabilities

INSTRUCTIONS = """\
You answer questions about where things are in an image and how large they are. Regions are marked on the image with \
numbers: <region1> is number 1, <region2> is number 2. Always call them <region1> and <region2>. Write in exactly this form:

<description>What the image shows, as far as it matters for the question.</description>
<reasoning>### Rationale
How you are going to answer, in a sentence or two.
### Let's think step by step
### Step 1
One step of the reasoning, with the lengths it estimates, in metres.
### Step 2
As many steps as you need.
</reasoning>
### In Conclusion
One sentence with the answer: a relation, a length with its unit, or an hour of the clock."""

CONTINUE = """\
The answer is begun below. Write only what comes after it, starting with the heading that follows; repeat nothing of it.

{prefix}"""

Chat = list[dict[str, Any]]
Making = Callable[[int, bool], Chat]
"""Makes a chat, given the longest side of its images and whether a prefix may be the beginning of the model's own message."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a model should generate.

    Attributes:
        model: Its name at the endpoint.
        max_tokens: Maximum length of a reply in tokens.
        temperature: Sampling temperature; None leaves it to the endpoint.
        top_p: Nucleus sampling (top-p); 1 is not sent.
        reasoning_effort: "low", "high" and so on; "" leaves it to the endpoint.
        thinking: Whether the chat template opens a block of thinking; None leaves it to the template.
        prefill: Whether a prefix may be the beginning of the model's own message.
    """

    model: str
    max_tokens: int
    temperature: float | None
    top_p: float = 1.0
    reasoning_effort: str = ""
    thinking: bool | None = None
    prefill: bool = False


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """One request as it is sent.

    Attributes:
        body: The JSON.
        sent: What it holds that an endpoint may refuse: its keys, and "system", "prefill", "images".
        capabilities: What was known of the endpoint when it was made.
    """

    body: dict[str, Any]
    sent: frozenset[str]
    capabilities: Capabilities


def build(make: Making, asking: Asking, known: Capabilities, *, n: int, seed: int, side: int) -> ChatRequest:
    """The request that asks for `n` replies, as the endpoint takes it.

    Args:
        make: Makes the chat.
        asking: How the model is to write.
        known: What is known of the endpoint.
        n: Replies; more than one only where `known.n`.
        seed: Sampling seed.
        side: Longest side of images, unless the endpoint takes less, pixels.
    """
    chat = make(min(side, known.most_side or side), asking.prefill and known.prefill)
    chat = _fewer_images(chat, known.most_images)
    chat = _for_system(chat, known.system)
    body: dict[str, Any] = {"model": asking.model, "messages": chat, **_sampling(asking, known, seed)}
    if n > 1:
        body["n"] = n
    if chat[-1]["role"] == "assistant":
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    if asking.reasoning_effort and known.reasoning_effort and (effort := known.effort(asking.reasoning_effort)):
        body["reasoning_effort"] = effort
    if asking.thinking is not None and known.thinking_switch:
        body["chat_template_kwargs"] = {"enable_thinking": asking.thinking}
    if known.stream:
        body |= {"stream": True} | ({"stream_options": {"include_usage": True}} if known.stream_usage else {})
    return ChatRequest(body=body, sent=frozenset(body) | _kinds(chat), capabilities=known)


def _sampling(asking: Asking, known: Capabilities, seed: int) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if known.seed_param != "none":
        body[known.seed_param] = seed % 2**31
    if asking.temperature is not None and known.temperature:
        body["temperature"] = min(known.most_temperature, max(known.least_temperature, asking.temperature))
    if asking.top_p < 1 and known.top_p:
        body["top_p"] = asking.top_p
    if known.max_tokens_param != "none":
        body[known.max_tokens_param] = min(asking.max_tokens, known.most_tokens or asking.max_tokens)
    return body


def _kinds(chat: Chat) -> set[str]:
    kinds = {"system"} if any(message["role"] in {"system", "developer"} for message in chat) else set[str]()
    if chat[-1]["role"] == "assistant":
        kinds.add("prefill")
    if any(_is_image(part) for message in chat if isinstance(message["content"], list) for part in message["content"]):
        kinds.add("images")
    return kinds


def _is_image(part: dict[str, Any]) -> bool:
    return part.get("type") == "image_url"


def _fewer_images(chat: Chat, most: int) -> Chat:
    """The chat with its first images alone."""
    if not most:
        return chat
    left, fewer = most, Chat()
    for message in chat:
        content = message["content"]
        if isinstance(content, list):
            kept: list[dict[str, Any]] = []
            for part in content:
                if _is_image(part):
                    left -= 1
                if not _is_image(part) or left >= 0:
                    kept.append(part)
            message = {**message, "content": kept}
        fewer.append(message)
    return fewer


def _for_system(chat: Chat, role: str) -> Chat:
    """The chat with its instructions said by another role, or by the user before anything else."""
    if role == "system" or chat[0]["role"] != "system":
        return chat
    if role == "developer":
        return [{**chat[0], "role": "developer"}, *chat[1:]]
    said, user = chat[0]["content"], chat[1]
    content = user["content"]
    if isinstance(content, str):
        return [{**user, "content": f"{said}\n\n{content}"}, *chat[2:]]
    return [{**user, "content": [{"type": "text", "text": said}, *content]}, *chat[2:]]


def making(prompt: Prompt) -> Making:
    """Makes the chat that asks for a continuation of a prompt."""
    return lambda side, prefill: messages(prompt, marked_url(prompt.image, prompt.regions, side), prefill=prefill)


def unseen(prompt: Prompt) -> Making:
    """Makes a chat of the same form whose image is left blank: drawing one takes long."""
    return lambda side, prefill: messages(prompt, "", prefill=prefill)


def messages(prompt: Prompt, image: str, *, prefill: bool) -> Chat:
    """The chat that asks for a continuation: instructions, image and request, and the prefix in one of two ways.

    Args:
        prompt: What is asked.
        image: The marked image as a data URL.
        prefill: Put the prefix into the model's own message.
    """
    request = prompt.request
    if prompt.prefix and not prefill:
        request = f"{request}\n\n{CONTINUE.format(prefix=prompt.prefix)}"
    content = [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": request}]
    chat: Chat = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": content}]
    if prompt.prefix and prefill:
        chat.append({"role": "assistant", "content": prompt.prefix})
    return chat


@lru_cache(maxsize=256)
def marked_url(image: str, regions: tuple[Region, ...], side: int) -> str:
    """The image with its marks as a data URL, shrunk to a longest side; many requests of one question share it."""
    from spatialreasoner.scenes.files import read_image
    from spatialreasoner.scenes.marks import draw

    return data_url(draw(read_image(image), regions), side)


def data_url(image: Any, side: int) -> str:
    """A PIL image as a data URL, shrunk to a longest side."""
    image = image.copy()
    image.thumbnail((side, side))
    return data_uri(image, "PNG")


def plain(chat: Sequence[dict[str, Any]]) -> Making:
    """Makes a chat that depends on nothing."""
    return lambda side, prefill: list(chat)
