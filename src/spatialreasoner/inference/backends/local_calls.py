"""What is asked of a local model: one completion of one prompt, with the chance that is its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from PIL.Image import Image

from spatialreasoner.core.types import Prompt, Rle
from spatialreasoner.inference.backends.openings import Opening
from spatialreasoner.scenes.carry import carrier_of


@dataclass(frozen=True, kw_only=True)
class LocalCall:
    """One completion that somebody waits for.

    Attributes:
        opening: What it continues.
        image: The image, with marks where the model has no tokens for regions; None for text alone.
        masks: Where it has, the regions, of the image's size; else None.
        key: A number of 63 bits that decides the completion's chance.
    """

    opening: Opening
    image: Image | None
    masks: tuple[Rle, ...] | None
    key: int

    @property
    def shown(self) -> Image | None:
        """The image as a processor takes it: it carries the regions (`scenes.carry`)."""
        return self.image if self.image is None or self.masks is None else carrier_of(self.image, self.masks)


def chance_of(prompt: Prompt, seed: int, index: int) -> int:
    """The key of a completion: of the prompt, the seed and the completion's number alone, whatever else is in its batch."""
    parts = (Path(prompt.image).name, prompt.request, prompt.prefix, str(seed), str(index))
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big") >> 1
