"""Models by the name that people give them on the command line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Scene
from spatialreasoner.inference.limits import Limits
from spatialreasoner.inference.names import parse_name
from spatialreasoner.inference.prices import find_price, given_price
from spatialreasoner.vlm.shipped import shipped_models

FORMS = "nano, a folder, hf:REPO_OR_DIR, api:MODEL@BASE_URL, or scripted:NAME"
"""The forms a name may have, for help and errors."""


@dataclass(frozen=True, kw_only=True)
class WritingConfig:
    """How a model generates.

    Attributes:
        temperature: Sampling temperature; 0 is greedy.
        max_new_tokens: Maximum length of an answer in tokens, thinking included.
        batch_size: Batch size of a model in this process.
        top_p: Nucleus sampling (top-p) at endpoints; 1 samples from all tokens.
        reasoning_effort: Reasoning effort of a model at an endpoint, such as "low" or "high"; "" leaves it to the endpoint.
        enable_thinking: Let a model think before it answers, if it can. None lets endpoints decide; models in this process then
            do not think.
        timeout: Timeout of a request to an endpoint, retries included, in seconds.
        key_variable: Environment variable that holds the API key of endpoints.
        prefill: Whether endpoints can continue a partial message (vLLM and SGLang can).
    """

    temperature: float = 0.0
    max_new_tokens: int = 768
    batch_size: int = 16
    top_p: float = 1.0
    reasoning_effort: str = ""
    enable_thinking: bool | None = None
    timeout: float = 600.0
    key_variable: str = "OPENAI_API_KEY"
    prefill: bool = False

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: If a setting is out of range.
        """
        if not (0 <= self.temperature < math.inf and 0 < self.top_p <= 1 and 0 < self.timeout < math.inf):
            raise ConfigError(
                "expected `temperature` of at least 0, `top_p` above 0 and at most 1, and `timeout` above 0 seconds; got "
                f"{self.temperature}, {self.top_p} and {self.timeout}"
            )
        if self.max_new_tokens < 1 or self.batch_size < 1:
            raise ConfigError(
                f"expected `max_new_tokens` and `batch_size` of at least 1; got {self.max_new_tokens} and {self.batch_size}"
            )


Opener = Callable[[str, Mapping[str, Scene], WritingConfig], Policy]
"""Makes a policy of its whole name, the scenes and how to write: what an entry point of the group leads to."""


@cache
def backends() -> Mapping[str, EntryPoint]:
    """Ways to a model by the word before the colon: entry points of the group `spatialreasoner.policies`.

    Other packages add theirs in the same way; none is imported before a model of its kind is asked for.
    """
    return {entry.name: entry for entry in entry_points(group="spatialreasoner.policies")}


def named_policy(name: str, scenes: Mapping[str, Scene], writing: WritingConfig) -> Policy:
    """The policy of a name: `nano`, `scripted:careful`, `hf:REPO_OR_DIR`, `api:MODEL@BASE_URL`, or a model folder.

    Args:
        name: The name.
        scenes: The scenes, by id, whose truth the simulated teachers perceive in their own ways.
        writing: How models that are not teachers write.

    Raises:
        ConfigError: If the model does not exist.
    """
    kind = "hf" if Path(name).is_dir() or name in shipped_models() else name.partition(":")[0]
    if kind not in backends():
        raise ConfigError(f"expected a model as {FORMS}; got {name!r}")
    open_policy: Opener = backends()[kind].load()
    return open_policy(name, scenes, writing)


PROMPT_TOKENS = 8192
"""More than question, instructions and one image take at any endpoint: set aside, beside the longest reply."""


def limits_of(name: str, *, concurrency: int, writing: WritingConfig | None = None, batch: bool = False) -> Limits:
    """The limits of a model, by its name: concurrent requests, their timeout and tokens, and the price of tokens if known.

    Args:
        name: The model.
        concurrency: Maximum number of requests in flight, unless the name says otherwise.
        writing: How it generates; gives the maximum length of an answer and the timeout of a request.
        batch: Whether it is asked in batches, which cost half.

    Raises:
        ConfigError: If the name is that of an endpoint, and wrong.
        MissingExtraError: If the prices of endpoints are not installed.
    """
    if not name.startswith("api:"):
        return Limits(concurrency=concurrency, timeout=3600.0, patience=7200.0)  # a CPU may take minutes for a batch
    endpoint, writing = parse_name(name), writing or WritingConfig()
    reply = endpoint.number("max_new_tokens") or writing.max_new_tokens
    given = endpoint.settings.get("price")
    price = given_price(given) if given else find_price(endpoint.model, endpoint.url)
    return Limits(
        concurrency=max(1, int(endpoint.number("concurrency") or concurrency)),
        per_minute=endpoint.number("per_minute") or None,
        timeout=writing.timeout,
        patience=writing.timeout,
        max_tokens=PROMPT_TOKENS + int(reply),
        price=price.in_batches() if batch else price,
    )
