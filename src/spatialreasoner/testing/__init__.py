"""Tiny models of every supported family, for tests and examples."""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.testing.tiny_models import build_tiny

__all__ = ["build_tiny"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "build_tiny": ".tiny_models",
    },
)
