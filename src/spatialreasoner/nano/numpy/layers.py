"""Layers of torch in NumPy: a part of a model is its weights under one name, and knows what to do with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import erf, softmax

Array = np.ndarray

NORM_EPS = 1e-5
"""That of torch's LayerNorm and GroupNorm."""


@dataclass(frozen=True)
class NamedWeights:
    """Weights under one name.

    Attributes:
        weights: Of the whole model, by their names in its file; float32.
        name: What the names of these begin with.
    """

    weights: Mapping[str, Array]
    name: str

    def __getitem__(self, name: str | int) -> NamedWeights:
        """The part of that name in this one."""
        return NamedWeights(self.weights, f"{self.name}.{name}")

    def __call__(self, name: str) -> Array:
        """A weight of this part itself.

        Raises:
            KeyError: If there is none of that name.
        """
        return self.weights[f"{self.name}.{name}"]

    def linear(self, values: Float[Array, "*batch into"]) -> Float[Array, "*batch out"]:
        """`nn.Linear`, with a bias where there is one."""
        return values @ self("weight").T + self.weights.get(f"{self.name}.bias", 0.0)

    def norm(self, values: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
        """`nn.LayerNorm` over the last axis."""
        return standard(values, axis=-1) * self("weight") + self("bias")

    def norm_map(self, fields: Float[Array, "width rows columns"]) -> Float[Array, "width rows columns"]:
        """`nn.GroupNorm` of one group."""
        return standard(fields, axis=None) * _fields(self("weight")) + _fields(self("bias"))

    def convolve(
        self, fields: Float[Array, "width rows columns"], *, stride: int = 1, padding: int = 0
    ) -> Float[Array, "out rows2 columns2"]:
        """`nn.Conv2d`."""
        kernel = self("weight")
        padded = np.pad(fields, ((0, 0), (padding, padding), (padding, padding)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], axis=(1, 2))
        return np.tensordot(kernel, windows[:, ::stride, ::stride], axes=([1, 2, 3], [0, 3, 4])) + _fields(self("bias"))

    def spread(self, fields: Float[Array, "width rows columns"]) -> Float[Array, "out 2*rows 2*columns"]:
        """`nn.ConvTranspose2d` that makes a block of 2 x 2 of every cell."""
        blocks = np.tensordot(self("weight"), fields, axes=(0, 0))  # [out 2 2 rows columns]
        out, _, _, rows, columns = blocks.shape
        return blocks.transpose(0, 3, 1, 4, 2).reshape(out, 2 * rows, 2 * columns) + _fields(self("bias"))

    def think(self, values: Float[Array, "*batch width"], first: str, second: str) -> Float[Array, "*batch out"]:
        """Two linear layers of those names with GELU between them."""
        return self[second].linear(gelu(self[first].linear(values)))

    def keep(
        self, context: Float[Array, "keys width"], heads: int
    ) -> tuple[Float[Array, "heads keys head"], Float[Array, "heads keys head"]]:
        """Keys and values of `nn.MultiheadAttention`."""
        kernels, biases = np.split(self("in_proj_weight"), 3)[1:], np.split(self("in_proj_bias"), 3)[1:]
        keys, values = (split_heads(context @ kernel.T + bias, heads) for kernel, bias in zip(kernels, biases, strict=True))
        return keys, values

    def look(
        self,
        values: Float[Array, "queries width"],
        context: tuple[Float[Array, "heads keys head"], Float[Array, "heads keys head"]],
    ) -> Float[Array, "queries width"]:
        """`nn.MultiheadAttention` to what was kept."""
        keys, found = context
        width = values.shape[-1]
        queries = split_heads(values @ self("in_proj_weight")[:width].T + self("in_proj_bias")[:width], len(keys))
        return self["out_proj"].linear(attend(queries, keys, found).swapaxes(0, 1).reshape(len(values), -1))


def split_heads(values: Float[Array, "tokens width"], heads: int) -> Float[Array, "heads tokens head"]:
    """Tokens as each head of an attention has them."""
    return values.reshape(len(values), heads, -1).swapaxes(0, 1)


def attend(
    queries: Float[Array, "heads queries head"],
    keys: Float[Array, "heads keys head"],
    values: Float[Array, "heads keys head"],
    seen: Bool[Array, "queries keys"] | None = None,
) -> Float[Array, "heads queries head"]:
    """Scaled dot-product attention, to the keys that each query may see; all by default."""
    scores = queries @ keys.swapaxes(1, 2) / np.float32(math.sqrt(queries.shape[-1]))
    if seen is not None:
        scores = np.where(seen, scores, np.float32(-np.inf))
    return softmax(scores, axis=-1) @ values


def standard(values: Float[Array, "*shape"], *, axis: int | None) -> Float[Array, "*shape"]:
    """Values with a mean of 0 and a variance of 1."""
    centred = values - values.mean(axis=axis, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=axis, keepdims=True) + NORM_EPS)


def gelu(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`nn.GELU`, the exact one.

    >>> gelu(np.float32([-1, 0, 1])).round(4).tolist() == np.float32([-0.1587, 0, 0.8413]).tolist()
    True
    """
    return values * np.float32(0.5) * (1 + erf(values * np.float32(math.sqrt(0.5))))


def _fields(values: Float[Array, " width"]) -> Float[Array, "width 1 1"]:
    return values[:, None, None]
