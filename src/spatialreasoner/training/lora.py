"""Where low-rank adapters go: every linear layer of the language model, found in the model itself, whatever its names.

Names of projections differ from family to family (`q_proj`, `in_proj_qkv`, `w1`, `dense`, `gate_up_proj`), and experts of
current models are one parameter of three dimensions, not layers. A list of names would leave most of such a model frozen.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers.pytorch_utils import Conv1D

from spatialreasoner.training.vision import PROJECTORS, TOWERS

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

NEARLY_ALL = 0.995
"""A smaller share of the weights is warned of."""

_SCANS = {"out_proj", "conv1d"}
"""Layers of state-space mixers whose weights fused kernels read past any adapter; PEFT refuses them as well."""


_OLD_NAMES = {"gate_proj", "up_proj", "down_proj", "gate", "w1", "w2", "w3"}
"""Layers of these names in models with experts (shared experts, dense layers) PEFT takes for experts of earlier versions of
transformers, and leaves them out. Their weights are named as parameters instead."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What adapters are put on.

    Attributes:
        modules: Names of linear layers, in the model.
        transposed: Whether these layers are GPT-2's, whose weights are stored the other way round.
        parameters: Names of parameters: those that hold the weights of all experts of a layer, and beside experts those of
            layers that PEFT would take for experts.
        reached: Matrix weights of the language model that adapters reach.
        matrices: All its matrix weights, embeddings and output layer left out.
        left: Kinds of matrices that are not reached, those with most weights first.
    """

    modules: list[str]
    transposed: bool
    parameters: list[str]
    reached: int
    matrices: int
    left: list[str]

    @property
    def share(self) -> float:
        """The share of the language model's matrix weights covered by adapters, 0..1."""
        return self.reached / self.matrices if self.matrices else 0.0


def find_targets(model: PreTrainedModel, *, vision: bool = False, experts: bool = True) -> Targets:
    """Find what adapters can be put on.

    Args:
        model: The model; its weights may be on the meta device.
        vision: Whether the linear layers of vision tower and projector are targets too; they do not count in the share.
        experts: Whether experts that are parameters are targets too.
    """
    linear = [name for name, module in _language(model) if _takes_adapter(name, module, model)]
    stacks = [key for name, module in _language(model) for key, _ in _stacks(name, module)]
    taken = [name for name in linear if stacks and name.rpartition(".")[2] in _OLD_NAMES]
    linear = [name for name in linear if name not in taken]
    stacks = [*stacks, *(f"{name}.weight" for name in taken)] if experts else []
    left = Counter[str]()
    matrices = reached = 0
    for name, module in _language(model):
        for key, parameter in module.named_parameters(recurse=False):
            size = _size(module, key, parameter)
            matrices += size
            if name in linear or f"{name}.{key}" in stacks:
                reached += size
            elif size:
                left[re.sub(r"\.\d+\.", ".*.", f"{name}.{key}")] += size
    seeing = [name for name, module in _seeing(model) if _takes_adapter(name, module, model)] if vision else []
    return Targets(
        modules=[*linear, *seeing],
        transposed=any(isinstance(model.get_submodule(name), Conv1D) for name in linear),
        parameters=stacks,
        reached=reached,
        matrices=matrices,
        left=[kind for kind, _ in left.most_common()],
    )


def say_share(targets: Targets) -> None:
    """Log before training which share of the language model's weights adapters cover; a warning if it is far from all."""
    said = f"LoRA adapters reach {100 * targets.share:.1f} % of the language model's matrix weights"
    if targets.share >= NEARLY_ALL:
        logger.info("%s: %d linear layers, %d parameters", said, len(targets.modules), len(targets.parameters))
        return
    logger.warning("%s; the rest stays as it is: %s", said, ", ".join(targets.left[:8]))


def _language(model: PreTrainedModel) -> Iterator[tuple[str, torch.nn.Module]]:
    """The modules of the language model, by their names in the whole; embeddings and the output layer left out."""
    decoder: Any = model.get_decoder()
    inside = {id(module) for module in decoder.modules()}
    ends = {id(model.get_output_embeddings()), id(model.get_input_embeddings())}
    for name, module in model.named_modules():
        known = id(module) in inside and id(module) not in ends
        if known and not isinstance(module, torch.nn.Embedding) and not _sees(name):
            yield name, module


def _seeing(model: PreTrainedModel) -> Iterator[tuple[str, torch.nn.Module]]:
    """The modules of vision towers and projectors."""
    language = {name for name, _ in _language(model)}
    for name, module in model.base_model.named_modules(prefix=model.base_model_prefix):
        if name not in language and module is not model.get_output_embeddings() and _sees(name):
            yield name, module


def _sees(name: str) -> bool:
    known = (*TOWERS, *PROJECTORS)
    return any(part in known or "vision" in part or "visual" in part or "projector" in part for part in name.split("."))


def _takes_adapter(name: str, module: torch.nn.Module, model: PreTrainedModel) -> bool:
    if not isinstance(module, torch.nn.Linear | Conv1D):
        return False
    owner = model.get_submodule(name.rpartition(".")[0])
    if isinstance(owner, torch.nn.MultiheadAttention):  # reads its weights past any adapter
        return False
    return not (name.rpartition(".")[2] in _SCANS and _is_scan(owner))


def _is_scan(module: torch.nn.Module) -> bool:
    """Whether a module is a state-space mixer; linear attention (gated delta rule) runs its layers as others do."""
    kind = type(module).__name__.lower()
    return hasattr(module, "A_log") and ("mamba" in kind or "mixer" in kind)


def _stacks(name: str, module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Parameters of three dimensions that hold the matrices of all experts."""
    if isinstance(module, torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d):
        return
    for key, parameter in module.named_parameters(recurse=False):
        if parameter.dim() == 3 and "bias" not in key and min(parameter.shape[1:]) > 1:
            yield f"{name}.{key}", parameter


def _size(module: torch.nn.Module, key: str, parameter: torch.nn.Parameter) -> int:
    """How many weights a matrix has, or a stack of them; 0 for what is not a matrix. Those in four bits are packed."""
    if "bias" in key:
        return 0
    if isinstance(module, torch.nn.Linear):
        return module.in_features * module.out_features
    return parameter.numel() if parameter.dim() > 1 else 0
