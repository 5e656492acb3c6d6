"""What finds the regions of an image: a mask model, or what people drew with a label tool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool

from spatialreasoner.core.types import RegionSource


class Found(NamedTuple):
    """One region of an image.

    Attributes:
        label: What it shows.
        mask: [h, w], its pixels.
        source: Where the mask comes from; None if that is not known.
    """

    label: str
    mask: Bool[np.ndarray, "h w"]
    source: RegionSource | None


class RegionFinder(Protocol):
    """Something that knows the regions of an image: a mask model, or an annotation file."""

    def find(self, image: str, size: tuple[int, int]) -> Sequence[Found]:
        """Each region of an image.

        Args:
            image: Path of the image.
            size: Its height and width once turned upright.
        """
        ...
