"""Shared prefixes: a batch is one packed trie, in which an image, a question and a common start of answers occur once.

A token sees what comes before it in its own rows, never their siblings, and its position is the one that it has in a row of its
own (multimodal RoPE included), so every number equals that of separate rows. Linear layers run on the packed row; attention
follows the trie (`trie_attention`).
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from spatialreasoner.training.trie import Trie
from spatialreasoner.training.trie_attention import TrieLayout, attend_trie, image_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedModel

ATTENTION = "spatialreasoner_trie"
"""The name under which the attention is registered with transformers, with that of the attention that it replaces."""


def enable_shared_prefix(model: PreTrainedModel) -> None:
    """Let the language model's attention understand `TrieLayout`; without one it is the model's own, also in `generate`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    own = attention_of(model)
    if own.startswith(ATTENTION):
        return
    name = f"{ATTENTION}_{own.replace('/', '-')}"
    AttentionInterface.register(name, _attention_over(own))
    AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[own])
    _set_attention(model, name)


def disable_shared_prefix(model: PreTrainedModel) -> str:
    """Give the language model its own attention back; returns the name of the one it had."""
    name = attention_of(model)
    if name.startswith(ATTENTION):
        _set_attention(model, name.removeprefix(f"{ATTENTION}_"))
    return name


def attention_of(model: PreTrainedModel) -> str:
    """The name of the attention that the language model runs."""
    text: Any = model.config.get_text_config()
    return text._attn_implementation or "eager"


def _set_attention(model: PreTrainedModel, name: str) -> None:
    config: Any = model.config
    text = config.get_text_config()
    if text is config:
        model.set_attn_implementation(name)
        return
    part = next((part for part in config.sub_configs if getattr(config, part, None) is text), "text_config")
    model.set_attn_implementation({part: name})


def packed(batch: dict[str, Any], model: PreTrainedModel, *, router: bool = False) -> dict[str, Any]:
    """Arguments of a forward pass over the packed trie.

    Args:
        batch: What `PairCollator` packs.
        model: The model, unwrapped: families with multimodal RoPE say where a prompt's images are.
        router: Whether the router's loss is asked for, over the tokens of all rows, as if none were shared.

    Returns:
        Keyword arguments of a model that knows `add_token_logps` and `enable_shared_prefix`, whose result is in the
        batch's own order.
    """
    trie: Trie = batch["trie"]
    device = batch["input_ids"].device
    source = trie.source.to(device)
    ids = batch["input_ids"][:, source]
    types = {key: value[:, source] for key, value in batch["types"].items()}
    places = trie.places.to(device)
    return {
        "input_ids": ids,
        "position_ids": _positions(batch, places, model),
        # A mask of four dimensions is left as it is: no other is built, and attention over a trie has its own
        "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),
        "pair_layout": _layout(trie, places, types, model),
        **types,
        **batch["vision"],
        **({"router_rows": torch.cat(list(trie.paths)).to(device)} if router else {}),
        "logps_at": trie.predicted_at.to(device),
        "logps_of": ids[0][trie.scored.to(device)],
        "logps_order": trie.order.to(device),
    }


def _layout(trie: Trie, places: Tensor, types: dict[str, Tensor], model: PreTrainedModel) -> TrieLayout:
    """The layout, with the images that are seen both ways: those of type 1 (Gemma 3), or of 1 and 2 (Gemma 4)."""
    both_ways = getattr(model.config.get_text_config(), "use_bidirectional_attention", None) == "vision"
    token_types = types.get("mm_token_type_ids") if both_ways else types.get("token_type_ids")
    if token_types is None:
        return TrieLayout(trie=trie, places=places)
    inside = (token_types[0] == 1) | (both_ways & (token_types[0] == 2))
    return TrieLayout(trie=trie, places=places, images=image_numbers(inside, trie.nodes), only_windowed=both_ways)


def _attention_over(own: str) -> Callable[..., Any]:
    """Attention over a packed trie; without a layout it is the one named `own`."""

    def trie_attention(
        module: torch.nn.Module,
        query: Float[Tensor, "rows heads tokens width"],
        key: Float[Tensor, "rows groups tokens width"],
        value: Float[Tensor, "rows groups tokens other"],
        attention_mask: Tensor | None,
        *,
        pair_layout: TrieLayout | None = None,
        scaling: float | None = None,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> tuple[Float[Tensor, "rows tokens heads other"], Tensor | None]:
        if pair_layout is None:
            return _plain(own, module)(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
        if kwargs.get("position_bias") is not None:
            raise ValueError("attention with a positional bias cannot be used in a packed trie")
        output = attend_trie(
            pair_layout,
            query,
            key,
            value,
            scale=query.shape[-1] ** -0.5 if scaling is None else scaling,
            dropout=dropout,
            window=kwargs.get("sliding_window"),
            softcap=kwargs.get("softcap"),
            sinks=kwargs.get("s_aux"),
        )
        return output.transpose(1, 2).contiguous(), None

    return trie_attention


def _plain(own: str, module: torch.nn.Module) -> Callable[..., Any]:
    """The attention that the module would run were it not for the trie's."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if own != "eager":
        return ALL_ATTENTION_FUNCTIONS[own]
    return sys.modules[type(module).__module__].eager_attention_forward  # each family has one of its own


def _positions(batch: dict[str, Any], places: Int[Tensor, " tokens"], model: PreTrainedModel) -> Int[Tensor, "*axes 1 tokens"]:
    """Positions of the packed row: those of each image's tokens as the family says, and one after the other behind them."""
    rope_index = getattr(model.base_model, "get_rope_index", None)
    if rope_index is None or not batch["image_prefixes"]:
        return places[None]
    prefixes = batch["image_prefixes"]
    found = _rope_positions(batch, [each.pair for each in prefixes], rope_index)
    positions = places.expand(found.shape[0], -1).clone()
    for prefix, prompt in zip(prefixes, found.unbind(1), strict=True):
        tokens = prefix.tokens.to(places.device)
        own = prompt[:, : len(tokens)]
        positions[:, tokens] = own
        positions[:, prefix.stop : prefix.end] += own.max() + 1 - len(tokens)
    return positions[:, None]


def _rope_positions(
    batch: dict[str, Any], pairs: list[int], rope_index: Callable[..., Any]
) -> Int[Tensor, "axes pairs tokens"]:
    """Positions of the prompts of some pairs, in the order of the images, as the family has them."""
    sizes = batch["lengths"].sum(1).tolist()
    prompt_sizes = batch["lengths"][:, 0].tolist()

    def prompts(packed: Tensor) -> Tensor:
        parts = packed[0].split(sizes)
        return pad_sequence([parts[pair][: prompt_sizes[pair]] for pair in pairs], batch_first=True)

    given = {
        "input_ids": prompts(batch["input_ids"]),
        "attention_mask": prompts(torch.ones_like(batch["input_ids"])),
        **{key: prompts(value) for key, value in batch["types"].items()},
        **batch["vision"],
    }
    known = inspect.signature(rope_index).parameters
    positions, _ = rope_index(**{key: value for key, value in given.items() if key in known})
    return positions
