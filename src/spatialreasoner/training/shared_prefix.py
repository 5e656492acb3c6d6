"""Shared prefix: picture and prompt once a pair, both responses after them, in one sequence without padding.

A batch is ``prompt chosen rejected  prompt chosen rejected ...`` in one row. A response sees its own prompt and itself, never
the other response, and its positions restart after the prompt (multimodal RoPE included), so every number equals that of
the two separate rows. Linear layers run on the packed row; attention runs pair by pair in two calls: the prompt on itself
with the causal kernel, the responses on the pair with a small mask. A dense mask over the row would lose that kernel.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from spatialreasoner.training.forward import response_positions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ATTENTION = "spatialreasoner_pairs"
"""The name under which the attention is registered with transformers."""


@dataclass(frozen=True, kw_only=True)
class PairLayout:
    """Where the pairs stand in the packed row.

    Attributes:
        lengths: Tokens of prompt, chosen and rejected of each pair.
        pictures: Number of the picture of each token of each pair, -1 for text, where tokens of a picture see each other
            both ways (Gemma 3); None where all attention is causal.
        masks: What tokens may see; filled on first use, shared by all layers.
    """

    lengths: Sequence[tuple[int, int, int]]
    pictures: Sequence[Int[Tensor, " pair"]] | None = None
    masks: dict[tuple[int, bool, int | None], Tensor] = field(default_factory=dict[Any, Tensor])


def enable_shared_prefix(model: PreTrainedModel) -> None:
    """Let the language model's attention understand `PairLayout`; without one it is plain SDPA, also in `generate`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, pair_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    text_alone = model.config.get_text_config() is model.config
    model.set_attn_implementation(ATTENTION if text_alone else {"text_config": ATTENTION})


def packed(batch: dict[str, Any], model: PreTrainedModel) -> dict[str, Any]:
    """Arguments of a forward pass over the packed row.

    Args:
        batch: What `PairCollator` packs.
        model: The model, unwrapped: families with multimodal RoPE say where a prompt's pictures stand.

    Returns:
        Keyword arguments of a model that knows `add_token_logps` and `enable_shared_prefix`, whose result is in the
        batch's own order.
    """
    ids: Tensor = batch["input_ids"]
    lengths: list[list[int]] = batch["lengths"].tolist()
    return {
        "input_ids": ids,
        "position_ids": _positions(batch, lengths, model),
        # A mask of four dimensions is left as it is: no other is built, and `pair_attention` has its own
        "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool, device=ids.device),
        "pair_layout": PairLayout(
            lengths=[(prompt, chosen, rejected) for prompt, chosen, rejected in lengths],
            pictures=_pictures(batch["types"].get("token_type_ids"), lengths),
        ),
        **batch["types"],
        **batch["vision"],
        "logps_at": _predicted_at(lengths, device=ids.device),
        "logps_of": ids[0][response_positions(lengths, device=ids.device)],
    }


def pair_attention(
    module: torch.nn.Module,
    query: Float[Tensor, "1 heads tokens width"],
    key: Float[Tensor, "1 groups tokens width"],
    value: Float[Tensor, "1 groups tokens width"],
    attention_mask: Tensor | None,
    *,
    pair_layout: PairLayout | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "1 tokens heads width"], None]:
    """Attention over packed pairs, in the form that transformers calls; without a layout it is plain SDPA."""
    if pair_layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
    outputs: list[Tensor] = []
    start = 0
    for index, lengths in enumerate(pair_layout.lengths):
        pair, prompt = slice(start, start + sum(lengths)), slice(start, start + lengths[0])
        responses = slice(prompt.stop, pair.stop)
        causal = pair_layout.pictures is None and (sliding_window is None or sliding_window >= lengths[0])
        mask = None if causal else _mask(pair_layout, index, False, sliding_window, query.device)
        for rows, columns, seen in (
            (prompt, prompt, mask),
            (responses, pair, _mask(pair_layout, index, True, sliding_window, query.device)),
        ):
            outputs.append(_attend(query[:, :, rows], key[:, :, columns], value[:, :, columns], seen, scaling, dropout))
        start = pair.stop
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


def _attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float | None, dropout: float
) -> Float[Tensor, "1 heads rows width"]:
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
        scale=scaling,
        dropout_p=dropout,
        enable_gqa=repeats > 1,
    )


def _mask(
    layout: PairLayout, index: int, responses: bool, window: int | None, device: torch.device
) -> Bool[Tensor, "rows columns"]:
    """What the prompt's tokens may see of the prompt, or the responses' tokens of the pair."""
    found = layout.masks.get((index, responses, window))
    if found is None:
        prompt, *sides = layout.lengths[index]
        lengths = [prompt, *sides] if responses else [prompt]
        # Each token's place in its own row, were the two responses apart; and which part of the pair it is in
        places = torch.cat([torch.arange(prompt), *(prompt + torch.arange(length) for length in lengths[1:])]).to(device)
        parts = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)).to(device)
        rows = slice(prompt if responses else 0, None)
        found = (places[rows, None] >= places) & ((parts == 0) | (parts[rows, None] == parts))
        if layout.pictures is not None:
            pictures = layout.pictures[index][: len(places)]
            found |= (pictures[rows, None] == pictures) & (pictures >= 0)
        if window is not None:
            found &= places > places[rows, None] - window
        layout.masks[index, responses, window] = found
    return found


def _pictures(token_types: Tensor | None, lengths: list[list[int]]) -> list[Tensor] | None:
    """The picture of each token: pictures are runs of tokens of type 1, as transformers reads them for Gemma 3."""
    if token_types is None:
        return None
    inside = token_types[0] == 1
    starts = inside & ~functional.pad(inside, (1, 0))[:-1]
    return list(torch.where(inside, starts.cumsum(0), -1).split([sum(pair) for pair in lengths]))


def _predicted_at(lengths: list[list[int]], *, device: torch.device) -> Int[Tensor, " tokens"]:
    """Where each response token is predicted: at the token before it, which for a first one is the prompt's last."""
    at: list[Tensor] = []
    start = 0
    for prompt, *responses in lengths:
        last, start = start + prompt - 1, start + prompt
        for length in responses:
            at += [torch.tensor([last], device=device), torch.arange(start, start + length - 1, device=device)]
            start += length
    return torch.cat(at)


def _positions(batch: dict[str, Any], lengths: list[list[int]], model: PreTrainedModel) -> Int[Tensor, "*axes 1 tokens"]:
    """Positions of the packed row: each prompt's own, then both responses from the one after its greatest."""
    prompts = _prompt_positions(batch, lengths, model)
    device = batch["input_ids"].device
    parts: list[Tensor] = []
    for (_, *responses), prompt in zip(lengths, prompts, strict=True):
        following = int(prompt.max()) + 1
        parts.append(prompt)
        for length in responses:
            parts.append(torch.arange(following, following + length, device=device).expand(*prompt.shape[:-1], -1))
    return torch.cat(parts, dim=-1).unsqueeze(-2)


def _prompt_positions(
    batch: dict[str, Any], lengths: list[list[int]], model: PreTrainedModel
) -> list[Int[Tensor, "*axes tokens"]]:
    device = batch["input_ids"].device
    rope_index = getattr(model.base_model, "get_rope_index", None)
    if rope_index is None or not batch["vision"]:
        return [torch.arange(prompt, device=device) for prompt, _, _ in lengths]

    def prompts(packed: Tensor) -> Tensor:
        pairs = packed[0].split([sum(pair) for pair in lengths])
        return pad_sequence([part[: pair[0]] for part, pair in zip(pairs, lengths, strict=True)], batch_first=True)

    given = {
        "input_ids": prompts(batch["input_ids"]),
        "attention_mask": prompts(torch.ones_like(batch["input_ids"])),
        **{key: prompts(value) for key, value in batch["types"].items()},
        **batch["vision"],
    }
    known = inspect.signature(rope_index).parameters
    positions, _ = rope_index(**{key: value for key, value in given.items() if key in known})
    return [positions[:, row, : pair[0]] for row, pair in enumerate(lengths)]
