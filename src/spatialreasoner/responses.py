"""Earlier path of `spatialreasoner.language.responses`."""

from spatialreasoner.language.responses import parse, render, spans

__all__ = ["parse", "render", "spans"]
