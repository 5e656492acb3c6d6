"""The vision part of the library, with its weights in panels: the nano's tower, and who looks at regions."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from spatialreasoner.core.native import address
from spatialreasoner.nano.native.blocks import ROW_BLOCK
from spatialreasoner.nano.native.kernel import WIDEST_PANEL
from spatialreasoner.nano.native.rooms import lined, lined_empty
from spatialreasoner.nano.numpy.layers import NamedWeights
from spatialreasoner.nano.vision import NanoRegionEncoder, Quiet, RegionTokens, Residual, VisionTower

if TYPE_CHECKING:
    from spatialreasoner.nano.configuration import NanoConfig
    from spatialreasoner.nano.modeling import NanoModel

_WIDE_VECTOR = 16
"""Numbers of a vector of the widest processors, as in `panels.h`."""

_WORDS = 12
"""Kinds, and colours, as in `regions.h`."""

_TILES = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
"""What Winograd's F(4 x 4, 3 x 3) makes of kernels."""

_MEASURES = 16
"""Room for what is measured of a region."""

_PARTS = {
    VisionTower,
    NanoRegionEncoder,
    RegionTokens,
    Residual,
    Quiet,
    nn.Sequential,
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.GroupNorm,
    nn.TransformerEncoder,
    nn.TransformerEncoderLayer,
    nn.ModuleList,
    nn.MultiheadAttention,
    nn.Linear,
    nn.GELU,
    NonDynamicallyQuantizableLinear,
    nn.LayerNorm,
    nn.Dropout,
}
"""What the vision part is made of; with anything else, such as adapters, it is another function."""

_Array = np.ndarray[Any, Any]


class _Linear(ctypes.Structure):
    _fields_ = [("panels", ctypes.c_void_p), ("bias", ctypes.c_void_p), ("depth", ctypes.c_int32), ("columns", ctypes.c_int32)]


class _Residual(ctypes.Structure):
    _fields_ = [("weight", ctypes.c_void_p), ("bias", ctypes.c_void_p), ("first", _Linear), ("second", _Linear)]


class _Sight(ctypes.Structure):
    _fields_ = [(name, _Linear) for name in ("attend", "attended", "expand", "contract")]


class _Tower(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("side", "heads", "sights")),
        *((name, _Linear) for name in ("stem", "cells", "patches", "context", "around", "join", "depth")),
        ("narrow", _Residual * 2),
        ("wide", _Residual * 3),
        ("fuse", _Residual),
        ("sight", ctypes.POINTER(_Sight)),
        ("position", ctypes.c_void_p),
        ("norm", ctypes.c_void_p * 2),
        ("quiet", ctypes.c_void_p * 2),
    ]


class SightedImage(NamedTuple):
    """What the tower sees of an image.

    Attributes:
        fine: The fine map.
        depth: Logarithm of the depth in metres at each of its cells.
        around: Keys and values of its tokens, for what looks around among them.
        told: What the decoder reads of it.
    """

    fine: Float[np.ndarray, "cells width"]
    depth: Float[np.ndarray, " cells"]
    around: Float[np.ndarray, "tokens two*width"]
    told: Float[np.ndarray, "tokens hidden"]


def can_see(model: NanoModel) -> bool:
    """Whether the library can see as a model does: its parts, their places and their shapes."""
    config = model.config
    seeing = (model.vision_tower, model.vision_regions, model.image_tokens, model.region_tokens)
    kinds = {type(part) for each in seeing for part in each.modules()}
    wide = (config.vision_width, config.vision_width // config.vision_heads, config.fine_width, config.text_config.hidden_size)
    side, tokens = config.image_size, (config.image_size // 16) ** 2
    return (
        not any(each % WIDEST_PANEL for each in (*wide, side))
        and config.fine_width // 2 % _WIDE_VECTOR == 0
        and tokens % ROW_BLOCK == 0
        and config.num_kinds == config.num_colours == _WORDS
        and config.vision_width % config.vision_heads == 0
        and kinds <= _PARTS
        and {(each.dtype, each.device.type) for each in model.parameters()} == {(torch.float32, "cpu")}
    )


class _Packed:
    """Linear layers as the library takes them."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._native, self._kept = library, list[_Array]()
        self._panel: int = library.nano_panel()

    def _linear(self, weight: _Array, bias: _Array, norm: NamedWeights | None = None) -> _Linear:
        """A linear layer, with the norm before it folded in."""
        kernel, offset = weight.astype(np.float64), bias.astype(np.float64)
        if norm is not None:
            kernel, offset = kernel * norm("weight"), offset + kernel @ norm("bias")
        return self._packed(kernel[None], offset)

    def _packed(self, matrices: Float[np.ndarray, "matrices rows columns"], bias: _Array) -> _Linear:
        count, rows, depth = matrices.shape
        columns = -(-rows // self._panel) * self._panel
        panels = lined_empty((count, columns * depth))
        for matrix, each in zip(matrices, panels, strict=True):
            given = np.ascontiguousarray(matrix, np.float32)
            self._native.nano_pack(address(given), rows, depth, address(each))
        self._kept.append(panels)
        return _Linear(panels.ctypes.data, self._keep(np.pad(bias, (0, columns - rows))), depth, columns)

    def _norm(self, part: NamedWeights) -> Any:
        return (ctypes.c_void_p * 2)(*(self._keep(part(name)) for name in ("weight", "bias")))

    def _keep(self, values: _Array) -> int:
        self._kept.append(lined(values))
        return self._kept[-1].ctypes.data


class NativeTower(_Packed):
    """Sees images; one thread at a time.

    Args:
        library: Of `kernel.native_library`.
        model: The nano's weights under `model`.
        config: Its shape; see `can_see`.
    """

    def __init__(self, library: ctypes.CDLL, model: NamedWeights, config: NanoConfig) -> None:
        super().__init__(library)
        tower, around, join = model["vision_tower"], model["vision_regions"]["look"], model["image_tokens"]
        layers = [self._sight(tower["transformer"]["layers"][index]) for index in range(config.vision_layers)]
        parts = [
            self._linear(tower["stem"][0]("weight").reshape(config.fine_width // 2, -1), tower["stem"][0]("bias")),
            self._linear(_by_cell(tower["cells"][0]("weight")), tower["cells"][0]("bias")),
            self._linear(_by_cell(tower["patches"]("weight")), tower["patches"]("bias")),
            self._linear(_spread(tower["context"]("weight")), np.tile(tower["context"]("bias"), 4)),
            self._linear(around("in_proj_weight")[config.vision_width :], around("in_proj_bias")[config.vision_width :]),
            self._linear(join[0]("weight"), join[0]("bias")),
            self._linear(tower["depth"]("weight").reshape(4, -1).mean(0)[None], tower["depth"]("bias").mean()[None]),
        ]
        narrow, wide, fuse = (
            [self._residual(each) for each in some]
            for some in ([tower["stem"][1], tower["stem"][2]], [tower["cells"][index] for index in (1, 2, 3)], [tower["fuse"]])
        )
        self._tower = _Tower(
            config.image_size,
            config.vision_heads,
            config.vision_layers,
            *parts,
            (_Residual * 2)(*narrow),
            (_Residual * 3)(*wide),
            *fuse,
            (_Sight * len(layers))(*layers),
            self._keep(tower("position")),
            *map(self._norm, (tower["transformer"]["norm"], join[1])),
        )
        self._at = ctypes.byref(self._tower)
        self._work = lined_empty(library.nano_see_work(self._at))
        cells, tokens = (config.image_size // 8) ** 2, (config.image_size // 16) ** 2
        hidden = config.text_config.hidden_size
        self._shapes = (cells, config.fine_width), (cells,), (tokens, 2 * config.vision_width), (tokens // 4, hidden)

    def __call__(self, pixels: Float[np.ndarray, "3 side side"]) -> SightedImage:
        """See an image."""
        given, found = lined(pixels), SightedImage(*map(lined_empty, self._shapes))
        self._native.nano_see(self._at, address(given), *map(address, found), address(self._work))
        return found

    def _residual(self, part: NamedWeights) -> _Residual:
        return _Residual(
            *(self._keep(part["norm"](name)) for name in ("weight", "bias")),
            *(self._packed(_in_tiles(part[name]("weight")), part[name]("bias")) for name in ("first", "second")),
        )

    def _sight(self, layer: NamedWeights) -> _Sight:
        attention = layer["self_attn"]
        return _Sight(
            self._linear(attention("in_proj_weight"), attention("in_proj_bias"), layer["norm1"]),
            self._linear(attention["out_proj"]("weight"), attention["out_proj"]("bias")),
            self._linear(layer["linear1"]("weight"), layer["linear1"]("bias"), layer["norm2"]),
            self._linear(layer["linear2"]("weight"), layer["linear2"]("bias")),
        )


class _Reader(ctypes.Structure):
    _fields_ = [
        ("pooled", _Linear * 2),
        *((name, _Linear) for name in ("query", "found")),
        ("think", _Linear * 2),
        *((name, _Linear) for name in ("judge", "words")),
        ("features", _Linear * 2),
        ("estimates", _Linear),
        ("pair", _Linear * 2),
        ("offsets", _Linear),
        ("quiet", ctypes.c_void_p * 2),
        *((name, ctypes.c_int32) for name in ("side", "heads")),
    ]


class LookedAt:
    """A region that was looked at.

    Attributes:
        shown: Whether there is any of it.
    """

    def __init__(self, width: int, hidden: int, *, shown: bool) -> None:
        self.shown = shown
        self._found = lined_empty(width + _MEASURES + hidden)
        begin: int = self._found.ctypes.data
        self._region = (ctypes.c_void_p * 3)(*(begin + 4 * place for place in (0, width, width + _MEASURES)))
        self.at = ctypes.byref(self._region)


class NativeReader(_Packed):
    """Looks at regions of images that were seen; one thread at a time.

    Args:
        library: Of `kernel.native_library`.
        model: The nano's weights under `model`.
        config: Its shape; see `can_see`.
    """

    def __init__(self, library: ctypes.CDLL, model: NamedWeights, config: NanoConfig) -> None:
        super().__init__(library)
        encoder, reader, width = model["vision_regions"], model["region_tokens"], config.vision_width
        look, (judged, words) = encoder["look"], (("estimate", "kind", "colour"), ("kinds", "colours"))
        self._sizes = width, config.text_config.hidden_size
        kernels, biases = ([encoder[part](name) for part in judged] for name in ("weight", "bias"))
        self._reader = _Reader(
            self._two(encoder["pooled"], "0", "2"),
            self._linear(look("in_proj_weight")[:width], look("in_proj_bias")[:width], encoder["norm"]),
            self._layer(look["out_proj"]),
            (_Linear * 2)(self._layer(encoder["think"][1], encoder["think"][0]), self._layer(encoder["think"][3])),
            self._linear(np.concatenate(kernels), np.concatenate(biases)),
            self._linear(np.concatenate([reader[part]("weight") for part in words], axis=1), np.zeros(self._sizes[1])),
            self._two(reader["features"], "0", "2"),
            self._layer(reader["estimates"]),
            self._two(encoder["pair"], "0", "2"),
            self._linear(reader["offsets"]("weight"), np.zeros(self._sizes[1])),
            self._norm(reader["norm"]),
            config.image_size,
            config.vision_heads,
        )
        self._at = ctypes.byref(self._reader)
        self._work = lined_empty(library.nano_look_work(self._at))

    def look(self, sight: SightedImage, mask: UInt8[np.ndarray, "side side"]) -> LookedAt:
        """Look at a region."""
        given, look = np.ascontiguousarray(mask), LookedAt(*self._sizes, shown=bool(mask.any()))
        seen = (sight.fine, sight.around, sight.depth, given)
        self._native.nano_look(self._at, *map(address, seen), look.at, address(self._work))
        return look

    def name(self, first: LookedAt | None, look: LookedAt) -> Float[np.ndarray, " hidden"]:
        """What the decoder reads at a region's name, seen from the first region; None for that one itself."""
        told = lined_empty(self._sizes[1])
        self._native.nano_name(self._at, first and first.at, look.at, address(told), address(self._work))
        return told if look.shown else np.zeros_like(told)

    def _layer(self, part: NamedWeights, norm: NamedWeights | None = None) -> _Linear:
        return self._linear(part("weight"), part("bias"), norm)

    def _two(self, part: NamedWeights, *names: str) -> Any:
        return (_Linear * 2)(*(self._layer(part[name]) for name in names))


def _in_tiles(kernel: Float[np.ndarray, "out into 3 3"]) -> Float[np.ndarray, "36 out into"]:
    return np.einsum("iy,ocyx,jx->ijoc", _TILES, kernel.astype(np.float64), _TILES).reshape(36, *kernel.shape[:2])


def _by_cell(kernel: Float[np.ndarray, "out into 2 2"]) -> Float[np.ndarray, "out cells*into"]:
    return kernel.transpose(0, 2, 3, 1).reshape(len(kernel), -1)


def _spread(kernel: Float[np.ndarray, "into out 2 2"]) -> Float[np.ndarray, "cells*out into"]:
    return kernel.transpose(2, 3, 1, 0).reshape(-1, len(kernel))
