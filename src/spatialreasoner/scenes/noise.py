"""The noise of depth: below which difference a relation of two regions is undecided.

Each coordinate of a region is taken to have the standard error sigma(z) = 5 mm + 0.5 % of its distance z from the camera, which
is what structured light, lidar and a good stereo rig reach. A difference of two coordinates is inside the noise within two
standard errors of the difference. Sizes are differences themselves and carry twice the variance; what is within 10 % of a tie
in size is inside it too, as people call such things equal.
"""

from __future__ import annotations

import math

from spatialreasoner.core.types import Relation
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.values import TIE

NOISE_FLOOR = 0.005
"""Standard error of a coordinate close to the camera, metres."""

NOISE_SHARE = 0.005
"""Standard error of a coordinate as a share of the distance from the camera."""

_VOLUMES = frozenset({"big", "small"})
_LENGTHS = frozenset({"tall", "short", "wide", "thin"})


def noise(distance: float) -> float:
    """Standard error of one coordinate of a region at a distance from the camera, metres."""
    return NOISE_FLOOR + NOISE_SHARE * distance


def sigma(measured: Measured, region_id: str) -> float:
    """Standard error of one coordinate of a region, metres."""
    cloud = measured.cloud(region_id)
    return NOISE_FLOOR if cloud is None else noise(float(cloud.centre[2]))


def margin(measured: Measured, relation: Relation, region_ids: tuple[str, ...], scale: float) -> float:
    """The difference below which a relation is undecided: two standard errors, for sizes at least a tie.

    Args:
        measured: The scene.
        relation: The relation.
        region_ids: Its two regions.
        scale: What a tie is measured against, as in `Comparison.scale`.

    Returns:
        Metres; cubic metres for big and small; units of the map where depth is relative.
    """
    depth = measured.scene.depth
    if depth is not None and not depth.metric:
        return TIE * scale  # relative depth has no metres in which its noise could be told
    sigmas = [sigma(measured, region_id) for region_id in region_ids]
    if relation in _VOLUMES:
        errors = [_volume_error(measured, name, error) for name, error in zip(region_ids, sigmas, strict=True)]
        return max(2 * math.hypot(*errors), TIE * scale)
    if relation in _LENGTHS:
        return max(2 * math.sqrt(2) * math.hypot(*sigmas), TIE * scale)
    return 2 * math.hypot(*sigmas)


def _volume_error(measured: Measured, region_id: str, error: float) -> float:
    """Standard error of a box's volume: those of its three extents, propagated."""
    cloud = measured.cloud(region_id)
    if cloud is None:
        return 0.0
    width, height, depth = (float(extent) for extent in cloud.extent)
    return math.sqrt(2) * error * math.hypot(height * depth, width * depth, width * height)
