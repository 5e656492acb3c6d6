"""What the nano sees of images and of regions on them, each looked at once, however many questions are asked about it."""

from __future__ import annotations

import ctypes
import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from spatialreasoner.core.types import Rle
from spatialreasoner.nano.native.eyes import eyes_of
from spatialreasoner.nano.tokenizer import NUM_REGIONS
from spatialreasoner.scenes.masks import decode
from spatialreasoner.scenes.squares import square_mask, square_pixels

if TYPE_CHECKING:
    from spatialreasoner.nano.modeling import NanoModel
    from spatialreasoner.nano.processing import NanoProcessor

_REMEMBERED = 256
"""Images that are kept in mind; each takes a quarter of a megabyte."""


class Glimpse(NamedTuple):
    """An image as the decoder reads it.

    Attributes:
        name: A number that no other image has.
        tokens: The image's tokens.
        regions: What `<region1>`, `<region2>`, ... add to their names.
        names: A number for each region that no other one has, on whatever image.
    """

    name: int
    tokens: Float[np.ndarray, "tokens hidden"]
    regions: Float[np.ndarray, "regions hidden"]
    names: tuple[int, ...]


@dataclass(eq=False)
class _Known:
    """An image that was looked at, and the regions on it, by their masks.

    What is told of a region depends on the first, from where it is seen (`vision.OFFSETS`), and on no other.
    """

    name: int
    seen: Any
    tokens: Float[np.ndarray, "tokens hidden"]
    regions: dict[Rle, Any] = field(default_factory=dict[Any, Any])
    told: dict[tuple[Rle, Rle], tuple[int, Float[np.ndarray, " hidden"]]] = field(default_factory=dict[Any, Any])


class Seeing:
    """Looks at images, with the weights that the model has when it is made; several threads may ask.

    Args:
        model: The nano without its head.
        processor: Its processor.
        library: Of `kernel.native_library`.
    """

    def __init__(self, model: NanoModel, processor: NanoProcessor, library: ctypes.CDLL) -> None:
        self._eyes, self._side = eyes_of(model, library), model.config.image_size
        self._pixels = vars(processor.image_processor)
        self._last: tuple[Callable[[], object], bytes] = lambda: None, b""
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._names, self._lock = count(2**32), Lock()

    def __call__(self, image: Image.Image, masks: Sequence[Rle]) -> Glimpse:
        """Look at an image and at regions on it.

        Raises:
            SceneError: If their run lengths are none of masks of their size.
        """
        masks = masks[:NUM_REGIONS]
        with self._lock:
            known = self._look(image)
            regions = [self._tell(known, masks[0], mask) for mask in masks]
        told = np.array([each for _, each in regions], np.float32).reshape(len(regions), known.tokens.shape[-1])
        return Glimpse(known.name, known.tokens, told, tuple(name for name, _ in regions))

    def _tell(self, known: _Known, first: Rle, mask: Rle) -> tuple[int, Float[np.ndarray, " hidden"]]:
        """A region's name, and what is told of it; the first one has been looked at before."""
        told = known.told.get((first, mask))
        if told is None:
            region = known.regions.get(mask)
            if region is None:
                region = known.regions[mask] = self._eyes.look(known.seen, square_mask(decode(mask), self._side))
            name = self._eyes.name(None if first == mask else known.regions[first], region)
            told = known.told[first, mask] = next(self._names), name
        return told

    def _look(self, image: Image.Image) -> _Known:
        last, key = self._last
        if last() is not image:  # which it is for most questions: those about an image come one after the other
            plain = image if image.mode == "RGB" else image.convert("RGB")
            key = hashlib.sha256(repr(plain.size).encode() + plain.tobytes()).digest()
            self._last = weakref.ref(image), key
        if key not in self._known:
            pixels = square_pixels(image.convert("RGB"), self._side, self._pixels)
            self._known[key] = _Known(next(self._names), *self._eyes.see(pixels))
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]
