"""GRPO of vision-language models by TRL's trainer: verified reward, checkpoints without pickle, images that carry regions.

TRL's trainer hands a model those tensors of an image that it knows by name, and drops others: a model with region tokens would
write its answers with regions and learn from them without. `image_sizes` is one that it hands on, a row per image; models with
region tokens do not use it, so masks travel under that name from the processor to the model.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from trl.trainer.grpo_trainer import GRPOTrainer

from spatialreasoner.rewards.functions import RewardFunction, reward_function
from spatialreasoner.training.batch_statistics import hold_batch_statistics
from spatialreasoner.training.compat_trl import SafeCheckpoints

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

_MASKS, _CARRIER = "region_masks", "image_sizes"


class GrpoTrainer(SafeCheckpoints, GRPOTrainer):
    """`GRPOTrainer` whose checkpoints hold no pickle, and whose models see regions while they learn: one image per row.

    Args:
        model: The model.
        processing_class: Its processor.
        kwargs: Further arguments of `GRPOTrainer`.
    """

    def __init__(self, model: PreTrainedModel, *, processing_class: ProcessorMixin, **kwargs: Any) -> None:
        carries = bool(getattr(model.config, "region_tokens", False))
        self.saved_processor = processing_class
        cast("Any", processing_class).tokenizer.padding_side = "left"  # prompts end where completions begin
        super().__init__(model, processing_class=_carrying(processing_class) if carries else processing_class, **kwargs)
        hold_batch_statistics(self.accelerator.unwrap_model(self.model))
        if carries:
            for each in filter(None, (self.model, self.ref_model)):
                _receive(self.accelerator.unwrap_model(each))


def reward_functions(spec: str) -> tuple[list[RewardFunction], list[float]]:
    """The reward functions that settings name, and their weights; an answer that lacks one of the scores is left out.

    >>> [f.__name__ for f in reward_functions("description:1,reasoning:2")[0]]
    ['description_reward', 'reasoning_reward']

    Args:
        spec: Names of scores or parts (`rewards.functions`), each perhaps with a weight, separated by commas.

    Raises:
        ConfigError: If there is no such score, or a weight is not a number.
    """
    from spatialreasoner.training.weights import parse_weights

    named: Sequence[str] = [piece if ":" in piece else f"{piece}:1" for piece in spec.split(",")]
    weights = parse_weights(",".join(named)) or {}
    return [reward_function(name, beside=tuple(weights)) for name in weights], list(weights.values())


def _carrying(processor: ProcessorMixin) -> ProcessorMixin:
    """The same processor, giving masks under the name of what TRL hands on."""
    kind = type(processor)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = kind.__call__(self, *args, **kwargs)
        if _MASKS in made:
            made[_CARRIER] = made.pop(_MASKS)
        return made

    carrying = copy.copy(processor)
    carrying.__class__ = type(kind.__name__, (kind,), {"__call__": call, "__module__": kind.__module__})
    return carrying


def _receive(model: Any) -> None:
    """Let a model, inside of its adapters, take masks under that name."""
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    inner.forward = _renaming(inner.forward)
    inner.generate = _renaming(inner.generate)


def _renaming(function: Any) -> Any:
    @functools.wraps(function)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get(_CARRIER) is not None:
            kwargs[_MASKS] = kwargs.pop(_CARRIER)
        return function(*args, **kwargs)

    return renamed
