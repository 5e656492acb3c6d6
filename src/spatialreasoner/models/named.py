"""Models by the name that people give them on the command line."""

from __future__ import annotations

import gc
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spatialreasoner.errors import ConfigError
from spatialreasoner.models.loading import NANO
from spatialreasoner.protocols import Policy
from spatialreasoner.search.budget import Price
from spatialreasoner.search.endpoint import Limits
from spatialreasoner.types import Scene

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


def named_policy(name: str, scenes: Mapping[str, Scene], writing: WritingConfig) -> Policy:
    """The policy of a name: `nano`, `scripted:careful`, `hf:REPO_OR_DIR`, `api:MODEL@BASE_URL`, or a model folder.

    Args:
        name: The name.
        scenes: The scenes, by id, whose truth the simulated teachers perceive in their own ways.
        writing: How models that are no teachers write.

    Raises:
        ConfigError: If there is no such model.
    """
    kind, _, rest = name.partition(":")
    if kind == "scripted":
        from spatialreasoner.models.scripted import scripted

        return scripted(rest, scenes)
    if kind == "hf" or Path(name).is_dir() or name == NANO:
        with _collecting_no_garbage():
            from spatialreasoner.models.hf import HfPolicy

            return HfPolicy(
                name,
                temperature=writing.temperature,
                max_new_tokens=writing.max_new_tokens,
                batch_size=writing.batch_size,
            )
    if kind == "api":
        from spatialreasoner.models.api import ApiConfig, ApiPolicy

        config = ApiConfig(
            temperature=writing.temperature,
            max_tokens=writing.max_new_tokens,
            key_variable=writing.key_variable,
            prefill=writing.prefill,
        )
        return ApiPolicy(name, config)
    raise ConfigError(f"expected a model as {FORMS}; got {name!r}")


@contextmanager
def _collecting_no_garbage() -> Generator[None]:
    """Imports make objects by the hundred thousand and no garbage; looking for it is an eighth of a start."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def limits_of(name: str, *, concurrency: int) -> Limits:
    """How a model by name may be used: its requests in flight, and the price of its tokens where it is known.

    Raises:
        MissingExtraError: If the prices of endpoints are not installed.
    """
    kind, _, rest = name.partition(":")
    if kind != "api":
        return Limits(concurrency=concurrency, timeout=3600.0, patience=7200.0)  # a CPU may take minutes for a batch
    from spatialreasoner.models.api import known_price

    price = known_price(rest.partition("@")[0])
    return Limits(concurrency=concurrency, price=Price(prompt=price[0], completion=price[1]) if price else Price())
