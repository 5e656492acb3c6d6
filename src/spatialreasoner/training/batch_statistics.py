"""Batch normalization in vision towers (FastVLM's): its statistics stay those of the pretraining while the model trains."""

from __future__ import annotations

import types
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage] - what all of its kinds share


def hold_batch_statistics(model: torch.nn.Module) -> int:
    """Keep batch normalizations in evaluation mode, whatever mode the model is put into.

    In training mode an image's features would depend on the other images of its batch, and the policy would differ from its
    reference, which evaluates, before the first step. transformers puts them into training mode with the rest. Their scales
    and offsets train as any weights.

    Args:
        model: Any model; without such layers nothing changes.

    Returns:
        How many there are.
    """
    held = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.running_mean is not None]
    for module in held:
        module.training = False
        module.train = types.MethodType(_stays, module)  # a method, so that a copy of the model has its own
    return len(held)


def _stays(module: Any, mode: bool = True) -> Any:
    return module
