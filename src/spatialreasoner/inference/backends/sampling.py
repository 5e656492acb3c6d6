"""Sampling inside `generate` of transformers, each row with its own random numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import LogitsProcessor


class GumbelNoise(LogitsProcessor):
    """Turns the likeliest token into a sample: the argmax of ``logits / temperature + Gumbel noise`` is one.

    Each row has random numbers of its own, which `generate`'s own sampling has not.

    Args:
        temperature: Sampling temperature, greater than 0.
        keys: One seed per row.
    """

    def __init__(self, temperature: float, keys: Sequence[int]) -> None:
        self.temperature = temperature
        self._generators = [torch.Generator().manual_seed(key) for key in keys]

    def __call__(
        self, input_ids: Int[Tensor, "rows tokens"], scores: Float[Tensor, "rows vocabulary"]
    ) -> Float[Tensor, "rows vocabulary"]:
        """Add the noise of the next token."""
        noise = torch.stack([torch.empty(scores.shape[1]).exponential_(generator=generator) for generator in self._generators])
        return scores.float() / self.temperature - noise.log().to(scores.device)
