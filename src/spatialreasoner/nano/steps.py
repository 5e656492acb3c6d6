"""Single steps of `generate` in few and large products.

A step of a decoder this small takes less time than Python needs to walk through its modules. So a step is written out here:
queries, keys and values are one product, and gate and up another, with the norm before them folded into their weights.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from transformers.cache_utils import Cache


class _Layer(NamedTuple):
    attend: Float[Tensor, "3*hidden hidden"]
    attended: Float[Tensor, "hidden hidden"]
    expand: Float[Tensor, "2*inner hidden"]
    contract: Float[Tensor, "hidden inner"]


class Steps:
    """A decoder's steps of one token per row, with the weights that it has now.

    Args:
        decoder: A Llama of transformers; see `is_plain`.
    """

    def __init__(self, decoder: Any) -> None:
        self._decoder, self._heads = decoder, decoder.config.num_attention_heads
        self._layers = [
            _Layer(
                _joined(layer.input_layernorm, layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj),
                layer.self_attn.o_proj.weight,
                _joined(layer.post_attention_layernorm, layer.mlp.gate_proj, layer.mlp.up_proj),
                layer.mlp.down_proj.weight,
            )
            for layer in decoder.layers
        ]

    def __call__(
        self,
        embeds: Float[Tensor, "rows 1 hidden"],
        position_ids: Int[Tensor, "rows 1"],
        attention_mask: Int[Tensor, "rows columns"] | None,
        cache: Cache,
    ) -> Float[Tensor, "rows 1 hidden"]:
        """What the decoder makes of one more token per row; the cache grows by a column."""
        cos, sin = self._decoder.rotary_emb(embeds, position_ids)
        mask = _additive(attention_mask, embeds.dtype)
        hidden = embeds[:, 0]
        for index, layer in enumerate(self._layers):
            found = functional.linear(self._normed(hidden), layer.attend).view(len(hidden), 3, self._heads, 1, -1)
            turned = _turned(found[:, :2], cos[:, None, None], sin[:, None, None])
            keys, values = cache.update(turned[:, 1], found[:, 2], index)
            seen = functional.scaled_dot_product_attention(turned[:, 0], keys, values, attn_mask=mask)
            hidden = hidden + functional.linear(seen.flatten(1), layer.attended)
            gate, up = functional.linear(self._normed(hidden), layer.expand).chunk(2, dim=-1)
            hidden = hidden + functional.linear(functional.silu(gate) * up, layer.contract)
        return self._decoder.norm(hidden)[:, None]

    def _normed(self, hidden: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows hidden"]:
        return functional.rms_norm(hidden, hidden.shape[-1:], eps=self._decoder.config.rms_norm_eps)


def is_plain(decoder: nn.Module) -> bool:
    """Whether the decoder's products are what its weights say, and as many keys as queries: no adapters, no quantization."""
    config: Any = decoder.config
    products = (each for name, each in decoder.named_modules() if name.endswith("_proj"))
    plain = all(type(each) is nn.Linear for each in products)
    return plain and not (config.attention_bias or config.mlp_bias) and config.num_key_value_heads == config.num_attention_heads


def _joined(norm: Any, *products: Any) -> Float[Tensor, "out hidden"]:
    return torch.cat([product.weight for product in products]) * norm.weight


def _additive(attention_mask: Tensor | None, dtype: torch.dtype) -> Float[Tensor, "rows 1 1 columns"] | None:
    """Nothing where all columns are seen."""
    if attention_mask is None or bool(attention_mask.all()):
        return None
    hidden = attention_mask[:, None, None] == 0
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, torch.finfo(dtype).min)


def _turned(
    vectors: Float[Tensor, "rows 2 heads 1 width"],
    cos: Float[Tensor, "rows 1 1 1 width"],
    sin: Float[Tensor, "rows 1 1 1 width"],
) -> Float[Tensor, "rows 2 heads 1 width"]:
    """Rotary positions, as Llama has them: halves of a head are the two parts of complex numbers."""
    left, right = vectors.chunk(2, dim=-1)
    return vectors * cos + torch.cat([-right, left], dim=-1) * sin
