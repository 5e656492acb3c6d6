"""What the nano sees of images and of regions on them, each looked at once, however many questions are asked about it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image

from spatialreasoner.nano.tokenizer import NUM_REGIONS
from spatialreasoner.nano.vision import Seen
from spatialreasoner.scenes.carry import attached
from spatialreasoner.scenes.squares import square_image, square_mask

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
    """An image that was looked at, and the regions on it, by the digests of the first one's mask and of their own.

    What is told of a region depends on the first, from where it is seen (`vision.OFFSETS`), and on no other.
    """

    name: int
    seen: Seen
    tokens: Float[np.ndarray, "tokens hidden"]
    regions: dict[tuple[bytes, bytes], tuple[int, Float[np.ndarray, " hidden"]]] = field(default_factory=dict[Any, Any])


class Seeing:
    """Looks at images, with the weights that the model has when it is made; several threads may ask.

    Args:
        model: The nano without its head.
        processor: Its processor.
    """

    def __init__(self, model: NanoModel, processor: NanoProcessor) -> None:
        self._model, self._processor = model, processor
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._names, self._lock = count(2**32), Lock()

    def __call__(self, image: Image.Image) -> Glimpse:
        """Look at an image and at the regions that it carries (`scenes.carry`).

        Raises:
            SceneError: If it carries something else than masks.
        """
        masks = attached(image)[:NUM_REGIONS]
        with self._lock:
            known = self._look(image)
            digests = [hashlib.sha256(np.packbits(mask).tobytes()).digest() for mask in masks]
            keys = [(digests[0], digest) for digest in digests]
            if any(key not in known.regions for key in keys):
                self._look_at(known, keys, masks)
            regions = [known.regions[key] for key in keys]
        told = np.array([each for _, each in regions], np.float32).reshape(len(regions), known.tokens.shape[-1])
        return Glimpse(known.name, known.tokens, told, tuple(name for name, _ in regions))

    @torch.inference_mode()
    def _look(self, image: Image.Image) -> _Known:
        plain = image.convert("RGB")
        key = hashlib.sha256(repr(plain.size).encode() + plain.tobytes()).digest()
        if key not in self._known:
            pixels = self._processor.image_processor([square_image(plain)], return_tensors="pt")["pixel_values"]
            seen = self._model.vision_tower(pixels)
            self._known[key] = _Known(next(self._names), seen, self._model.tell_images(seen.tokens)[0].numpy())
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    @torch.inference_mode()
    def _look_at(self, known: _Known, keys: Sequence[tuple[bytes, bytes]], masks: Sequence[Bool[np.ndarray, "h w"]]) -> None:
        """Look at all regions together; those that were looked at before keep their names."""
        side = self._model.config.image_size
        squares = torch.from_numpy(np.stack([square_mask(mask, side) for mask in masks]))
        told = self._model.region_tokens(self._model.vision_regions(known.seen, squares[None]))[0]
        vectors = (told * squares.flatten(1).any(-1)[:, None]).numpy()
        for key, vector in zip(keys, vectors, strict=True):
            if key not in known.regions:
                known.regions[key] = next(self._names), vector
