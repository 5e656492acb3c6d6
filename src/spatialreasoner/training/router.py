"""The load-balancing loss of mixtures of experts (Switch Transformer: Fedus et al., 2021, arXiv 2101.03961, equations 4 to 6).

The loss is what TRL adds to SFT and DPO where the configuration has a `router_aux_loss_coef`: transformers' own function over
the router logits of all tokens of all rows. Wrappers that do not hand the router logits on (InternVL over a mixture of experts)
are read at their language model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from spatialreasoner.core.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Gates = tuple[Float[Tensor, "tokens experts"], ...]
"""Router logits of each layer that has experts."""


def router_loss(model: PreTrainedModel, gates: Gates, rows: Int[Tensor, " all_tokens"] | None = None) -> Tensor:
    """The load-balancing loss of a batch.

    Args:
        model: The model, unwrapped: its configuration says how many experts are used per token.
        gates: Router logits of all tokens of the batch.
        rows: The tokens that count, each as often as rows hold it; None for each once.
    """
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    counted = tuple(each.flatten(0, -2) if rows is None else each.flatten(0, -2)[rows] for each in gates)
    given: Any = counted
    loss: Any = load_balancing_loss_func(given, counted[0].shape[-1], model.config.get_text_config().num_experts_per_tok)
    return loss


@contextlib.contextmanager
def recording_router(model: PreTrainedModel) -> Generator[list[Gates]]:
    """Within it, the language model's router logits are kept, whatever its wrapper does with them."""
    found: list[Gates] = []

    def keep(module: Any, args: Any, output: Any) -> None:
        if getattr(output, "router_logits", None):
            found.append(output.router_logits)

    decoder: Any = model.get_decoder()
    handle = decoder.register_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()


def refuse_silent_router(model: PreTrainedModel, coefficient: float) -> None:
    """Refuse a model whose configuration asks for a router loss, and whose router cannot be read.

    Args:
        model: The model, unwrapped.
        coefficient: What the loss is weighed by; 0 for no loss.

    Raises:
        ConfigError: If it is such a model.
    """
    first = next(model.parameters())
    if not coefficient or first.is_meta:
        return
    ids = torch.ones(1, 2, dtype=torch.long, device=first.device)
    try:
        with torch.no_grad(), recording_router(model) as found:
            model.base_model(input_ids=ids, output_router_logits=True, use_cache=False)
        said = ""
    except (TypeError, ValueError, AttributeError, RuntimeError, LookupError) as error:
        found, said = [], f": {error}"
    if not found or getattr(model.config.get_text_config(), "num_experts_per_tok", None) is None:
        raise ConfigError(
            f"the configuration of {type(model).__name__} asks for a router loss (router_aux_loss_coef={coefficient:g}), but "
            f"the model does not return its router's logits{said}. Set router_aux_loss_coef=0 to train without that loss"
        )
