"""What the nano sees, in NumPy; the layers are those of `nano.vision`, which tells what they are for."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.special import softmax

from spatialreasoner.nano.numpy.layers import Array, NamedWeights, gelu

CELL = 8
"""Side of a cell of the fine map, pixels."""

LOWEST, OCTAVES, FINE_OCTAVES = math.pi / 2, 5, 6
"""The Fourier features of values: their lowest frequency, radians per unit, and how often it doubles."""


class Looks(NamedTuple):
    """What the decoder reads of an image.

    Attributes:
        tokens: At the image's placeholders.
        regions: Beside the names of its regions.
    """

    tokens: Float[Array, "tokens hidden"]
    regions: Float[Array, "regions hidden"]


class SeenImage(NamedTuple):
    """What regions are looked at in.

    Attributes:
        fine: The tower's fine map.
        context: Keys and values of its tokens, for what looks around among them.
        log_depth: Logarithm of the depth in metres at each cell of the fine map.
    """

    fine: Float[Array, "width cells cells"]
    context: tuple[Float[Array, "heads tokens head"], Float[Array, "heads tokens head"]]
    log_depth: Float[Array, "cells cells"]


class SeenRegions(NamedTuple):
    """What there is to tell of regions, each for itself.

    Attributes:
        features: What they look like.
        estimates: Where each is, and how large.
        told: What the decoder reads of each, before the norm, but for where it lies seen from another.
        shown: Whether there is any of it.
    """

    features: Float[Array, "regions width"]
    estimates: Float[Array, "regions 6"]
    told: Float[Array, "regions hidden"]
    shown: Bool[Array, " regions"]


def look(
    model: NamedWeights, pixels: Float[Array, "3 side side"], masks: UInt8[Array, "regions side side"], heads: int
) -> Looks:
    """Look at an image and at regions on it.

    Args:
        model: The nano's weights under `model`.
        pixels: The image, normalised.
        masks: The regions.
        heads: Of the vision part's attention.
    """
    fine, tokens, log_depth = _see(model["vision_tower"], pixels, heads)
    side = math.isqrt(len(tokens)) // 2
    blocks = tokens.reshape(side, 2, side, 2, -1).swapaxes(1, 2).reshape(side * side, -1)
    join = model["image_tokens"]
    seen = look_regions(model, look_around(model, fine, tokens, log_depth, heads), masks)
    first = SeenRegions(*(each[:1] for each in seen))
    regions = np.concatenate([tell_first(model, first), tell_others(model, first, SeenRegions(*(each[1:] for each in seen)))])
    return Looks(join[1].norm(join[0].linear(blocks)), regions)


def look_around(
    model: NamedWeights,
    fine: Float[Array, "width cells cells"],
    tokens: Float[Array, "tokens width"],
    log_depth: Float[Array, "cells cells"],
    heads: int,
) -> SeenImage:
    """Prepare what the tower saw for looking at regions.

    Args:
        model: The nano's weights under `model`.
        fine: The tower's fine map.
        tokens: Its tokens.
        log_depth: Logarithm of the depth in metres at each cell of the fine map.
        heads: Of the vision part's attention.
    """
    return SeenImage(fine, model["vision_regions"]["look"].keep(tokens, heads), log_depth)


def _see(
    tower: NamedWeights, pixels: Float[Array, "3 side side"], heads: int
) -> tuple[Float[Array, "width cells cells"], Float[Array, "tokens width"], Float[Array, "cells cells"]]:
    """The fine map, the tokens, and the logarithm of the depth."""
    cells = tower["stem"][0].convolve(pixels, stride=4)
    for index in (1, 2):
        cells = _residual(tower["stem"][index], cells)
    cells = tower["cells"][0].convolve(cells, stride=2)
    for index in (1, 2, 3):
        cells = _residual(tower["cells"][index], cells)
    patches = tower["patches"].convolve(cells, stride=2)
    tokens = _transform(tower["transformer"], patches.reshape(len(patches), -1).T + tower("position"), heads)
    fine = _residual(tower["fuse"], cells + tower["context"].spread(tokens.T.reshape(patches.shape)))
    return fine, tokens, tower["depth"].convolve(fine).mean(0)  # of the four depths of each cell


def _residual(part: NamedWeights, fields: Float[Array, "width rows columns"]) -> Float[Array, "width rows columns"]:
    inner = gelu(part["first"].convolve(part["norm"].norm_map(fields), padding=1))
    return fields + part["second"].convolve(inner, padding=1)


def _transform(part: NamedWeights, tokens: Float[Array, "tokens width"], heads: int) -> Float[Array, "tokens width"]:
    index = 0
    while f"{part.name}.layers.{index}.norm1.weight" in part.weights:
        layer = part["layers"][index]
        normed = layer["norm1"].norm(tokens)
        attention = layer["self_attn"]
        tokens = tokens + attention.look(normed, attention.keep(normed, heads))
        tokens = tokens + layer.think(layer["norm2"].norm(tokens), "linear1", "linear2")
        index += 1
    return part["norm"].norm(tokens)


def look_regions(model: NamedWeights, seen: SeenImage, masks: UInt8[Array, "regions side side"]) -> SeenRegions:
    """Look at regions, each for itself.

    Args:
        model: The nano's weights under `model`.
        seen: The image.
        masks: The regions.
    """
    encoder, reader, area = model["vision_regions"], model["region_tokens"], masks.astype(np.float32)
    side = area.shape[-1] // CELL
    coverage = area.reshape(len(area), side, CELL, side, CELL).mean((2, 4))
    weights = coverage / coverage.sum((1, 2), keepdims=True).clip(min=1e-4)
    pooled = np.einsum("rhw,chw->rc", weights, seen.fine)
    depth = (weights * seen.log_depth).sum((1, 2))[:, None]
    features = encoder["pooled"].think(np.concatenate([pooled, depth, _fourier_features(_geometry(area))], axis=-1), "0", "2")
    features = features + encoder["look"].look(encoder["norm"].norm(features), seen.context)
    features = features + encoder["think"].think(encoder["think"][0].norm(features), "1", "3")
    estimates = encoder["estimate"].linear(features)
    estimates[:, 2:] += depth
    words = sum(
        reader[plural].linear(softmax(encoder[word].linear(features), axis=-1))
        for word, plural in (("kind", "kinds"), ("colour", "colours"))
    )
    readable = _fourier_features(_readable(estimates), FINE_OCTAVES)
    told = reader["features"].think(features, "0", "2") + reader["estimates"].linear(readable) + words
    return SeenRegions(features, estimates, told, area.max((1, 2)) > 0)


def tell_first(model: NamedWeights, regions: SeenRegions) -> Float[Array, "regions hidden"]:
    """What the decoder reads at the name of the region from which the others are seen: nothing if it is empty."""
    return model["region_tokens"]["norm"].norm(regions.told) * regions.shown[:, None]


def tell_others(model: NamedWeights, first: SeenRegions, others: SeenRegions) -> Float[Array, "regions hidden"]:
    """What it reads at the names of others.

    Args:
        model: The nano's weights under `model`.
        first: The one region from which they are seen.
        others: The others.
    """
    related = _related(first, others, _relate(model["vision_regions"]["pair"], first, others))
    offsets = model["region_tokens"]["offsets"].linear(_fourier_features(related, FINE_OCTAVES))
    return tell_first(model, others._replace(told=others.told + offsets))


def _readable(estimates: Float[Array, "regions 6"]) -> Float[Array, "regions 11"]:
    """Estimates as metres and as logarithms."""
    _, _, log_z, *sizes = estimates.T
    return np.stack([*_metres(estimates), log_z, *sizes, np.sum(sizes, axis=0)], axis=-1)


def _metres(estimates: Float[Array, "regions 6"]) -> list[Float[Array, " regions"]]:
    """Middle and extents, metres."""
    across, up, log_z, *sizes = estimates.T
    z = np.exp(log_z.clip(-3, 4))
    return [across * z, up * z, z, *(np.exp(size.clip(-5, 3)) for size in sizes)]


def _relate(pair: NamedWeights, first: SeenRegions, others: SeenRegions) -> Float[Array, "regions 6"]:
    """Offsets of regions from the first."""
    x, y, z, _, _, depth = _metres(first.estimates)
    to_x, to_y, to_z, _, _, to_depth = _metres(others.estimates)
    right, down, ahead = to_x - x, to_y - y, to_z - z
    apart = np.log((right**2 + down**2 + ahead**2).clip(min=0.01)) / 2
    found = np.stack([right, down, right, ahead, ahead - (to_depth - depth) / 2, apart], axis=-1)
    both = np.concatenate([np.broadcast_to(first.features, others.features.shape), others.features], axis=-1)
    return found + pair.think(both, "0", "2")


def _related(first: SeenRegions, others: SeenRegions, offsets: Float[Array, "regions 6"]) -> Float[Array, "regions 11"]:
    """Offsets from the first region as metres, the bearing in right angles, and by how much larger than the first each is."""
    right, down, mean_right, ahead, near, apart = offsets.T
    width, height, depth = (others.estimates[:, 3:] - first.estimates[:, 3:]).T
    bearing = np.arctan2(mean_right, ahead) / np.float32(np.pi / 2)
    metres = np.exp(apart.clip(-4, 3))
    volume = width + height + depth
    return np.stack([right, down, mean_right, ahead, near, metres, apart, bearing, width, height, volume], axis=-1)


def _fourier_features(values: Float[Array, "regions values"], octaves: int = OCTAVES) -> Float[Array, "regions features"]:
    frequencies = np.float32(LOWEST) * np.float32(2) ** np.arange(octaves, dtype=np.float32)
    angles = (values[..., None] * frequencies).reshape(len(values), values.shape[-1] * octaves)
    return np.concatenate([values, np.sin(angles), np.cos(angles)], axis=-1)


def _geometry(area: Float[Array, "regions side side"]) -> Float[Array, "regions 11"]:
    """Box, middle, spread and area of masks, shares of the image's side."""
    steps = np.linspace(0, 1, area.shape[-1], dtype=np.float32)
    columns, rows = area.max(1), area.max(2)
    across, down = area.sum(1), area.sum(2)
    total = area.sum((1, 2)).clip(min=1)
    x, y = across @ steps / total, down @ steps / total
    spread_x = np.sqrt((across @ steps**2 / total - x**2).clip(min=0))
    spread_y = np.sqrt((down @ steps**2 / total - y**2).clip(min=0))
    right, bottom = (columns * steps).max(-1), (rows * steps).max(-1)
    left, top = 1 - (columns * (1 - steps)).max(-1), 1 - (rows * (1 - steps)).max(-1)
    size = (np.sqrt(total) / area.shape[-1], right - left, bottom - top)
    return np.stack([left, top, right, bottom, x, y, spread_x, spread_y, *size], axis=-1)
