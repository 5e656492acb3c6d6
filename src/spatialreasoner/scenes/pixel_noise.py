"""The noise of single pixels of a depth map: how large it is, and depth without it.

On a plane 1 / depth is linear along a row, so what its second difference leaves is noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Int

NUM_PARTS = 4
"""Number of depth ranges, with equally many pixels, in which noise is estimated."""

MAX_NOISE_PIXELS = 1_000_000
"""In a larger depth map, noise is estimated from evenly spaced rows and columns of about this many pixels each."""

MIN_BENDS = 100
"""Fewer triples of pixels tell no noise."""

SMOOTH = 2
"""Pixels to either side that count in smoothing."""

SAME = 3.0
"""A neighbour whose depth differs by this many times the noise has the weight 1 / e."""

STEEP = 0.01
"""The same for each pixel of distance, as a share of the depth: slanted planes are not edges."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The standard error of one pixel's depth, as a share of it: `near` + `growth` times the depth in metres, at least 0."""

    near: float
    growth: float = 0.0

    def share(self, depth: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """The standard error at some depths, as a share of them."""
        return np.maximum(0.0, self.near + self.growth * depth)


NO_NOISE = Noise(near=0.0)


def pixel_noise(depth: Float[np.ndarray, "h w"]) -> Noise:
    """The noise of a depth map: what is left of a plane's second difference, in the middle of near and of far pixels.

    >>> pixel_noise(np.full((9, 9), 2.0))
    Noise(near=0.0, growth=0.0)
    """
    every = math.ceil(depth.size / MAX_NOISE_PIXELS)
    depths, shares = zip(*(_bends(lines[::every].astype(np.float64)) for lines in (depth, depth.T)), strict=True)
    depth, share = np.concatenate(depths), np.concatenate(shares)
    if len(depth) < MIN_BENDS:
        return NO_NOISE
    parts = np.array_split(np.argsort(depth), NUM_PARTS)
    middles = np.array([np.median(depth[part]) for part in parts])
    errors = np.array([np.median(share[part]) for part in parts]) * 1.4826 / math.sqrt(6)
    spread = float(middles.std())
    growth = 0.0 if spread < 0.05 * middles.mean() else float(np.cov(middles, errors, bias=True)[0, 1]) / spread**2
    return Noise(near=float(errors.mean() - growth * middles.mean()), growth=growth)


def _bends(depth: Float[np.ndarray, "h w"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Where three pixels of a row are measured: the middle one's depth, and what bends there as a share of it."""
    inverse = 1.0 / depth
    bent = np.abs(inverse[:, :-2] - 2 * inverse[:, 1:-1] + inverse[:, 2:]) * depth[:, 1:-1]
    whole = np.isfinite(bent)
    return depth[:, 1:-1][whole], bent[whole]


def smoothed(
    depth: Float[np.ndarray, "h w"],
    mask: Bool[np.ndarray, "h w"],
    noise: Noise,
    at: tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]],
) -> Float[np.ndarray, " n"]:
    """Depth of which the noise is smoothed away: at each pixel the plane through its neighbours of the mask and of its depth.

    Neighbours count less the more their depth differs in units of the noise, so that edges stay. On a plane 1 / depth is linear
    in the pixels, so a line is fitted to that.

    Args:
        depth: Metres.
        mask: Pixels that count.
        noise: The noise of the depth.
        at: Rows and columns of the pixels that are wanted.
    """
    v, u = at
    if noise == NO_NOISE:
        return depth[v, u].astype(np.float64)
    inverse = _inverse(depth, mask, v, u)
    same = SAME * np.maximum(noise.share(depth[v, u]), 1e-4)
    sums = np.zeros((9, len(v)))
    for dv, du in product(range(-SMOOTH, SMOOTH + 1), repeat=2):
        near = _inverse(depth, mask, v + dv, u + du)
        off = (near - inverse) / inverse
        weight = np.where(np.isfinite(off), np.exp(-((off / (same + STEEP * math.hypot(dv, du))) ** 2)), 0.0)
        value = np.where(weight > 0, near, 0.0)
        sums += weight * np.stack(
            [np.ones_like(value) * k for k in (1, du, dv, du * du, du * dv, dv * dv)] + [value, du * value, dv * value]
        )
    return 1.0 / _level_of(sums)


def _inverse(
    depth: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"], v: Int[np.ndarray, " n"], u: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """1 / depth of pixels, NaN outside of the mask: of these alone, since a map of them all is large."""
    height, width = depth.shape
    row, column = v.clip(0, height - 1), u.clip(0, width - 1)
    counts = mask[row, column] & (row == v) & (column == u)
    return np.where(counts, 1.0 / depth[row, column].astype(np.float64), np.nan)


def _level_of(sums: Float[np.ndarray, "9 n"]) -> Float[np.ndarray, " n"]:
    """The middle of the plane a + b u + c v that fits best, by its normal equations; the mean where it is not unique."""
    n, u, v, uu, uv, vv, s, su, sv = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b, c = uu * vv - uv * uv, uv * v - u * vv, u * uv - uu * v
        whole = n * a + u * b + v * c
        fitted = (a * s + b * su + c * sv) / whole
        return np.where(whole > 1e-6 * np.maximum(n, 1) ** 3, fitted, s / n)
