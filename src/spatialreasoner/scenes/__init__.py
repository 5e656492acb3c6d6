"""Scenes: images, regions, depth and cameras; what can be measured of them; and what can be asked."""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.scenes.files import load_scenes, read_depth, read_image, scene_index
    from spatialreasoner.scenes.geometry import Cloud, unproject
    from spatialreasoner.scenes.masks import decode, encode
    from spatialreasoner.scenes.measure import Measured, Truth
    from spatialreasoner.scenes.synthetic import SyntheticConfig

__all__ = [
    "Cloud",
    "Measured",
    "SyntheticConfig",
    "Truth",
    "decode",
    "encode",
    "load_scenes",
    "read_depth",
    "read_image",
    "scene_index",
    "unproject",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Cloud": ".geometry",
        "Measured": ".measure",
        "SyntheticConfig": ".synthetic",
        "Truth": ".measure",
        "decode": ".masks",
        "encode": ".masks",
        "load_scenes": ".files",
        "read_depth": ".files",
        "read_image": ".files",
        "scene_index": ".files",
        "unproject": ".geometry",
    },
)
