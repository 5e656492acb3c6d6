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
        masks: What the responses of a pair may see, by pair and window; filled on first use, shared by all layers.
    """

    lengths: Sequence[tuple[int, int, int]]
    masks: dict[Any, Tensor] = field(default_factory=dict[Any, Tensor])


def enable_shared_prefix(model: PreTrainedModel) -> None:
    """Let the language model's attention understand `PairLayout`; without one it is plain SDPA, also in `generate`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, pair_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    model.set_attn_implementation({"text_config": ATTENTION})


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
        "pair_layout": PairLayout(lengths=[(prompt, chosen, rejected) for prompt, chosen, rejected in lengths]),
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
    **kwargs: Any,
) -> tuple[Float[Tensor, "1 tokens heads width"], None]:
    """Attention over packed pairs, in the form that transformers calls; without a layout it is plain SDPA."""
    if pair_layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
    outputs: list[Tensor] = []
    start = 0
    for prompt, chosen, rejected in pair_layout.lengths:
        pair = slice(start, start + prompt + chosen + rejected)
        q, k, v = query[:, :, pair], key[:, :, pair], value[:, :, pair]
        mask = _responses_mask(pair_layout, prompt, chosen, rejected, device=q.device)
        options: dict[str, Any] = {"scale": scaling, "dropout_p": dropout, "enable_gqa": q.shape[1] != k.shape[1]}
        outputs += [
            functional.scaled_dot_product_attention(
                q[:, :, :prompt], k[:, :, :prompt], v[:, :, :prompt], is_causal=True, **options
            ),
            functional.scaled_dot_product_attention(q[:, :, prompt:], k, v, attn_mask=mask, **options),
        ]
        start = pair.stop
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


def _responses_mask(
    layout: PairLayout, prompt: int, chosen: int, rejected: int, *, device: torch.device
) -> Bool[Tensor, "responses pair"]:
    """What each response token may see of its pair: the prompt, and its own response up to itself."""
    found = layout.masks.get((prompt, chosen, rejected))
    if found is None:
        own = torch.block_diag(*(torch.ones(length, length, device=device).tril() for length in (chosen, rejected))).bool()
        found = torch.cat([own.new_ones(chosen + rejected, prompt), own], dim=1)
        layout.masks[prompt, chosen, rejected] = found
    return found


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
