"""Preference pairs with a gap per segment, and SFT examples, from scored answers."""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.preferences.pairs import PairsConfig, PairsSummary, write_pairs

__all__ = ["PairsConfig", "PairsSummary", "write_pairs"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "PairsConfig": ".pairs",
        "PairsSummary": ".pairs",
        "write_pairs": ".pairs",
    },
)
