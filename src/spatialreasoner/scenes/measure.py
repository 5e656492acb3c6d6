"""What can be measured of a scene: sizes, distances, directions and relations of its regions (docs/papers.md 4.5).

A quantity that the data cannot support is None with a reason, never a number: no depth, too few points, or a region that the
image's border cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from spatialreasoner.core.types import QuantityName, Relation, Scene
from spatialreasoner.scenes.files import bands_of, read_depth
from spatialreasoner.scenes.geometry import Cloud, clean, level, lifted, overhead
from spatialreasoner.scenes.masks import box_of, decode, require_size
from spatialreasoner.scenes.values import COMPARED, MEASURES, Comparison, Measurement

if TYPE_CHECKING:
    from spatialreasoner.scenes.uncertainty import Uncertainty

MAX_POINTS = 100_000
"""Maximum number of points of a region's cloud; of more measured pixels a random sample is taken."""


class Measured:
    """A scene with its depth in memory; every cloud and every value is computed once, when first asked for.

    Args:
        scene: The scene, paths resolved.
        depth: Its depth, metres, where that is in memory already; by default it is read from its file when needed.

    Raises:
        SceneError: If depth, image and masks are not of one size.
    """

    of_pixels = True
    """Whether clouds are lifted from pixels, whose masks and depths can be off."""

    found: dict[tuple[str, ...], Any]
    """What others worked out of its values, by a key of theirs; forgotten with it."""

    def __init__(self, scene: Scene, depth: Float[np.ndarray, "h w"] | None = None) -> None:
        self.scene = scene
        self._depth = depth
        self._clouds: dict[str, Cloud | str] = {}
        self._cuts: dict[str, tuple[bool, bool]] = {}
        self._values: dict[tuple[str, ...], Measurement] = {}
        self._comparisons: dict[tuple[str, str, str], Comparison] = {}
        self.found = {}

    def cloud(self, region_id: str) -> Cloud | None:
        """The cleaned cloud of a region, or None if there is none; `why` then tells the reason."""
        found = self._cloud(region_id)
        return None if isinstance(found, str) else found

    def why(self, region_id: str) -> str | None:
        """Why a region has no cloud, or None if it has one."""
        found = self._cloud(region_id)
        return found if isinstance(found, str) else None

    def quantity(self, name: QuantityName, *region_ids: str) -> Measurement:
        """Measure one region (width, height, depth, distance from the camera) or two (distances, direction)."""
        key = (name, *region_ids)
        if key not in self._values:
            self._values[key] = self._quantity(name, *region_ids)
        return self._values[key]

    def compare(self, relation: Relation, a: str, b: str) -> Comparison:
        """Whether "`a` is `relation` `b`" holds, and how clearly."""
        key = (relation, a, b)
        if key not in self._comparisons:
            self._comparisons[key] = self._compare(relation, a, b)
        return self._comparisons[key]

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """The same quantities and comparisons with standard errors and intervals; they take longer."""
        from spatialreasoner.scenes.uncertainty import Uncertainty  # now: it imports scipy, which takes long

        return Uncertainty(self)

    def cut(self, region_id: str) -> tuple[bool, bool]:
        """Whether the image's border may cut the region: sideways (left, right), and upright (top, bottom)."""
        if region_id not in self._cuts:
            mask = decode(self.scene.region(region_id).mask)
            x0, y0, x1, y1 = box_of(mask)
            self._cuts[region_id] = x0 == 0 or x1 == mask.shape[1], y0 == 0 or y1 == mask.shape[0]
        return self._cuts[region_id]

    def release(self) -> None:
        """Forget the pixels: they are read again when needed. Clouds and values that were computed stay, and are small."""
        self._depth = None

    @property
    def depth(self) -> Float[np.ndarray, "h w"]:
        """Depth along the optical axis, metres; NaN where it was not measured. The scene must have some."""
        if self._depth is None:
            self._depth = self._read()
        return self._depth

    def _read(self) -> Float[np.ndarray, "h w"]:
        assert self.scene.depth is not None
        depth = read_depth(self.scene.depth)
        for region in self.scene.regions:
            where = f"scene {self.scene.id!r}, {region.id!r}"
            require_size(region.mask.size, depth.shape, where=where, what="a mask of the depth map's size")
        return depth

    def _lifted(self, mask: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "n 3"]:
        """The measured points of a mask; at most about `MAX_POINTS` of them."""
        camera = self.scene.intrinsics
        assert camera is not None
        x0, y0, x1, y1 = box_of(mask)
        depth = self.depth[y0:y1, x0:x1]
        kept = mask[y0:y1, x0:x1] & np.isfinite(depth)
        share = MAX_POINTS / max(1, int(kept.sum()))
        if share < 1:
            rng = np.random.default_rng(0)
            for band in bands_of(len(kept)):
                kept[band] &= rng.random(kept[band].shape, dtype=np.float32) < share
        rows, columns = np.nonzero(kept)
        return lifted(depth, camera, rows, columns, (x0, y0))

    def _cloud(self, region_id: str) -> Cloud | str:
        if region_id not in self._clouds:
            self._clouds[region_id] = self._lift(region_id)
        return self._clouds[region_id]

    def _lift(self, region_id: str) -> Cloud | str:
        region = self.scene.region(region_id)
        if self.scene.depth is None or self.scene.intrinsics is None:
            return "the scene has no depth" if self.scene.depth is None else "the scene has no intrinsics"
        if not self.scene.depth.metric:
            return "the scene's depth is relative: it orders pixels but has no metres"
        points = self._lifted(decode(region.mask))
        cleaned = clean(level(points, self.scene.gravity))
        return f"too few measured points that hang together (of {len(points)})" if cleaned is None else Cloud(cleaned)

    def _quantity(self, name: QuantityName, *region_ids: str) -> Measurement:
        clouds = [self._cloud(region_id) for region_id in region_ids]
        for region_id, cloud in zip(region_ids, clouds, strict=True):
            if isinstance(cloud, str):
                return Measurement(reason=f"{region_id}: {cloud}")
        if (reason := self._unseen(_UNSEEN_QUANTITIES, name)) is not None:
            return Measurement(reason=reason)
        if name in _CUT_BY and _CUT_BY[name](*self.cut(region_ids[0])):
            return Measurement(reason=f"{region_ids[0]}: the image's border cuts it")
        return Measurement(value=float(MEASURES[name](*clouds)))  # type: ignore[arg-type]

    def _compare(self, relation: Relation, a: str, b: str) -> Comparison:
        if relation in {"behind", "front"} and self.scene.depth is not None and not self.scene.depth.metric:
            return self._order(relation, a, b)
        if (reason := self._unseen(_UNSEEN_RELATIONS, relation)) is not None:
            return Comparison(reason=reason)
        for region_id in (a, b):
            if (reason := self.why(region_id)) is not None:
                return Comparison(reason=f"{region_id}: {reason}")
            if relation in _SIZE_OF and _CUT_BY[_SIZE_OF[relation]](*self.cut(region_id)):
                return Comparison(reason=f"{region_id}: the image's border cuts it")
        clouds = [cloud for region_id in (a, b) if (cloud := self.cloud(region_id)) is not None]
        value, sign = COMPARED[relation]
        left, right = map(value, clouds)
        axis = PLACED_ALONG.get(relation)
        sizes = [0.0] if axis is None else [float(cloud.extent[axis]) for cloud in clouds]
        return Comparison(difference=sign * (left - right), scale=max(abs(left), abs(right), *sizes))

    def _unseen(self, names: Mapping[str, str], name: str) -> str | None:
        """Why a camera that looks straight down or up cannot tell this, or None if it can."""
        if not overhead(self.scene.gravity):
            return None
        why = names.get(name)
        return None if why is None else f"the camera looks straight down or up: {why}"

    def _order(self, relation: Relation, a: str, b: str) -> Comparison:
        """Behind or in front by relative depth: the nearest fiftieth of each region decides."""
        nearest: list[float] = []
        for region_id in (a, b):
            values = self.depth[decode(self.scene.region(region_id).mask)]
            values = values[np.isfinite(values)]
            if len(values) == 0:
                return Comparison(reason=f"{region_id}: no measured depth")
            nearest.append(float(np.quantile(values, 0.02)))
        difference = nearest[0] - nearest[1]
        return Comparison(difference=difference if relation == "behind" else -difference, scale=max(nearest))


class Truth(Measured):
    """A synthetic scene as it really is: each region's cloud is the eight corners of its object's true box.

    Centres, boxes, widths, heights and directions are exact; the direct distance is that between corners.
    """

    of_pixels = False

    def cut(self, region_id: str) -> tuple[bool, bool]:
        """What is known does not end at the border."""
        return False, False

    def _lift(self, region_id: str) -> Cloud | str:
        for known in self.scene.objects or ():
            if known.region_id == region_id:
                corners = np.array(list(product((-0.5, 0.5), repeat=3))) * known.size
                return Cloud(corners + known.centre)
        return "the scene does not know the object's true size"


_UNSEEN_QUANTITIES: Mapping[str, str] = {"height": "it sees the tops of things, not how far down they reach"}

_UNSEEN_RELATIONS: Mapping[str, str] = {
    **dict.fromkeys(("tall", "short", "big", "small"), _UNSEEN_QUANTITIES["height"]),
    **dict.fromkeys(("above", "below"), "the words can mean higher up or farther up in the image"),
    **dict.fromkeys(
        ("behind", "front"), "nothing stands behind anything; left, right and the clock direction tell where it is"
    ),
}
"""What cannot be told from above, and why. Widths, all distances, left and right, and clock directions (12 is up in the
image) can."""

_CUT_BY: Mapping[str, Callable[[bool, bool], bool]] = {
    "width": lambda sideways, upright: sideways,
    "height": lambda sideways, upright: upright,
    "depth": lambda sideways, upright: sideways or upright,
}
"""Which cut of the border makes a size unknown."""

_SIZE_OF: Mapping[str, str] = {
    "tall": "height",
    "short": "height",
    "wide": "width",
    "thin": "width",
    "big": "depth",
    "small": "depth",
}
"""The size whose cut makes a relation unknown; a volume suffers from every cut, as the depth does."""

PLACED_ALONG: Mapping[Relation, int] = {"left": 0, "right": 0, "above": 1, "below": 1}
"""Relations of place and their axis. Places near the optical axis are near 0, so sizes count in what a tie is."""
