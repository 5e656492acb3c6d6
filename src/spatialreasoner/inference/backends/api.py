"""Models behind OpenAI-compatible endpoints: vLLM, SGLang, transformers serve, and the hosted ones.

The picture goes inline, with the regions drawn on it as numbered marks, so any model that sees can be asked. What is known of
an error is its class: `EndpointError` for what asking again will not mend (a wrong key, no credit, a bad request), `BusyError`
for what it may (too many requests, a timeout, a server's error, a torn reply). Retrying is left to the search engine.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import re
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from math import isfinite
from time import time
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from spatialreasoner.core.errors import BusyError, ConfigError, EndpointError, MissingExtraError
from spatialreasoner.core.types import Completion, Prompt, Region

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion

INSTRUCTIONS = """\
You answer questions about where things are in a picture and how large they are. Regions are marked on the picture with \
numbers: <region1> is number 1, <region2> is number 2. Always call them <region1> and <region2>. Write in exactly this form:

<description>What the picture shows, as far as it matters for the question.</description>
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

_SECRET = re.compile(r"\b(?:sk|key|hf|gsk)[-_][A-Za-z0-9_\-]{8,200}|\bBearer [^\s\"']{8,400}", re.IGNORECASE)
_NAME = re.compile(r"(?P<model>[^@\s]{1,200})@(?P<url>https?://\S{1,500})")


@dataclass(frozen=True, kw_only=True)
class ApiConfig:
    """How an endpoint's model is asked.

    Attributes:
        temperature: Of sampling.
        top_p: Of sampling.
        max_tokens: Longest reply, tokens.
        timeout: Longest wait for a reply, seconds.
        prefill: Continue a prefix as the beginning of the model's own message (vLLM and SGLang can), instead of asking in
            words for a continuation.
        key_variable: Environment variable that holds the key.
        max_side: A larger picture is shrunk to this, pixels.
        revision: The weights' revision, where known: part of what identifies a reply.
    """

    temperature: float = 0.9
    top_p: float = 1.0
    max_tokens: int = 1024
    timeout: float = 120.0
    prefill: bool = False
    key_variable: str = "OPENAI_API_KEY"
    max_side: int = 1024
    revision: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 2:
            raise ConfigError(f"temperature must lie in 0..2; got {self.temperature}")
        for name in ("max_tokens", "timeout", "max_side"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive; got {getattr(self, name)}")


class ApiPolicy:
    """A model at an endpoint, as a `Policy`.

    Args:
        name: `api:MODEL@BASE_URL`, or `MODEL@BASE_URL`.
        config: How it is asked.

    Raises:
        ConfigError: If the name has another form, or holds credentials.
        MissingExtraError: If the `openai` package is not installed.
    """

    def __init__(self, name: str, config: ApiConfig | None = None) -> None:
        self._config = config or ApiConfig()
        self._model, self._url = split_name(name)
        self._key = os.environ.get(self._config.key_variable, "")
        self.name = f"api:{self._model}@{self._url}"
        version = hashlib.sha256((INSTRUCTIONS + CONTINUE).encode()).hexdigest()[:12]
        settings = {key: value for key, value in asdict(self._config).items() if key not in {"timeout", "key_variable"}}
        self.identity = f"{self.name} prompt {version} {settings}"
        self._openai = _import_openai()
        self._client: AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        """Ask for `n` continuations of `prompt.prefix` in one request; some servers write only one whatever `n` is.

        Raises:
            BusyError: If asking again may help.
            EndpointError: If it will not: the key, the quota, the model's name or the request is wrong.
        """
        picture = await asyncio.to_thread(_picture, prompt.image, prompt.regions, self._config.max_side)
        chat = messages(prompt, picture, prefill=self._config.prefill)
        return await self.chat(chat, n=n, seed=seed, prefix=prompt.prefix)

    async def chat(self, chat: Sequence[Any], *, n: int, seed: int, prefix: str = "") -> Sequence[Completion]:
        """Ask for `n` replies to a chat of OpenAI's form; of a reply that repeats `prefix`, what comes after it.

        Raises:
            BusyError: If asking again may help.
            EndpointError: If it will not: the key, the quota, the model's name or the request is wrong.
        """
        with self._translating():
            reply = await self._connected().chat.completions.create(**self._request(chat, seed, prefix), n=n)
        return self._completions(reply, prefix)

    async def stream(self, prompt: Prompt, *, seed: int) -> AsyncGenerator[str]:
        """Ask for one continuation of `prompt.prefix` and read it while it is written; closing the generator hangs up.

        Raises:
            BusyError: If asking again may help.
            EndpointError: If it will not: the key, the quota, the model's name or the request is wrong.
        """
        picture = await asyncio.to_thread(_picture, prompt.image, prompt.regions, self._config.max_side)
        request = self._request(messages(prompt, picture, prefill=self._config.prefill), seed, prompt.prefix)
        with self._translating():
            async with await self._connected().chat.completions.create(**request, stream=True) as chunks:
                async for chunk in chunks:
                    for choice in getattr(chunk, "choices", None) or ():
                        if piece := getattr(getattr(choice, "delta", None), "content", None):
                            yield piece

    def _request(self, chat: Sequence[Any], seed: int, prefix: str) -> dict[str, Any]:
        prefilled = self._config.prefill and bool(prefix)
        return {
            "model": self._model,
            "messages": list(chat),
            "seed": seed % 2**31,
            "temperature": self._config.temperature,
            "top_p": self._config.top_p,
            "max_tokens": self._config.max_tokens,
            "extra_body": {"continue_final_message": True, "add_generation_prompt": False} if prefilled else None,
        }

    @contextmanager
    def _translating(self) -> Generator[None]:
        """Errors of the client become the package's own."""
        try:
            yield
        except self._openai.OpenAIError as error:
            raise self._translated(error) from None  # the original holds the request, and that the key
        except (ValueError, RecursionError) as error:  # a reply that is no JSON
            raise BusyError(f"{self.name}: the reply cannot be read: {self._clean(str(error))}", kind="bad reply") from None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.close()
        self._client = None

    def _connected(self) -> AsyncOpenAI:
        """The client of the running event loop; connections cannot outlive the loop they were made in."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            client: AsyncOpenAI = self._openai.AsyncOpenAI(
                base_url=self._url, api_key=self._key or "none", timeout=self._config.timeout, max_retries=0
            )
            self._client, self._loop = client, loop
        return self._client

    def _completions(self, reply: ChatCompletion, prefix: str) -> list[Completion]:
        # Servers promise this form but do not always keep it, so nothing of the reply is trusted to be there.
        choices: Any = getattr(reply, "choices", None)
        if not isinstance(choices, list) or not choices or any(getattr(choice, "message", None) is None for choice in choices):
            raise BusyError(f"{self.name}: expected choices with messages in the reply; there are none", kind="bad reply")
        usage: Any = getattr(reply, "usage", None)
        read, written = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        shares = [written // len(choices) + (index < written % len(choices)) for index in range(len(choices))]
        return [
            Completion(
                text=_continuation(_text(choice.message), prefix),
                prompt_tokens=read if index == 0 else 0,
                completion_tokens=shares[index],
                finish=_finish(choice),
            )
            for index, choice in enumerate(choices)
        ]

    def _translated(self, error: Any) -> EndpointError:
        """What an error of the client means for whoever asked."""
        openai: Any = self._openai
        said = self._clean(str(error))[:300]
        if isinstance(error, openai.APITimeoutError):
            return BusyError(f"{self.name} did not reply in time", kind="timeout")
        if isinstance(error, openai.APIConnectionError):
            return BusyError(f"{self.name} cannot be reached ({said}); is the server running?", kind="connection")
        if not isinstance(error, openai.APIStatusError):
            return BusyError(f"{self.name}: the reply cannot be read: {said}", kind="bad reply")
        status = error.status_code
        if status == 429 and "insufficient_quota" not in said:
            return BusyError(
                f"{self.name}: too many requests", kind="rate limit", retry_after=_retry_after(error.response.headers)
            )
        if status in {408, 409, 425} or status >= 500:
            return BusyError(
                f"{self.name}: status {status}", kind="server error", retry_after=_retry_after(error.response.headers)
            )
        return EndpointError(f"{self.name}: {_mend(status, self._config.key_variable)} (status {status}: {said})")

    def _clean(self, text: str) -> str:
        """A message without secrets."""
        return _SECRET.sub("***", text.replace(self._key, "***") if self._key else text)


def split_name(name: str) -> tuple[str, str]:
    """Model and base URL of `api:MODEL@BASE_URL`.

    >>> split_name("api:qwen2.5-vl-7b@http://127.0.0.1:8000/v1")
    ('qwen2.5-vl-7b', 'http://127.0.0.1:8000/v1')

    Raises:
        ConfigError: If it has another form, or the URL holds credentials.
    """
    match = _NAME.fullmatch(name.removeprefix("api:"))
    if match is None:
        raise ConfigError(f"expected api:MODEL@BASE_URL, such as api:qwen2.5-vl-7b@http://127.0.0.1:8000/v1; got {name!r}")
    if urlsplit(match["url"]).username is not None or "?" in match["url"]:
        raise ConfigError(
            "a base URL must hold no password and no query: names are written into logs; put the key into OPENAI_API_KEY"
        )
    return match["model"], match["url"].rstrip("/")


def known_price(model: str) -> tuple[float, float] | None:
    """What a hosted model costs, US dollars per million tokens read and written, as genai-prices knows; None if it does not.

    Raises:
        MissingExtraError: If the `genai-prices` package is not installed.
    """
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        raise MissingExtraError("prices of hosted models need genai-prices: pip install 'spatialreasoner[api]'") from None
    try:
        price = calc_price(Usage(input_tokens=1_000_000, output_tokens=1_000_000), model_ref=model)
    except LookupError:
        return None
    return float(price.input_price), float(price.output_price)


def messages(prompt: Prompt, picture: str, *, prefill: bool) -> list[dict[str, Any]]:
    """The chat that asks for a continuation: instructions, picture and request, and the prefix in one of two ways.

    Args:
        prompt: What is asked.
        picture: The marked picture as a data URL.
        prefill: Put the prefix into the model's own message.
    """
    request = prompt.request
    if prompt.prefix and not prefill:
        request = f"{request}\n\n{CONTINUE.format(prefix=prompt.prefix)}"
    content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": request}]
    chat: list[dict[str, Any]] = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": content}]
    if prompt.prefix and prefill:
        chat.append({"role": "assistant", "content": prompt.prefix})
    return chat


@lru_cache(maxsize=256)
def _picture(image: str, regions: tuple[Region, ...], max_side: int) -> str:
    """The picture with its marks as a data URL; many requests of one question share it."""
    from spatialreasoner.scenes.files import read_image
    from spatialreasoner.scenes.marks import draw

    marked = draw(read_image(image), regions)
    marked.thumbnail((max_side, max_side))
    buffer = io.BytesIO()
    marked.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _continuation(text: str, prefix: str) -> str:
    """What comes after the prefix in a reply that may repeat it, or be wrapped in a code fence."""
    text = re.sub(r"\A\s{0,20}```[a-z]{0,10}\n|\n```\s{0,20}\Z", "", text)
    if prefix and text.lstrip().startswith(prefix.strip()):
        return text.lstrip()[len(prefix.strip()) :].lstrip("\n")
    return text


def _text(message: Any) -> str:
    content = getattr(message, "content", None)
    return content if isinstance(content, str) else ""


def _count(usage: Any, name: str) -> int:
    """A number of tokens, 0 where the reply does not tell it."""
    count = getattr(usage, name, None)
    return count if isinstance(count, int) and count > 0 else 0


def _finish(choice: Any) -> Literal["stop", "length", "refusal"]:
    if choice.finish_reason == "content_filter" or getattr(choice.message, "refusal", None):
        return "refusal"
    return "length" if choice.finish_reason == "length" else "stop"


def _mend(status: int, key_variable: str) -> str:
    """What to do about an error that asking again will not mend."""
    return {
        400: "the request is refused; does the model take pictures, and is its context long enough?",
        401: f"the key is missing or refused; set {key_variable}",
        402: "there is no credit left; top it up",
        403: f"the key may not use this model; check {key_variable} and the model's name",
        404: "there is no such model or address; check MODEL and BASE_URL (it mostly ends with /v1)",
        413: "the request is too large; lower max_side",
        429: "the quota is used up; raise it or wait until it is renewed",
    }.get(status, "the request is refused")


def _retry_after(headers: Any) -> float | None:
    """Seconds that the endpoint asks to wait, from either form of the header; at most ten minutes."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        said = headers.get(name)
        if said is None:
            continue
        try:
            seconds = float(said) * scale
        except ValueError:
            seconds = _seconds_until(said)
        if seconds is not None and isfinite(seconds):
            return min(600.0, max(0.0, seconds))
    return None


def _seconds_until(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() - time()
    except ValueError:
        return None


def _import_openai() -> Any:
    try:
        import openai
    except ImportError:
        raise MissingExtraError("models behind endpoints need the openai package: pip install 'spatialreasoner[api]'") from None
    return openai
