"""Logits of given hidden states, by the model's own code: whatever scales, caps, adds or maps them after the output layer.

Many families change what `lm_head` gives: Granite and HyperCLOVA X divide it, Cohere and Falcon-H1 multiply it, MiniCPM3 scales
the hidden states before it, Gemma caps it, Chameleon masks tokens. None of it is named here: the model's own `forward` runs
with its backbone replaced by the given hidden states, so what comes after the backbone is what the model's authors wrote.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from spatialreasoner.core.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Head = Callable[[Float[Tensor, "tokens width"]], Float[Tensor, "tokens vocabulary"]]

PROBED_ROWS = 4
"""Number of random hidden states that decide whether a head is the output layer alone."""


def head_of(model: PreTrainedModel, forward: Callable[..., Any]) -> Head:
    """The way from hidden states to logits, as short as the model allows: its output layer where nothing follows it.

    Args:
        model: The model, unwrapped.
        forward: Its own `forward`, as it was before anything replaced it.

    Raises:
        ConfigError: If the model's logits cannot be had from its hidden states.
    """

    def alone(hidden: Tensor) -> Tensor:
        output: Any = model.get_output_embeddings()  # looked up at each call: PEFT and FSDP replace modules later
        return output(hidden)

    def own(hidden: Tensor) -> Tensor:
        return _own_logits(model, forward, hidden)

    return alone if _is_alone(model, alone, own) else own


def _is_alone(model: PreTrainedModel, alone: Head, own: Head) -> bool:
    """Whether the output layer gives what the model's own code gives, tried on random hidden states.

    Weights that are not there yet (on the meta device) cannot be tried: the longer way is always right.
    """
    output: Any = model.get_output_embeddings()
    weight: Tensor = output.weight
    if weight.is_meta:
        return False
    hidden = random_states(model, PROBED_ROWS)
    with torch.no_grad():
        return torch.equal(alone(hidden).float(), own(hidden).float())


def random_states(model: PreTrainedModel, count: int) -> Float[Tensor, "tokens width"]:
    """Hidden states to try a head on, the same every time."""
    output: Any = model.get_output_embeddings()
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(count, _width(model), generator=generator)
    return hidden.to(output.weight.device, _dtype(output.weight))


def _dtype(weight: Tensor) -> torch.dtype:
    return weight.dtype if weight.is_floating_point() else torch.float32


def _width(model: PreTrainedModel) -> int:
    return int(model.config.get_text_config().hidden_size)


class _Backbone:
    """What a backbone returns, holding the given hidden states and nothing else."""

    def __init__(self, hidden: Tensor) -> None:
        self.last_hidden_state = hidden

    def __getattr__(self, name: str) -> None:
        return None

    def __getitem__(self, index: Any) -> Any:
        return (self.last_hidden_state,)[index] if isinstance(index, slice) or index == 0 else None


@contextlib.contextmanager
def given_hidden_states(model: PreTrainedModel, hidden: Float[Tensor, "tokens width"]) -> Generator[list[bool]]:
    """Within it, the model's backbone returns the given hidden states, as one row; what it yields is empty until asked."""
    backbone: Any = model.base_model
    replaced = backbone.__dict__.get("forward")
    asked: list[bool] = []

    def given(*args: Any, **kwargs: Any) -> Any:
        asked.append(True)
        return _Backbone(hidden[None])

    backbone.forward = given
    try:
        yield asked
    finally:
        if replaced is None:
            del backbone.forward
        else:
            backbone.forward = replaced


def _own_logits(model: PreTrainedModel, forward: Callable[..., Any], hidden: Tensor) -> Tensor:
    with given_hidden_states(model, hidden) as asked:
        ids = torch.zeros(1, len(hidden), dtype=torch.long, device=hidden.device)
        logits: Tensor = forward(input_ids=ids, use_cache=False, return_dict=True).logits
    if not asked or logits.shape[:2] != (1, len(hidden)):
        raise ConfigError(
            f"{type(model).__name__} computes its logits in a way that this trainer cannot follow: expected one row of "
            "logits per hidden state of its backbone"
        )
    return logits[0]
