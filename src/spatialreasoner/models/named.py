"""Models by the name that people give them on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from spatialreasoner.errors import ConfigError
from spatialreasoner.protocols import Policy
from spatialreasoner.types import Scene

FORMS = "a folder, hf:REPO_OR_DIR, or scripted:NAME"
"""The forms a name may have, for help and errors."""


def named_policy(name: str, scenes: Mapping[str, Scene], *, temperature: float) -> Policy:
    """The policy of a name: `scripted:careful`, `hf:REPO_OR_DIR`, or a model folder.

    Args:
        name: The name.
        scenes: The scenes, by id, whose truth the simulated teachers perceive in their own ways.
        temperature: Sampling temperature of a local model; 0 is greedy.

    Raises:
        ConfigError: If there is no such model.
    """
    kind, _, rest = name.partition(":")
    if kind == "scripted":
        from spatialreasoner.models.scripted import scripted

        return scripted(rest, scenes)
    if kind == "hf" or Path(name).is_dir():
        from spatialreasoner.models.hf import HfPolicy

        return HfPolicy(name, temperature=temperature)
    raise ConfigError(f"expected a model as {FORMS}; got {name!r}")
