"""Models that come with an installed package, by name: this one's nano, and whatever others ship.

A package announces a model by an entry point of the group `spatialreasoner.models` that leads to a `ShippedModel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ShippedModel:
    """A model that comes with a package.

    Attributes:
        name: Its name on the command line.
        model_type: Its family, as transformers calls it.
        folder: Where its files are, or would be.
        module: The module whose import registers its classes with transformers.
        remake: How its weights are made, where they are not installed.
        architecture_version: What config.json says of that name (1 where it says nothing); folders of another version have
            other parts, and are refused.
    """

    name: str
    model_type: str
    folder: Path
    module: str
    remake: str
    architecture_version: int = 1

    def register(self) -> None:
        """Make its classes known to transformers."""
        import_module(self.module)


@cache
def shipped_models() -> Mapping[str, ShippedModel]:
    """All of them by name. Reading the entry points costs a few milliseconds, once; no model is imported."""
    return {entry.name: entry.load() for entry in entry_points(group="spatialreasoner.models")}
