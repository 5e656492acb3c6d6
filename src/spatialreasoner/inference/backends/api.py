"""Models behind OpenAI-compatible endpoints: vLLM, SGLang, llama.cpp, transformers serve, and the hosted ones.

The image goes inline, with the regions drawn on it as numbered marks, so any model that sees can be asked. An endpoint starts
with what most take; what it refuses by name is sent otherwise from then on (`capabilities`). Every other error has an owner
(`failures`): `PromptError` for a prompt that this endpoint does not answer, `BusyError` for what may pass, `EndpointError` for
what asking again will not mend. Retrying and counting are left to `inference.endpoint`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from time import time
from typing import Any, TypeVar

from spatialreasoner.core.errors import AdaptedError, BusyError, ConfigError, EndpointError, PromptError
from spatialreasoner.core.types import Completion, Prompt
from spatialreasoner.inference.backends.batch_api import BatchApi
from spatialreasoner.inference.backends.chat import CONTINUE, INSTRUCTIONS, Asking, ChatRequest, Making, build, making, unseen
from spatialreasoner.inference.backends.connections import endpoint_key
from spatialreasoner.inference.backends.http import STREAM_END, Answered, HttpClient, Post
from spatialreasoner.inference.backends.replies import Assembled, parse_body, read_completions
from spatialreasoner.inference.backends.scouts import Scouts
from spatialreasoner.inference.backends.streams import Streamed
from spatialreasoner.inference.capabilities import EFFORTS, Capabilities, learned_from, with_settings
from spatialreasoner.inference.cleaning import readable
from spatialreasoner.inference.failures import judge_failure
from spatialreasoner.inference.lessons import learn, suspect
from spatialreasoner.inference.names import EndpointName, parse_name
from spatialreasoner.inference.noticing import Noticing
from spatialreasoner.inference.retry_after import retry_after
from spatialreasoner.inference.said import Said, is_refusal, read_said

_R = TypeVar("_R")

UNEXPLAINED = 3
"""After this many requests refused without a reason, and none answered, the endpoint is at fault, not the prompts."""

MOST_LESSONS = 16
"""Maximum number of adaptations to an endpoint's refusals; a further one is an error of the endpoint."""

_PATH = "chat/completions"
_PAGE = re.compile(r"\s{0,99}<(?:!doctype html|html)\b", re.IGNORECASE)
_SECRET = re.compile(r"\b(?:sk|key|hf|gsk|xai)[-_][A-Za-z0-9_\-*]{8,200}|\bBearer [^\s\"']{8,400}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ApiConfig:
    """Settings of requests to an endpoint; settings in the model's name take precedence.

    Attributes:
        temperature: Sampling temperature; None leaves it to the endpoint.
        top_p: Nucleus sampling (top-p); 1 is not sent.
        max_tokens: Maximum length of a reply in tokens, thinking included.
        reasoning_effort: Reasoning effort: "none", "minimal", "low", "medium" or "high"; "" leaves it to the endpoint.
        enable_thinking: Whether the chat template turns thinking on; None leaves it to the endpoint.
        timeout: Timeout of a request, in seconds.
        prefill: Send a prefix as a partial message of the model to continue (vLLM and SGLang can), instead of asking for a
            continuation in the prompt, which is the fallback where this is refused.
        key_variable: Environment variable that holds the API key.
        max_side: Maximum side of an image, pixels; larger ones are shrunk.
        revision: Revision of the weights, if known; part of what identifies a reply.
    """

    temperature: float | None = 0.9
    top_p: float = 1.0
    max_tokens: int = 1024
    reasoning_effort: str = ""
    enable_thinking: bool | None = None
    timeout: float = 120.0
    prefill: bool = False
    key_variable: str = "OPENAI_API_KEY"
    max_side: int = 1024
    revision: str = ""

    def __post_init__(self) -> None:
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise ConfigError(f"temperature must be in 0..2; got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p must be above 0 and at most 1; got {self.top_p}")
        if self.reasoning_effort not in ("", *EFFORTS):
            raise ConfigError(f"reasoning_effort must be one of {', '.join(EFFORTS)}; got {self.reasoning_effort!r}")
        for name in ("max_tokens", "timeout", "max_side"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive; got {getattr(self, name)}")


class ApiPolicy:
    """A model at an endpoint, as a `Policy`.

    Args:
        name: `api:MODEL@BASE_URL`, or `MODEL@BASE_URL`; settings may follow, as in `?system=user`.
        config: How it is asked.

    Raises:
        ConfigError: If the name has another form or holds credentials, or the environment's key or proxy cannot be used.
        MissingExtraError: If the `httpx2` package is not installed.
    """

    def __init__(self, name: str, config: ApiConfig | None = None) -> None:
        parsed = parse_name(name)
        self.name = str(parsed)
        self._config = _configured(config or ApiConfig(), parsed)
        self._asking = _asking(self._config, parsed)
        self._first = with_settings(Capabilities(), parsed.capabilities())
        self.capabilities = self._first
        version = hashlib.sha256((INSTRUCTIONS + CONTINUE).encode()).hexdigest()[:12]
        settings = {key: value for key, value in asdict(self._config).items() if key not in {"timeout", "key_variable"}}
        if self._config.enable_thinking is None:
            del settings["enable_thinking"]  # journals of earlier versions know no such setting
        self.identity = f"{self.name} prompt {version} {settings}"
        self.depends = {"prompt": version} | {key: str(value) for key, value in settings.items()}
        self._key = endpoint_key(self._config.key_variable)
        headers = {"Authorization": f"Bearer {self._key}", "api-key": self._key} if self._key else {}
        self._client = HttpClient(self.name, parsed.url, headers, self._config.timeout)
        self._scouts = Scouts()
        self.noticing = Noticing()
        self._lessons = self._unexplained = 0
        self._accepted_before = frozenset[str]()

    @property
    def accepted(self) -> frozenset[str]:
        """The names of what the endpoint has accepted: keys of requests, and "system", "prefill", "images"."""
        return self._scouts.proven | self._accepted_before

    def accept(self, names: frozenset[str]) -> None:
        """Take over what the endpoint accepted from an earlier process."""
        self._accepted_before = names

    def untried(self, prompt: Prompt, *, n: int) -> bool:
        """Whether a request in a batch would hold something that the endpoint has not accepted yet."""
        return not self._request(unseen(prompt), n, 0, whole=True).sent <= self.accepted

    @property
    def learned(self) -> Mapping[str, Any]:
        """What the endpoint taught, by the names of the capabilities."""
        return self.capabilities.changes(self._first)

    def restore(self, learned: Any) -> None:
        """Take over what an earlier process learned of the same endpoint."""
        self.capabilities = learned_from(learned, self._first)

    @property
    def most_choices(self) -> int | None:
        """How many replies one request may ask for; None means no limit."""
        return None if self.capabilities.n else 1

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        """Ask for `n` continuations of `prompt.prefix`, in other ways where one is refused.

        Raises:
            BusyError: If asking again may help.
            PromptError: If the endpoint does not answer this prompt.
            EndpointError: If asking again will not help: the key, the quota or the model's name is wrong.
        """
        return await adapting(lambda: self.attempt(prompt, n=n, seed=seed))

    async def attempt(self, prompt: Prompt, *, n: int, seed: int, post: Post | None = None) -> Sequence[Completion]:
        """The same in one request.

        Args:
            prompt: What is asked.
            n: Replies that are asked for.
            seed: Sampling seed.
            post: Sends the request in another way than at once.

        Raises:
            AdaptedError: If it was refused how it asks, and asking otherwise may help.
            BusyError: If asking again may help.
            PromptError: If the endpoint does not answer this prompt.
            EndpointError: If asking again will not help.
        """
        return await self.chat(making(prompt), n=n, seed=seed, prefix=prompt.prefix, post=post)

    async def chat(
        self, make: Making, *, n: int, seed: int, prefix: str = "", post: Post | None = None
    ) -> Sequence[Completion]:
        """One request for `n` replies to a chat; of a reply that repeats `prefix`, what comes after it.

        Args:
            make: Makes the chat.
            n: Replies that are asked for.
            seed: Sampling seed.
            prefix: What the answer begins with.
            post: Sends the request in another way than at once; none waits then for another to be accepted first.

        Raises:
            AdaptedError: If it was refused how it asks, and asking otherwise may help.
            BusyError: If asking again may help.
            PromptError: If the endpoint does not answer this prompt.
            EndpointError: If asking again will not help.
        """
        if post is not None:
            request = self._request(make, n, seed, whole=True)
            body = self._read(await post(request.body), request)
            return self._completions(body, request, n, seed, prefix)
        async with self._scouts.turn(lambda: self._request(make, n, seed)) as request:
            body = await (self._streamed(request) if request.capabilities.stream else self._whole(request))
            return self._completions(body, request, n, seed, prefix)

    def _completions(self, body: Any, request: ChatRequest, n: int, seed: int, prefix: str) -> Sequence[Completion]:
        self._accepted(request)
        completions = read_completions(self.name, body, n=n, prefix=prefix)
        if self._config.temperature != 0:  # what is sampled should differ
            asked = request.body.get("n", 1) if len(body["choices"]) < request.body.get("n", 1) else len(completions)
            self.noticing.see(request.body["messages"], n=asked, seed=seed, completions=completions)
            if self.noticing.fewer_choices:
                self.capabilities = replace(self.capabilities, n=False)
        return completions

    async def stream(self, prompt: Prompt, *, seed: int) -> AsyncGenerator[str]:
        """Ask for one continuation of `prompt.prefix` and read it while it is written; closing the generator hangs up.

        Raises:
            BusyError: If asking again may help.
            PromptError: If the endpoint does not answer this prompt.
            EndpointError: If it will not: the key, the quota, the model's name or the request is wrong.
        """
        for lesson in range(MOST_LESSONS):
            request = self._request(making(prompt), 1, seed, stream=True)
            try:
                async for piece in self._pieces(request, prompt.prefix):
                    yield piece
                return
            except AdaptedError:
                if lesson == MOST_LESSONS - 1:
                    raise

    async def _pieces(self, request: ChatRequest, prefix: str) -> AsyncGenerator[str]:
        streamed = Streamed(prefix)
        async for event in self._client.events(_PATH, request.body):
            for piece in self._taken(request, streamed.reply, event):
                if ready := streamed.add(piece):
                    yield ready
        if streamed.reply.error:
            raise self._refusal(Answered(status=200, headers={}, text=_error_text(streamed.reply.error)), request)
        self._accepted(request)
        if ready := streamed.end():
            yield ready

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def batches(self) -> BatchApi:
        """The endpoint's batch API."""
        return BatchApi(self.name, self._client, lambda answered: self._refusal(answered, None))

    def _request(self, make: Making, n: int, seed: int, *, stream: bool = False, whole: bool = False) -> ChatRequest:
        known = self.capabilities
        sent_as = replace(known, stream=False) if whole else known
        request = build(make, self._asking, sent_as, n=n if known.n else 1, seed=seed, side=self._config.max_side)
        request = replace(request, capabilities=known)
        if not stream or known.stream:
            return request
        return ChatRequest(body={**request.body, "stream": True}, sent=request.sent, capabilities=known)

    async def _whole(self, request: ChatRequest) -> Any:
        answered = await self._client.post(_PATH, request.body)
        return self._read(answered, request)

    async def _streamed(self, request: ChatRequest) -> Any:
        reply = Assembled()
        async for event in self._client.events(_PATH, request.body):
            self._taken(request, reply, event)
        if reply.error:
            raise self._refusal(Answered(status=200, headers={}, text=_error_text(reply.error)), request)
        return reply.body()

    def _taken(self, request: ChatRequest, reply: Assembled, event: Answered) -> list[str]:
        """The new text in an event of a stream."""
        if event.status >= 300 or event.text == STREAM_END:
            return [] if event.status < 300 else self._read(event, request)
        body = parse_body(event.text)
        if isinstance(body, Mapping) and isinstance(body.get("choices"), list) and body["choices"]:
            message = body["choices"][0]
            if isinstance(message, Mapping) and isinstance(message.get("message"), Mapping):  # a server that does not stream
                return reply.add({**body, "choices": [{**message, "delta": message["message"]}]})
        return reply.add(body)

    def _read(self, answered: Answered, request: ChatRequest) -> Any:
        """The JSON of a reply that is not an error."""
        body = parse_body(answered.text)
        if answered.status >= 300 or is_refusal(body):
            raise self._refusal(answered, request)
        if body is None:
            start = " ".join(self._clean(answered.text[:80]).split())
            if _PAGE.match(answered.text) and not self._scouts.proven:
                advice = "check BASE_URL (it mostly ends with /v1), and whether one must sign in first"
                raise EndpointError(f"{self.name} answers with a web page in place of JSON; {advice} (status 200: {start!r})")
            raise BusyError(f"{self.name}: the reply cannot be read: expected JSON; got {start!r}", kind="bad reply")
        return body

    def _accepted(self, request: ChatRequest) -> None:
        self._scouts.prove(request.sent)
        self._unexplained = 0

    def _refusal(self, answered: Answered, request: ChatRequest | None) -> EndpointError:
        """The error to raise for a failed reply; adapts to what the endpoint's refusal says."""
        said = read_said(answered.status, answered.text)
        words = self._clean(said.message)[:300] or "it said nothing"
        wait = retry_after(said, answered.headers, now=time())
        failure = judge_failure(said, key_variable=self._config.key_variable, waits=wait is not None)
        if request is not None and self._learns(said, request, explained=failure.certain):
            return AdaptedError(f"{self.name} is sent different requests from now on: {words}")
        if failure.owner == "moment":
            kind = "too many requests" if failure.kind == "rate limit" else failure.kind
            return BusyError(f"{self.name}: {kind} (status {said.status}: {words})", kind=failure.kind, retry_after=wait)
        message = f"{self.name}: {failure.fix or failure.kind} (status {said.status}: {words})"
        if failure.owner == "endpoint":
            return EndpointError(message)
        if not failure.certain:
            self._unexplained += not self._scouts.proven
            if self._unexplained >= UNEXPLAINED:
                return EndpointError(f"{message}; it answered none of {UNEXPLAINED} prompts")
        return PromptError(message, kind=failure.kind, final=failure.certain)

    def _learns(self, said: Said, request: ChatRequest, *, explained: bool) -> bool:
        if request.capabilities != self.capabilities:  # another refusal has taught something since this was sent
            return True
        changed = learn(self.capabilities, said, request.sent)
        if changed is None and not explained:
            changed = suspect(self.capabilities, said, request.sent - self._scouts.proven)
        if changed is None or changed == self.capabilities or self._lessons >= MOST_LESSONS:
            return False
        self.capabilities = changed
        self._lessons += 1
        return True

    def _clean(self, text: str) -> str:
        """A message without secrets, that every file can hold."""
        return readable(_SECRET.sub("***", text.replace(self._key, "***") if self._key else text))


async def adapting(attempt: Callable[[], Awaitable[_R]]) -> _R:
    """The reply to a request that is rephrased each time the endpoint's refusal says how.

    Raises:
        EndpointError: As `attempt` does, but `AdaptedError` only after `MOST_LESSONS` tries.
    """
    for _ in range(MOST_LESSONS):
        try:
            return await attempt()
        except AdaptedError:
            continue
    return await attempt()


def _configured(config: ApiConfig, name: EndpointName) -> ApiConfig:
    """The configuration with the settings of a name."""
    changes: dict[str, Any] = {}
    for key, target in (
        ("temperature", "temperature"),
        ("top_p", "top_p"),
        ("timeout", "timeout"),
        ("max_new_tokens", "max_tokens"),
    ):
        number = name.number(key)
        if number is not None:
            changes[target] = int(number) if target == "max_tokens" else number
    if variable := name.settings.get("key_variable"):
        changes["key_variable"] = variable
    if (effort := name.settings.get("reasoning_effort")) in EFFORTS:
        changes["reasoning_effort"] = effort
    return replace(config, **changes)


def _asking(config: ApiConfig, name: EndpointName) -> Asking:
    thinking = name.settings.get("thinking")
    return Asking(
        model=name.model,
        max_tokens=config.max_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        reasoning_effort=config.reasoning_effort,
        thinking=config.enable_thinking if thinking is None else thinking == "on",
        prefill=config.prefill,
    )


def _error_text(error: Any) -> str:
    return json.dumps({"error": error}, default=str)[:8000]
