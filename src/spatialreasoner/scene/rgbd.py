"""Earlier path of `spatialreasoner.scenes.rgbd`."""

from spatialreasoner.scenes.rgbd import load

__all__ = ["load"]
