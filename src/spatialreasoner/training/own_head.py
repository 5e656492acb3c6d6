"""SFT through the model's own head, where TRL's would give other numbers.

TRL's loss multiplies hidden states with the output layer, and scales and caps the result by what it finds in the configuration.
That is another rule than the model's own forward pass follows: of Aya Vision and Cohere2 Vision TRL scales the logits, which
the models do not, and of others it does not know what they do. Here one rule holds for SFT, DPO and fDPO: log-probabilities are
those of the model's own forward pass.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from trl.trainer.utils import FusedCausalLMOutput

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.head import Head, given_hidden_states, head_of, random_states
from spatialreasoner.training.router import recording_router, router_loss

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PROBED_STATES = 8
"""Number of random hidden states that decide whether TRL's head is the model's."""

BLOCK = 2**25
"""Logits held at once."""


def use_own_head(model: PreTrainedModel, own: Callable[..., Any], *, router: bool) -> bool:
    """Replace TRL's loss by one through the model's own head, if they differ; says whether it did.

    Args:
        model: The model, unwrapped, as TRL has prepared it.
        own: Its `forward` before that.
        router: Whether the router's loss is asked for, which TRL reads under names that not all models have.
    """
    try:
        head = head_of(model, own)
    except ConfigError:
        return False
    text: Any = model.config.get_text_config()
    knows_router = not router or (hasattr(text, "num_experts") and not _wraps(model))
    output: Any = model.get_output_embeddings()
    if output.weight.is_meta or (knows_router and _same(model, head)):
        return False
    trls = model.forward

    @functools.wraps(type(model).forward)
    def forward(*args: Any, fused_lm_head: bool = False, labels: Tensor | None = None, **kwargs: Any) -> Any:
        if not fused_lm_head or labels is None:
            return trls(*args, **kwargs, **({} if labels is None else {"labels": labels}), fused_lm_head=fused_lm_head)
        kwargs.pop("num_items_in_batch", None)
        mask: Tensor | None = kwargs.get("attention_mask")
        with recording_router(model) as gates:
            hidden = model.base_model(*args, **{**kwargs, "use_cache": False}).last_hidden_state
        rows = None if mask is None else mask.flatten().nonzero()[:, 0]
        balance = router_loss(model, gates[0], rows) if kwargs.get("output_router_logits") else None
        return _fused(head, hidden[:, :-1], labels[:, 1:], balance, text)

    model.forward = forward
    return True


def _wraps(model: PreTrainedModel) -> bool:
    """Whether the language model is inside another, which may keep the router's logits to itself."""
    return model.config.get_text_config() is not model.config


@torch.no_grad()
def _same(model: PreTrainedModel, head: Head) -> bool:
    """Whether TRL's head gives what the model's own gives, on random hidden states."""
    hidden = random_states(model, PROBED_STATES)
    ids = torch.arange(PROBED_STATES, device=hidden.device)[None]
    with given_hidden_states(model, hidden):
        fused: Any = model(input_ids=ids, labels=ids, fused_lm_head=True)
    plain = torch.log_softmax(head(hidden[:-1]).float(), dim=-1).gather(1, ids[0, 1:, None])[:, 0]
    steps = 64 if hidden.dtype == torch.float32 else 4
    limit = steps * torch.finfo(hidden.dtype).eps * max(1.0, plain.abs().max().item())
    return bool((fused.log_probs[0].float() - plain).abs().max() <= limit)


def _fused(
    head: Head,
    hidden: Float[Tensor, "rows tokens width"],
    labels: Int[Tensor, "rows tokens"],
    balance: Tensor | None,
    text: Any,
) -> FusedCausalLMOutput:
    mask = labels != -100
    size = max(1, BLOCK // int(text.vocab_size))
    blocks = zip(hidden[mask].split(size), labels[mask].split(size), strict=True)
    found = [checkpoint(_block, head, *block, use_reentrant=False) for block in blocks]
    logps, entropy, right = (_laid_out(list(parts), mask) for parts in zip(*found, strict=True))
    loss = -logps.sum() / mask.sum().clamp(min=1)
    if balance is not None:
        loss = loss + getattr(text, "router_aux_loss_coef", 0.0) * balance
    return FusedCausalLMOutput(
        loss=loss, log_probs=logps, entropy=entropy, is_top1=right.bool(), label_mask=mask, aux_loss=balance
    )


def _block(head: Head, hidden: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probability of each label, entropy, and whether the label is the likeliest token."""
    logps = torch.log_softmax(head(hidden).float(), dim=-1)
    entropy = -(logps.detach().exp() * logps.detach()).sum(-1)
    return logps.gather(1, labels[:, None])[:, 0], entropy, (logps.argmax(-1) == labels).float()


def _laid_out(parts: list[Tensor], mask: Bool[Tensor, "rows tokens"]) -> Float[Tensor, "rows tokens"]:
    values = torch.cat(parts)
    return values.new_zeros(mask.shape).masked_scatter(mask, values)
