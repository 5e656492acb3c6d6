"""Earlier path of `spatialreasoner.scenes.geometry`."""

from spatialreasoner.scenes.geometry import Cloud, unproject

__all__ = ["Cloud", "unproject"]
