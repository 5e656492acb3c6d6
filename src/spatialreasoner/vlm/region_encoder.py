"""What a model reads of a region besides its name: one vector, pooled from the image's features and the mask's geometry.

Pure tensors; `vlm.regions` puts them into models of transformers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from spatialreasoner.vlm.region_tokens import fourier

FREQUENCIES = 6
"""Of the Fourier features: wavelengths from 2 down to 1/16 of the image's side."""

_QUANTITIES = 7


def geometry(masks: UInt8[Tensor, "*batch side side"]) -> Float[Tensor, "*batch 7"]:
    """Box (left, top, right, bottom), centroid (x, y) and square root of the area of masks, in shares of the image's sides.

    >>> mask = torch.zeros(4, 4, dtype=torch.uint8)
    >>> mask[1, 2:] = 255
    >>> geometry(mask)[:6].tolist()
    [0.5, 0.25, 1.0, 0.5, 0.75, 0.375]

    Args:
        masks: How much of each cell a region covers, 0..255.

    Returns:
        Seven shares; all 0 for an empty mask.
    """
    cover = masks.float() / 255
    columns, rows = cover.sum(-2), cover.sum(-1)
    area = rows.sum(-1)
    place = (torch.arange(masks.shape[-1], device=masks.device) + 0.5) / masks.shape[-1]
    x, y = ((line * place).sum(-1) / area.clamp_min(1e-6) for line in (columns, rows))
    (left, right), (top, bottom) = _extent(columns), _extent(rows)
    return torch.stack([left, top, right, bottom, x, y, area.sqrt() / masks.shape[-1]], dim=-1)


def _extent(line: Float[Tensor, "*batch side"]) -> tuple[Tensor, Tensor]:
    """Where something begins and ends, in shares of the side."""
    side = line.shape[-1]
    index = torch.arange(side, device=line.device)
    first = torch.where(line > 0, index, side).amin(-1)
    after = torch.where(line > 0, index + 1, 0).amax(-1)
    return torch.minimum(first, after) / side, after / side


def pool(
    features: Float[Tensor, "cells width"], grid: tuple[int, int], masks: UInt8[Tensor, "regions side side"]
) -> Float[Tensor, "regions width"]:
    """Mean of an image's features, each weighed by how much of its cell the region covers; 0 for an empty mask.

    Args:
        features: A vector per cell, row by row.
        grid: Rows and columns of cells.
        masks: How much of each of their own, finer cells the regions cover.
    """
    weights = functional.adaptive_avg_pool2d(masks[:, None].float(), grid).flatten(1)
    weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-6)
    return weights.to(features.dtype) @ features


class RegionEncoder(nn.Module):
    """A vector per region, of the width of token embeddings; all of them 0 until it is trained.

    A small MLP over the pooled features and the geometry. Its last layer starts at zero, so a model that gets an encoder
    starts as what it was.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(64, width // 4)
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width + _QUANTITIES * (1 + 2 * FREQUENCIES), hidden)
        self.last = nn.Linear(hidden, width)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(
        self,
        images: Sequence[Float[Tensor, "cells width"]],
        grids: Sequence[tuple[int, int]],
        masks: UInt8[Tensor, "images regions side side"],
    ) -> Float[Tensor, "images regions width"]:
        """Describe the regions of each image; an empty mask means no region, and its vector is 0.

        Args:
            images: The features of each image, a vector per cell, row by row.
            grids: Rows and columns of the cells of each.
            masks: How much of each of their own, finer cells the regions cover, 0..255.
        """
        dtype = self.last.weight.dtype  # adapters train in float32 beside a model in half precision
        pooled = torch.stack([pool(*each) for each in zip(images, grids, masks, strict=True)])
        seen = torch.cat(
            [self.norm(pooled.to(dtype)), fourier(geometry(masks), lowest=math.pi, octaves=FREQUENCIES).to(dtype)], dim=-1
        )
        hidden = functional.gelu(self.first(seen))
        return self.last(hidden) * masks.flatten(2).any(-1, keepdim=True)
