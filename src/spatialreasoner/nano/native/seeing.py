"""What the nano sees of images and of regions on them, each looked at once, however many questions are asked about it."""

from __future__ import annotations

import ctypes
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from threadpoolctl import ThreadpoolController
from torch.nn import functional

from spatialreasoner.core.types import Rle
from spatialreasoner.nano.native.tower import NativeTower, can_see
from spatialreasoner.nano.numpy.layers import NamedWeights, split_heads
from spatialreasoner.nano.numpy.vision import (
    CELL,
    SeenImage,
    SeenRegions,
    look_around,
    look_regions,
    tell_first,
    tell_others,
)
from spatialreasoner.nano.tokenizer import NUM_REGIONS
from spatialreasoner.scenes.carry import carried
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
    seen: SeenImage
    tokens: Float[np.ndarray, "tokens hidden"]
    regions: dict[Rle, SeenRegions] = field(default_factory=dict[Any, Any])
    told: dict[tuple[Rle, Rle], tuple[int, Float[np.ndarray, " hidden"]]] = field(default_factory=dict[Any, Any])


class Seeing:
    """Looks at images, with the weights that the model has when it is made; several threads may ask.

    Args:
        model: The nano without its head.
        processor: Its processor.
        library: Of `kernel.native_library`.
    """

    def __init__(self, model: NanoModel, processor: NanoProcessor, library: ctypes.CDLL) -> None:
        self._model, self._processor = model, processor
        self._heads, self._side = model.config.vision_heads, model.config.image_size
        parts = ("vision_tower", "vision_regions", "image_tokens", "region_tokens")
        weights = ((f"model.{part}.{name}", each) for part in parts for name, each in model.get_submodule(part).state_dict().items())
        self._weights = NamedWeights({name: each.numpy() for name, each in weights}, "model")
        self._tower = NativeTower(library, self._weights, model.config) if can_see(model) else None
        self._pixels = vars(processor.image_processor)
        self._last: tuple[object, bytes] = None, b""
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._names, self._lock = count(2**32), Lock()
        # of matrices as small as a region's, numpy's threads would do little but wait for each other, and hold up torch's
        self._numpy = ThreadpoolController().select(user_api="blas")

    def __call__(self, image: Image.Image) -> Glimpse:
        """Look at an image and at the regions that it carries (`scenes.carry`).

        Raises:
            SceneError: If it carries something else than masks.
        """
        masks = carried(image)[:NUM_REGIONS]
        with self._lock, self._numpy.limit(limits=1):
            known = self._look(image)
            regions = [self._tell(known, masks[0], mask) for mask in masks]
        told = np.array([each for _, each in regions], np.float32).reshape(len(regions), known.tokens.shape[-1])
        return Glimpse(known.name, known.tokens, told, tuple(name for name, _ in regions))

    def _tell(self, known: _Known, first: Rle, mask: Rle) -> tuple[int, Float[np.ndarray, " hidden"]]:
        """A region's name, and what is told of it; the first one has been looked at before."""
        if mask not in known.regions:
            known.regions[mask] = self._look_at(known, decode(mask))
        if (first, mask) not in known.told:
            origin, region = known.regions[first], known.regions[mask]
            told = tell_first(self._weights, region) if first == mask else tell_others(self._weights, origin, region)
            known.told[first, mask] = next(self._names), told[0]
        return known.told[first, mask]

    @torch.inference_mode()
    def _look(self, image: Image.Image) -> _Known:
        plain = image if image.mode == "RGB" else image.convert("RGB")
        last = plain.size, plain.tobytes()
        if last == self._last[0]:  # as of most questions; a digest takes longer
            key = self._last[1]
        else:
            key = hashlib.sha256(repr(plain.size).encode() + last[1]).digest()
            self._last = last, key
        if key not in self._known:
            pixels = square_pixels(plain, self._side, self._pixels)
            self._known[key] = _Known(next(self._names), *(self._see_by_torch if self._tower is None else self._see)(pixels))
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def _see(self, pixels: Float[np.ndarray, "3 side side"]) -> tuple[SeenImage, Float[np.ndarray, "tokens hidden"]]:
        assert self._tower is not None
        found = self._tower(pixels)
        depth, cells = self._weights["vision_tower"]["depth"], self._side // CELL
        log_depth = found.fine @ depth("weight")[:, :, 0, 0].mean(0) + depth("bias").mean()  # of the four depths of each cell
        keys, values = np.split(found.around, 2, axis=1)
        context = split_heads(keys, self._heads), split_heads(values, self._heads)
        return SeenImage(found.fine.T.reshape(-1, cells, cells), context, log_depth.reshape(cells, cells)), found.told

    def _see_by_torch(self, pixels: Float[np.ndarray, "3 side side"]) -> tuple[SeenImage, Float[np.ndarray, "tokens hidden"]]:
        fine, tokens, log_depth = self._model.vision_tower(torch.from_numpy(pixels[None]))
        cells = functional.avg_pool2d(log_depth[:, None], 2)[0, 0].numpy()
        seen = look_around(self._weights, fine[0].numpy(), tokens[0].numpy(), cells, self._heads)
        return seen, self._model.tell_images(tokens)[0].numpy()

    def _look_at(self, known: _Known, mask: Bool[np.ndarray, "h w"]) -> SeenRegions:
        """Look at a region, alone: beside others its sums might be rounded otherwise.

        By numpy, in a quarter of the time that PyTorch takes to begin as many small operations.
        """
        return look_regions(self._weights, known.seen, square_mask(mask, self._side)[None])
