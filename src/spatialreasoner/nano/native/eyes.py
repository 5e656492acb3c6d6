"""How the nano sees: by the library, or by PyTorch and numpy where that cannot."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from threadpoolctl import ThreadpoolController
from torch.nn import functional

from spatialreasoner.nano.native.tower import LookedAt, NativeReader, NativeTower, SightedImage, can_see
from spatialreasoner.nano.numpy.layers import NamedWeights
from spatialreasoner.nano.numpy.vision import SeenImage, SeenRegions, look_around, look_regions, tell_first, tell_others

if TYPE_CHECKING:
    from spatialreasoner.nano.modeling import NanoModel

_Pixels = Float[np.ndarray, "3 side side"]
_Mask = UInt8[np.ndarray, "side side"]
_Told = Float[np.ndarray, "*tokens hidden"]


class Eyes(Protocol):
    """Sees images and regions on them, one at a time: beside others their sums might be rounded otherwise."""

    def see(self, pixels: _Pixels) -> tuple[Any, _Told]:
        """What regions are looked at in, and what the decoder reads at the image's placeholders."""
        ...

    def look(self, seen: Any, mask: _Mask) -> Any:
        """Look at a region."""
        ...

    def name(self, first: Any, region: Any) -> _Told:
        """What the decoder reads at a region's name, seen from the first region; None for that one itself."""
        ...


def eyes_of(model: NanoModel, library: ctypes.CDLL) -> Eyes:
    """The eyes of a model, with the weights that it has now."""
    parts = ("vision_tower", "vision_regions", "image_tokens", "region_tokens")
    weights = {f"model.{part}.{name}": each for part in parts for name, each in model.get_submodule(part).state_dict().items()}
    named = NamedWeights({name: each.numpy() for name, each in weights.items()}, "model")
    return NativeEyes(model, named, library) if can_see(model) else TorchEyes(model, named)


class NativeEyes:
    """Those of the library; see `Eyes`."""

    def __init__(self, model: NanoModel, weights: NamedWeights, library: ctypes.CDLL) -> None:
        self._tower = NativeTower(library, weights, model.config)
        self._reader = NativeReader(library, weights, model.config)

    def see(self, pixels: _Pixels) -> tuple[SightedImage, _Told]:
        """See an image."""
        sight = self._tower(pixels)
        return sight, sight.told

    def look(self, seen: SightedImage, mask: _Mask) -> LookedAt:
        """Look at a region."""
        return self._reader.look(seen, mask)

    def name(self, first: LookedAt | None, region: LookedAt) -> _Told:
        """What its name adds."""
        return self._reader.name(first, region)


class TorchEyes:
    """Those of PyTorch, and numpy for regions, which takes a quarter of the time to begin as many small operations."""

    def __init__(self, model: NanoModel, weights: NamedWeights) -> None:
        self._model, self._weights = model, weights
        # of matrices as small as a region's, numpy's threads would do little but wait for each other, and hold up torch's
        self._numpy = ThreadpoolController().select(user_api="blas")

    @torch.inference_mode()
    def see(self, pixels: _Pixels) -> tuple[SeenImage, _Told]:
        """See an image."""
        fine, tokens, log_depth = self._model.vision_tower(torch.from_numpy(pixels[None].copy()))
        cells = functional.avg_pool2d(log_depth[:, None], 2)[0, 0].numpy()
        with self._numpy.limit(limits=1):
            seen = look_around(self._weights, fine[0].numpy(), tokens[0].numpy(), cells, self._model.config.vision_heads)
        return seen, self._model.tell_images(tokens)[0].numpy()

    def look(self, seen: SeenImage, mask: _Mask) -> SeenRegions:
        """Look at a region."""
        with self._numpy.limit(limits=1):
            return look_regions(self._weights, seen, mask[None])

    def name(self, first: SeenRegions | None, region: SeenRegions) -> _Told:
        """What its name adds."""
        with self._numpy.limit(limits=1):
            told = tell_first(self._weights, region) if first is None else tell_others(self._weights, first, region)
        return told[0]
