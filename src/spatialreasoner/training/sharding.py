"""Models whose weights are sharded over processes (FSDP2): accelerate's settings, and states gathered and sharded again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from spatialreasoner.core.errors import ConfigError

if TYPE_CHECKING:
    from accelerate import Accelerator


def prepare_plugin(model: Any, accelerator: Accelerator) -> None:
    """Make accelerate shard the right layers, gather the whole model on saving, and leave its outputs unchanged.

    Families name layers that not every model of theirs has (LLaVA those of CLIP's text tower); accelerate stops at the first
    that it does not find.

    Raises:
        ConfigError: If the first FSDP is asked for.
    """
    plugin: Any = accelerator.state.fsdp_plugin
    if plugin.fsdp_version != 2:
        raise ConfigError(f"expected fsdp_version: 2 in the configuration of accelerate; got {plugin.fsdp_version}")
    present = {type(module).__name__ for module in model.modules()}
    for module in model.modules():
        if names := getattr(module, "_no_split_modules", None):
            module._no_split_modules = sorted(present & set(names))
    plugin.set_state_dict_type("FULL_STATE_DICT")
    if plugin.mixed_precision_policy is not None:
        # accelerate would have log-probabilities leave the model in half precision, where hundreds of nats lose their fractions
        plugin.mixed_precision_policy = replace(plugin.mixed_precision_policy, output_dtype=None)


def spread(model: Any, accelerator: Accelerator) -> Any:
    """A model that does not train, sharded layer by layer like the one that does."""
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    prepare_plugin(model, accelerator)
    return fsdp2_prepare_model(accelerator, model).eval()


def gathered_state(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Weights that train and states of the optimizer by the names of the weights, whole on the first process, else empty."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    weights, states = get_state_dict(model, optimizer, options=options)
    return {"weights": weights, "optimizer": states}


def spread_state(model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Put back what `gathered_state` gave, over any number of processes; each is given the whole."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

    options = StateDictOptions(full_state_dict=True, ignore_frozen_params=True, strict=False)
    set_state_dict(
        model,
        optimizer,
        model_state_dict=dict(state["weights"]),
        optim_state_dict=dict(state["optimizer"]),
        options=options,
    )
