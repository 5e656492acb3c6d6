"""Models by the name that people give them on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spatialreasoner.errors import ConfigError
from spatialreasoner.protocols import Policy
from spatialreasoner.types import Scene

FORMS = "a folder, hf:REPO_OR_DIR, or scripted:NAME"
"""The forms a name may have, for help and errors."""


@dataclass(frozen=True, kw_only=True)
class LocalConfig:
    """How a model in this process writes.

    Attributes:
        temperature: Of sampling; 0 takes the likeliest token each time.
        max_new_tokens: Longest answer, tokens.
        batch_size: Most answers written at once.
    """

    temperature: float = 0.0
    max_new_tokens: int = 768
    batch_size: int = 16


def named_policy(name: str, scenes: Mapping[str, Scene], local: LocalConfig) -> Policy:
    """The policy of a name: `scripted:careful`, `hf:REPO_OR_DIR`, or a model folder.

    Args:
        name: The name.
        scenes: The scenes, by id, whose truth the simulated teachers perceive in their own ways.
        local: How a model in this process writes.

    Raises:
        ConfigError: If there is no such model.
    """
    kind, _, rest = name.partition(":")
    if kind == "scripted":
        from spatialreasoner.models.scripted import scripted

        return scripted(rest, scenes)
    if kind == "hf" or Path(name).is_dir():
        from spatialreasoner.models.hf import HfPolicy

        return HfPolicy(name, temperature=local.temperature, max_new_tokens=local.max_new_tokens, batch_size=local.batch_size)
    raise ConfigError(f"expected a model as {FORMS}; got {name!r}")
