"""Regions that a label tool gives for the frames of a capture: labelled as the capture has them, or as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spatialreasoner.core.errors import SceneError
from spatialreasoner.scenes.annotations.finder import AnnotatedRegions
from spatialreasoner.scenes.files import pixels_of
from spatialreasoner.scenes.finding import Found
from spatialreasoner.scenes.foreground import in_box
from spatialreasoner.scenes.importers.frames import Frame
from spatialreasoner.scenes.masks import box_of

_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG", ".heic", ".HEIC", ".webp")


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The annotations of a capture's frames.

    Attributes:
        regions: The annotations; None if there are none.
        names: What the annotations call the frame of each place that they know.
    """

    regions: AnnotatedRegions | None
    names: Mapping[int, str]

    @classmethod
    def of(cls, regions: AnnotatedRegions | None, frames: Mapping[int, tuple[str, str]]) -> Labels:
        """Match annotations with frames.

        Args:
            regions: The annotations.
            frames: The name and the scene's id of each place.

        Raises:
            SceneError: If none of the annotations is of one of the frames, or one can be of several.
        """
        if regions is None:
            return cls(regions=None, names={})
        known: dict[int, str] = {}
        for place, (name, own_id) in frames.items():
            called = [f"{own_id}/image{suffix}" for suffix in (".jpg", ".png")]
            called += [name if name.endswith(suffix) else name + suffix for suffix in _SUFFIXES]
            found = dict.fromkeys(each for each in called if regions.knows(each))
            if found:
                known[place] = next(iter(found))
        if frames and not known:
            some = ", ".join(name for name, _ in list(frames.values())[:3])
            raise SceneError(f"{regions.path}: expected regions of the capture's frames ({some}, ...); it names none of them")
        return cls(regions=regions, names=known)

    def find(self, place: int, frame: Frame) -> list[Found]:
        """The regions of a frame; what is a plain box is the thing in it, where depth has a scale.

        Raises:
            SceneError: If they are broken, or of an image of another size.
        """
        if self.regions is None or place not in self.names:
            return []
        return [_cut(one, frame) for one in self.regions.find(self.names[place], frame.size)]


def _cut(one: Found, frame: Frame) -> Found:
    if one.source != "box" or not one.mask.any() or not frame.metric:
        return one
    mask = in_box(box_of(one.mask), frame.depth, pixels_of(frame.image))
    return one._replace(mask=mask, source="box, cut out by depth and colour")
