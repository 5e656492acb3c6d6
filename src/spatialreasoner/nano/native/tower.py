"""The vision part of the library: the nano's tower, with its weights in panels."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from spatialreasoner.core.native import address
from spatialreasoner.nano.native.rooms import lined, lined_empty
from spatialreasoner.nano.numpy.layers import NamedWeights
from spatialreasoner.nano.vision import Quiet, Residual, VisionTower

if TYPE_CHECKING:
    from spatialreasoner.nano.configuration import NanoConfig
    from spatialreasoner.nano.modeling import NanoModel

_WIDEST, _WIDE_VECTOR, _BLOCK = 32, 16, 16
"""As in `panels.h`, for the widest processors: rows of a panel, numbers of a vector; and tokens of a block (`attention.h`)."""

_TILES = np.array(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
)
"""What Winograd's F(4 x 4, 3 x 3) makes of kernels."""

_PARTS = {
    VisionTower,
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
    NonDynamicallyQuantizableLinear,
    nn.LayerNorm,
    nn.Dropout,
}
"""What the tower is made of; with anything else, such as adapters, it is another function."""

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
        *((name, _Linear) for name in ("stem", "cells", "patches", "context", "around", "join")),
        ("narrow", _Residual * 2),
        ("wide", _Residual * 3),
        ("fuse", _Residual),
        ("sight", ctypes.POINTER(_Sight)),
        ("position", ctypes.c_void_p),
        ("norm", ctypes.c_void_p * 2),
        ("quiet", ctypes.c_void_p * 2),
    ]


class Sight(NamedTuple):
    """What the tower sees of an image.

    Attributes:
        fine: The fine map.
        around: Keys and values of its tokens, for what looks around among them.
        told: What the decoder reads of it.
    """

    fine: Float[np.ndarray, "cells width"]
    around: Float[np.ndarray, "tokens two*width"]
    told: Float[np.ndarray, "tokens hidden"]


def can_see(model: NanoModel) -> bool:
    """Whether the library can see with a model's tower: its parts, their places and their shapes."""
    config, parts = model.config, [*model.vision_tower.modules(), model.vision_regions.look, *model.image_tokens.modules()]
    wide = (config.vision_width, config.vision_width // config.vision_heads, config.fine_width, config.text_config.hidden_size)
    side, tokens = config.image_size, (config.image_size // 16) ** 2
    return (
        not any(each % _WIDEST for each in (*wide, side))
        and config.fine_width // 2 % _WIDE_VECTOR == 0
        and tokens % _BLOCK == 0
        and config.vision_width % config.vision_heads == 0
        and {type(part) for part in parts} <= _PARTS
        and {(each.dtype, each.device.type) for each in model.parameters()} == {(torch.float32, "cpu")}
    )


class NativeTower:
    """Sees images; one thread at a time.

    Args:
        library: Of `kernel.native_library`.
        model: The nano's weights under `model`.
        config: Its shape; see `can_see`.
    """

    def __init__(self, library: ctypes.CDLL, model: NamedWeights, config: NanoConfig) -> None:
        self._native, self._kept = library, list[_Array]()
        self._panel: int = library.nano_panel()
        tower, around, join = model["vision_tower"], model["vision_regions"]["look"], model["image_tokens"]
        layers = [self._sight(tower["transformer"]["layers"][index]) for index in range(config.vision_layers)]
        parts = [
            self._linear(tower["stem"][0]("weight").reshape(config.fine_width // 2, -1), tower["stem"][0]("bias")),
            self._linear(_by_cell(tower["cells"][0]("weight")), tower["cells"][0]("bias")),
            self._linear(_by_cell(tower["patches"]("weight")), tower["patches"]("bias")),
            self._linear(_spread(tower["context"]("weight")), np.tile(tower["context"]("bias"), 4)),
            self._linear(around("in_proj_weight")[config.vision_width :], around("in_proj_bias")[config.vision_width :]),
            self._linear(join[0]("weight"), join[0]("bias")),
        ]
        residuals = [*(tower["stem"][index] for index in (1, 2)), *(tower["cells"][index] for index in (1, 2, 3)), tower["fuse"]]
        narrow, wide, fuse = (each := [*map(self._residual, residuals)])[:2], each[2:5], each[5]
        norms = [(ctypes.c_void_p * 2)(*map(self._keep, map(part, ("weight", "bias")))) for part in (tower["transformer"]["norm"], join[1])]
        self._tower = _Tower(
            config.image_size,
            config.vision_heads,
            config.vision_layers,
            *parts,
            (_Residual * 2)(*narrow),
            (_Residual * 3)(*wide),
            fuse,
            (_Sight * len(layers))(*layers),
            self._keep(tower("position")),
            *norms,
        )
        self._at = ctypes.byref(self._tower)
        self._work = lined_empty(library.nano_see_work(self._at))
        cells, tokens = (config.image_size // 8) ** 2, (config.image_size // 16) ** 2
        hidden = config.text_config.hidden_size
        self._shapes = (cells, config.fine_width), (tokens, 2 * config.vision_width), (tokens // 4, hidden)

    def __call__(self, pixels: Float[np.ndarray, "3 side side"]) -> Sight:
        """See an image."""
        given, found = lined(pixels), Sight(*map(lined_empty, self._shapes))
        self._native.nano_see(self._at, address(given), *map(address, found), address(self._work))
        return found

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

    def _keep(self, values: _Array) -> int:
        self._kept.append(lined(values))
        return self._kept[-1].ctypes.data

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


def _in_tiles(kernel: Float[np.ndarray, "out into 3 3"]) -> Float[np.ndarray, "36 out into"]:
    return np.einsum("iy,ocyx,jx->ijoc", _TILES, kernel.astype(np.float64), _TILES).reshape(36, *kernel.shape[:2])


def _by_cell(kernel: Float[np.ndarray, "out into 2 2"]) -> Float[np.ndarray, "out cells*into"]:
    return kernel.transpose(0, 2, 3, 1).reshape(len(kernel), -1)


def _spread(kernel: Float[np.ndarray, "into out 2 2"]) -> Float[np.ndarray, "cells*out into"]:
    return kernel.transpose(2, 3, 1, 0).reshape(-1, len(kernel))
