"""What is true of the one or two regions that a question names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spatialreasoner.core.types import Region
from spatialreasoner.scenes.measure import Measured

USUAL: Mapping[str, tuple[float, float, float]] = {
    "box": (0.4, 0.35, 0.4),
    "ball": (0.3, 0.3, 0.3),
    "cylinder": (0.28, 0.45, 0.28),
    "cone": (0.35, 0.45, 0.35),
    "pyramid": (0.4, 0.4, 0.4),
    "prism": (0.35, 0.35, 0.35),
    "wedge": (0.5, 0.3, 0.4),
    "dome": (0.4, 0.22, 0.4),
    "table": (1.2, 0.74, 0.8),
    "stool": (0.4, 0.5, 0.4),
    "bench": (1.2, 0.45, 0.4),
    "chair": (0.5, 0.9, 0.5),
    "sofa": (2.0, 0.85, 0.9),
    "bed": (1.6, 0.6, 2.0),
    "wardrobe": (1.2, 2.0, 0.6),
    "cabinet": (0.8, 0.9, 0.5),
    "shelf": (0.8, 1.8, 0.35),
    "door": (0.9, 2.0, 0.05),
    "window": (1.2, 1.2, 0.1),
    "lamp": (0.35, 1.5, 0.35),
    "car": (1.8, 1.5, 4.3),
    "tram": (2.4, 3.5, 28.0),
    "bus": (2.5, 3.2, 12.0),
    "person": (0.5, 1.7, 0.3),
    "bicycle": (0.6, 1.1, 1.8),
    "post": (0.15, 2.5, 0.15),
    "bag": (0.4, 0.45, 0.2),
    "machine": (0.6, 0.85, 0.6),
    "heater": (0.5, 1.5, 0.5),
    "furnace": (0.6, 1.2, 0.7),
}
"""Width, height and depth that such a thing usually has, metres, by the noun that ends its label."""

_ANY = (0.5, 0.6, 0.5)


@dataclass(frozen=True, kw_only=True, slots=True)
class RegionFacts:
    """One region as it is: its words, and lengths in metres (None if the data cannot tell).

    Attributes:
        label: What the scene calls it.
        colour: Its colour word, or "" where unknown.
        usual: Width, height and depth that such a thing usually has.
        size: Its width, height and depth.
        near: Distance of its nearest surface along the line of sight.
        camera: Distance of its centre from the camera.
        middle: Sideways and upward offset of its box's middle from the camera (right and up positive).
        centre: Mean of its points: x right, y up, z forward.
    """

    label: str
    colour: str
    usual: tuple[float, float, float]
    size: tuple[float, float, float] | None
    near: float
    camera: float
    middle: tuple[float, float]
    centre: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a question's regions are, and the direct distance between the first two, metres."""

    things: tuple[RegionFacts, ...]
    direct: float
    others: tuple[str, ...]


def gather(measured: Measured, regions: tuple[Region, ...]) -> Facts:
    """Look up the truth of a question's regions; what cannot be measured is as usual and two metres away."""
    ids = [region.id for region in regions]
    direct = measured.quantity("distance", *ids[:2]).value if len(ids) > 1 else None
    others = tuple(region.label for region in measured.scene.regions if region.id not in ids)
    things = tuple(_thing(measured, region, place) for place, region in enumerate(regions))
    return Facts(things=things, direct=1.0 if direct is None else direct, others=others)


def _thing(measured: Measured, region: Region, place: int) -> RegionFacts:
    noun = region.label.lower().split()[-1] if region.label.split() else ""
    usual = USUAL.get(noun, _ANY)
    known = {known.region_id: known.colour for known in measured.scene.objects or ()}
    cloud = measured.cloud(region.id)
    if cloud is None:
        return _unseen(region.label, known.get(region.id, ""), usual, 0.8 * place)
    x, y, z = (float(value) for value in cloud.centre)
    width, height, depth = (float(value) for value in cloud.extent)
    low, high = cloud.low, cloud.high
    return RegionFacts(
        label=region.label,
        colour=known.get(region.id, ""),
        usual=usual,
        size=(width, height, depth),
        near=float(low[2]),
        camera=(x * x + y * y + z * z) ** 0.5,
        middle=(float(low[0] + high[0]) / 2, -float(low[1] + high[1]) / 2),
        centre=(x, -y, z),
    )


def _unseen(label: str, colour: str, usual: tuple[float, float, float], x: float) -> RegionFacts:
    """A thing without depth: two metres away, beside the one before."""
    centre = (x, 0.0, 2.0)
    return RegionFacts(label=label, colour=colour, usual=usual, size=None, near=2.0, camera=2.0, middle=(x, 0.0), centre=centre)
