"""Attention over a packed trie: each token sees the nodes before its own, and its own up to itself.

Three ways, of which a layer takes the first that holds for it:

- merged: each node on itself with the causal kernel, then all that continues it on it without a mask, put together by
  their log-sum-exps. Nothing is computed that is not used. CPUs, plain causal layers.
- by node: each node on all that it sees, under a mask where one is needed: windows, images seen both ways, other devices.
- written out: the same with the softmax written out, for logits that are capped and heads that have sinks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from spatialreasoner.training.trie import Trie


@dataclass(frozen=True, kw_only=True)
class TrieLayout:
    """What attention knows of a packed row.

    Attributes:
        trie: Where its nodes are.
        places: How many tokens come before each in its own row, on the model's device.
        images: The number of the image of each token, -1 for text, where tokens of an image see each other both ways; None
            where all attention is causal.
        only_windowed: Whether images are seen both ways in layers with a window alone (Gemma 4).
        masks: What tokens may see; filled on first use, shared by all layers.
    """

    trie: Trie
    places: Int[Tensor, " tokens"]
    images: Int[Tensor, " tokens"] | None = None
    only_windowed: bool = False
    masks: dict[Any, Any] = field(default_factory=dict[Any, Any])

    def window(self, window: int | None) -> int | None:
        """The window, if any token of the trie lies beyond it."""
        if "longest" not in self.masks:
            self.masks["longest"] = int(self.places.max())
        return window if window is not None and window <= self.masks["longest"] else None

    def both_ways(self, window: int | None) -> bool:
        """Whether a layer with that window sees images both ways."""
        return self.images is not None and not (self.only_windowed and window is None)

    def seen(self, number: int) -> Int[Tensor, " columns"]:
        """The tokens that those of a node may see, its own included."""
        key = ("seen", number)
        if key not in self.masks:
            node = self.trie.nodes[number]
            stretches = [*self.trie.ancestors(node), node]
            self.masks[key] = torch.cat([torch.arange(each.start, each.stop) for each in stretches]).to(self.places.device)
        return self.masks[key]

    def mask(self, number: int, window: int | None, *, both_ways: bool) -> Bool[Tensor, "rows columns"]:
        """Which of `seen` each token of a node may see."""
        key = (number, window, both_ways)
        if key not in self.masks:
            node, columns = self.trie.nodes[number], self.seen(number)
            rows = slice(node.start, node.stop)
            own, before = self.places[rows, None], self.places[columns]
            found = own >= before
            if both_ways and self.images is not None:
                found |= (self.images[rows, None] == self.images[columns]) & (self.images[columns] >= 0)
            if window is not None:
                found &= before > own - window
            self.masks[key] = found
        return self.masks[key]


def attend_trie(
    layout: TrieLayout,
    query: Float[Tensor, "1 heads tokens width"],
    key: Float[Tensor, "1 groups tokens width"],
    value: Float[Tensor, "1 groups tokens other"],
    *,
    scale: float,
    dropout: float = 0.0,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Float[Tensor, " heads"] | None = None,
) -> Float[Tensor, "1 heads tokens other"]:
    """Attention of one layer over a packed trie.

    Args:
        layout: The trie.
        query: Queries.
        key: Keys, one to several heads of queries.
        value: Values.
        scale: What scores are multiplied by.
        dropout: Share of attention weights that are dropped.
        window: How many tokens back a token sees, itself included; None for all.
        softcap: Scores are kept within it by a hyperbolic tangent; None for as they are.
        sinks: A score of each head that takes part in the softmax and has no value (GPT-OSS).
    """
    both_ways, far = layout.both_ways(window), layout.window(window)
    if torch.is_autocast_enabled(query.device.type):
        query, key, value = (each.to(torch.get_autocast_dtype(query.device.type)) for each in (query, key, value))
    plain = far is None and not both_ways

    def mask(number: int) -> Tensor:
        return layout.mask(number, far, both_ways=both_ways)

    def written(query: Tensor, key: Tensor, value: Tensor, number: int) -> Tensor:
        return written_out(query, key, value, mask(number), scale=scale, dropout=dropout, softcap=softcap, sinks=sinks)

    def fused(query: Tensor, key: Tensor, value: Tensor, number: int) -> Tensor:
        causal = plain and layout.trie.nodes[number].parent < 0
        return _sdpa(query, key, value, None if causal else mask(number), scale, dropout)

    if softcap is not None or sinks is not None:
        return _by_node(layout, query, key, value, written)
    if plain and dropout == 0 and query.shape[-1] == value.shape[-1] and query.device.type == "cpu":
        return _Merged.apply(query, key, value, layout.trie, scale)  # pyright: ignore[reportReturnType] - untyped in torch
    return _by_node(layout, query, key, value, fused)


def _by_node(
    layout: TrieLayout, query: Tensor, key: Tensor, value: Tensor, attend: Callable[[Tensor, Tensor, Tensor, int], Tensor]
) -> Tensor:
    """Attention of each node's queries, by its number, to the keys and values that they see."""
    outputs: list[Tensor] = []
    for number, node in enumerate(layout.trie.nodes):
        columns = layout.seen(number)
        outputs.append(attend(query[:, :, node.start : node.stop], key[:, :, columns], value[:, :, columns], number))
    return torch.cat(outputs, dim=2)


def _sdpa(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float) -> Tensor:
    """Attention under a mask, or causal without one."""
    repeats = query.shape[1] // key.shape[1]
    if mask is not None and repeats > 1:
        # With a mask, CUDA's fused kernels want as many keys as queries; grouped heads would fall back to the slow one
        key, value = (each.repeat_interleave(repeats, dim=1) for each in (key, value))
        repeats = 1
    return functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        is_causal=mask is None,
        scale=scale,
        dropout_p=dropout,
        enable_gqa=repeats > 1,
    )


def written_out(
    query: Float[Tensor, "rows heads queries width"],
    key: Float[Tensor, "rows groups keys width"],
    value: Float[Tensor, "rows groups keys other"],
    mask: Bool[Tensor, "*rows queries keys"],
    *,
    scale: float,
    dropout: float = 0.0,
    softcap: float | None = None,
    sinks: Float[Tensor, " heads"] | None = None,
) -> Float[Tensor, "rows heads queries other"]:
    """Attention whose softmax is written out, in float32: with capped scores, and with sinks that take part in it."""
    repeats = query.shape[1] // key.shape[1]
    key, value = (each.repeat_interleave(repeats, dim=1) for each in (key, value))
    scores = (query @ key.transpose(-1, -2)).float() * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    if sinks is not None:
        extra = sinks.float().view(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
        scores = torch.cat([scores, extra], dim=-1)
    weights = torch.softmax(scores, dim=-1)[..., : key.shape[-2]]
    return functional.dropout(weights, p=dropout).to(value.dtype) @ value


class _Merged(torch.autograd.Function):
    """Plain causal attention over a trie, stretch by stretch.

    Each stretch gives its outputs and the log-sum-exp of its scores; a token's output is the mean of its stretches' outputs,
    each weighed by its share of the sum. Backwards the kernel is given the whole output and the whole log-sum-exp, so that
    it finds the weights of the whole softmax (as ring attention does: Liu et al., 2023, arXiv 2310.01889).
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, trie: Trie, scale: float) -> Tensor:
        kind = torch.promote_types(query.dtype, torch.float32)
        _, heads, tokens, width = query.shape
        output = query.new_zeros(1, tokens, heads, width, dtype=kind).transpose(1, 2)
        total = query.new_full((1, tokens, heads), -torch.inf, dtype=kind).transpose(1, 2)
        for rows, columns, causal in attended_spans(trie):
            part, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                query[:, :, rows], key[:, :, columns], value[:, :, columns], 0.0, causal, scale=scale
            )
            before = total[:, :, rows]
            after = torch.logaddexp(before, lse)
            output[:, :, rows].mul_((before - after).exp_()[..., None]).add_(part * (lse - after).exp_()[..., None])
            total[:, :, rows] = after
        output = output.to(query.dtype)
        ctx.save_for_backward(query, key, value, output, total)
        ctx.trie, ctx.scale = trie, scale
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        query, key, value, output, total = ctx.saved_tensors
        grad = grads[0].to(query.dtype)
        kind = torch.promote_types(query.dtype, torch.float32)
        found = [torch.zeros_like(each, dtype=kind) for each in (query, key, value)]
        for rows, columns, causal in attended_spans(ctx.trie):
            parts = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                grad[:, :, rows],
                query[:, :, rows],
                key[:, :, columns],
                value[:, :, columns],
                output[:, :, rows],
                total[:, :, rows],
                0.0,
                causal,
                scale=ctx.scale,
            )
            for whole, part, place in zip(found, parts, (rows, columns, columns), strict=True):
                whole[:, :, place] += part
        return *(whole.to(query.dtype) for whole in found), None, None


def attended_spans(trie: Trie) -> Iterator[tuple[slice, slice, bool]]:
    """Queries, the keys that they see, and whether causally: each node on itself, then all that continues it on it."""
    for node in trie.nodes:
        own = slice(node.start, node.stop)
        yield own, own, True
        if node.end > node.stop:
            yield slice(node.stop, node.end), own, False


def image_numbers(inside: Bool[Tensor, " tokens"], nodes: Sequence[Any]) -> Int[Tensor, " tokens"]:
    """The image of each token, -1 for text: an image is a run of tokens that are of one, and none goes over a node's end."""
    starts = inside & ~functional.pad(inside, (1, 0))[:-1]
    for node in nodes:
        starts[node.start] = inside[node.start]
    return torch.where(inside, starts.cumsum(0), -1)
