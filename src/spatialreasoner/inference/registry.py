"""Models by the name that people give them on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Scene
from spatialreasoner.inference.budget import Price
from spatialreasoner.inference.endpoint import Limits
from spatialreasoner.vlm.shipped import shipped_models

FORMS = "nano, a folder, hf:REPO_OR_DIR, api:MODEL@BASE_URL, or scripted:NAME"
"""The forms a name may have, for help and errors."""


@dataclass(frozen=True, kw_only=True)
class WritingConfig:
    """How a model writes.

    Attributes:
        temperature: Of sampling; 0 takes the likeliest token each time.
        max_new_tokens: Longest answer, tokens.
        batch_size: Most answers that a model in this process writes at once.
        key_variable: Environment variable that holds the key of endpoints.
        prefill: Whether endpoints can continue a message that the model has begun (vLLM and SGLang can).
    """

    temperature: float = 0.0
    max_new_tokens: int = 768
    batch_size: int = 16
    key_variable: str = "OPENAI_API_KEY"
    prefill: bool = False


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
        writing: How models that are no teachers write.

    Raises:
        ConfigError: If there is no such model.
    """
    kind = "hf" if Path(name).is_dir() or name in shipped_models() else name.partition(":")[0]
    if kind not in backends():
        raise ConfigError(f"expected a model as {FORMS}; got {name!r}")
    open_policy: Opener = backends()[kind].load()
    return open_policy(name, scenes, writing)


def limits_of(name: str, *, concurrency: int) -> Limits:
    """How a model by name may be used: its requests in flight, and the price of its tokens where it is known.

    Raises:
        MissingExtraError: If the prices of endpoints are not installed.
    """
    kind, _, rest = name.partition(":")
    if kind != "api":
        return Limits(concurrency=concurrency, timeout=3600.0, patience=7200.0)  # a CPU may take minutes for a batch
    from spatialreasoner.inference.backends.api import known_price

    price = known_price(rest.partition("@")[0])
    return Limits(concurrency=concurrency, price=Price(prompt=price[0], completion=price[1]) if price else Price())
