"""Vision-language models of any family: processors, loading, region tokens."""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.vlm.loading import load_vlm

__all__ = ["load_vlm"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "load_vlm": ".loading",
    },
)
