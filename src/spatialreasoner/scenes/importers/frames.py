"""What every importer hands on: images with measured depth, in one convention, whatever the file said.

A reader returns `Frame`s as the files have them: the image as its camera took it, the depth on its own grid. `settle`
brings them into the form that the product keeps: depth on the image's grid, the image upright.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers.store import Store

Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One image with measured depth.

    Attributes:
        name: Its name in the capture.
        image: The pixels, RGB, in the orientation in which `intrinsics` counts them.
        depth: Metres along the optical axis, NaN where not measured; on its own grid, which may differ from the image's.
        intrinsics: The image's camera, pixels of `image`.
        depth_camera: The depth's camera, pixels of `depth`; None if the depth covers the image's own field of view.
        depth_pose: The depth camera in the image camera's frame, so that p_image = depth_pose @ p_depth, metres; None if
            the two are at one place.
        gravity: The direction in which things fall, image camera frame (x right, y down, z forward), or None.
        regions: Labels and masks [h, w] of the image that the capture comes with.
        encoded: The bytes of a JPEG or PNG that holds exactly `image`, to be copied; None to encode the pixels again.
        units_per_metre: The depth's own unit where it was stored as whole numbers, so that it is written without rounding.
        metric: False if the depth orders pixels but has no scale.
        note: What should be told beside the source: assumptions, what was left out.
    """

    name: str
    image: Image.Image
    depth: Float[np.ndarray, "depth_h depth_w"]
    intrinsics: Intrinsics
    depth_camera: Intrinsics | None = None
    depth_pose: Float[np.ndarray, "4 4"] | None = None
    gravity: Vector | None = None
    regions: tuple[tuple[str, Bool[np.ndarray, "h w"]], ...] = ()
    encoded: bytes | None = None
    units_per_metre: float | None = None
    metric: bool = True
    note: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.image.height, self.image.width


@dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """Options for reading a capture.

    Attributes:
        intrinsics: The image's camera, if the capture does not include it, or to replace it.
        min_confidence: Minimum depth confidence to keep, if the capture has it: 0 low, 1 medium, 2 high.
    """

    intrinsics: Intrinsics | None = None
    min_confidence: int = 1


@dataclass(frozen=True, kw_only=True)
class Capture:
    """A capture that has been looked into, but not read.

    Attributes:
        title: What to call it.
        names: The frames, in order.
        read: Reads the frames of some places of `names`, ascending; one at a time, so a long video fits the memory.
        source: What recorded it, for the record.
    """

    title: str
    names: tuple[str, ...]
    read: Callable[[Sequence[int]], Iterator[Frame]] = field(repr=False)
    source: str


@dataclass(frozen=True, kw_only=True)
class Importer:
    """How one kind of capture is recognised and read.

    Attributes:
        kind: Its name.
        title: What it is, for people.
        layout: The files by which it is known, for people.
        find: The part of a store that is such a capture, or None.
        open: Looks into that part.
    """

    kind: str
    title: str
    layout: str
    find: Callable[[Store], Store | None]
    open: Callable[[Store, FrameOptions], Capture]


def one_by_one(read: Callable[[int], Frame]) -> Callable[[Sequence[int]], Iterator[Frame]]:
    """`Capture.read` of a function that reads the frame of one place."""
    return lambda places: (read(place) for place in places)


def photos(files: Mapping[str, str], store: Store, read: Callable[[str, str], Frame]) -> Capture:
    """A capture of single photos that each hold their own depth.

    Args:
        files: The path of each photo by its name.
        store: Where they are.
        read: Reads one, by its name and path.
    """
    names = list(files)
    return Capture(
        title=store.title,
        names=tuple(names),
        read=one_by_one(lambda place: read(names[place], files[names[place]])),
        source=f"photo {store.title}",
    )
