"""One pass of a frozen vision tower for policy and reference, and with a store one per image and run.

A tower that does not train gives both the same features, so the second asking for them in a step is given the first one's.
The same holds for the projector behind it. With a `FeatureStore` the tower's features are read back from disk in later steps.
Nothing else changes hands: each model continues with the features on its own.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from spatialreasoner.training.feature_store import FeatureStore, tower_digest
from spatialreasoner.training.frozen_features import StoredTower

TOWERS = ("vision_tower", "visual", "vision_model")
PROJECTORS = ("multi_modal_projector", "connector")
"""Names that the families give to these parts of their base model."""


class SharedVision:
    """Parts of two models with the same vision weights, and their features of this step.

    Args:
        policy: The model that trains, without wrappers.
        reference: The model it is compared with; the same one where its adapter makes the difference.
        folder: Where features of a frozen tower are kept from step to step; None for nowhere.
        limit: Bytes that they may take there.

    Attributes:
        parts: Names of the parts that are shared; empty if none can be.
        reason: Why the tower is not shared though it is frozen; empty if it is, or where it trains.
    """

    def __init__(self, policy: Any, reference: Any, *, folder: Path | None = None, limit: int = 0) -> None:
        self.parts: list[str] = []
        self.reason = ""
        self._seen: dict[str, list[tuple[list[Tensor], Any]]] | None = None
        tower = _part(policy, TOWERS)
        if tower is None:
            if policy.config.get_text_config() is not policy.config:  # else it is a text model, which sees nothing
                self.reason = f"no part of it is called {' or '.join(TOWERS)}"
            return
        for name in filter(None, (tower, _part(policy, PROJECTORS))):
            of_policy, of_ref = getattr(policy.base_model, name), getattr(reference.base_model, name)
            if any(parameter.requires_grad for parameter in of_policy.parameters()):
                break
            if not _alike(of_policy, of_ref):
                self.reason = f"its {name} is not the reference's, has dropout, or is spread over processes"
                break
            self.parts.append(name)
            compute: dict[Any, Any] = {module: module.forward for module in (of_policy, of_ref)}
            if name == tower and folder is not None and limit and not _spread(of_policy):
                store = FeatureStore(folder / tower_digest(of_policy), limit=limit)
                stored = StoredTower(of_policy.forward, store, list(dict.fromkeys((policy.base_model, reference.base_model))))
                compute = dict.fromkeys(compute, stored.forward)
            for module, each in compute.items():
                module.forward = self._remembering(name, each, like=module.forward)

    @contextlib.contextmanager
    def step(self) -> Generator[None]:
        """Within it, a part computes repeated inputs only once."""
        self._seen = {name: [] for name in self.parts}
        try:
            yield
        finally:
            self._seen = None

    def _remembering(self, name: str, compute: Any, *, like: Any) -> Any:
        @functools.wraps(like)
        def forward(*args: Any, **kwargs: Any) -> Any:
            if self._seen is None or name not in self._seen:
                return compute(*args, **kwargs)
            given = [each for each in (*args, *kwargs.values()) if torch.is_tensor(each)]
            for asked, answer in self._seen[name]:
                if len(asked) == len(given) and all(map(torch.equal, asked, given)):
                    return copy.copy(answer)
            answer = compute(*args, **kwargs)
            self._seen[name].append((given, copy.copy(answer)))  # Qwen's models write into what they get
            return answer

        return forward


def _part(model: Any, names: Sequence[str]) -> str | None:
    return next((name for name in names if isinstance(getattr(model.base_model, name, None), torch.nn.Module)), None)


def _spread(module: torch.nn.Module) -> bool:
    """Whether a module's weights are spread over processes, which all have to run it together."""
    return any(isinstance(each, DTensor) or hasattr(each, "ds_id") for each in module.parameters())


def _alike(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two modules give the same, the one in training and the other not."""
    for module in one.modules():
        rates = [getattr(module, name, 0.0) for name in ("attention_dropout", "dropout")]
        if isinstance(module, torch.nn.Dropout):
            rates.append(module.p)
        if any(isinstance(rate, float) and rate > 0 for rate in rates):
            return False
    if any(hasattr(parameter, "ds_id") for parameter in one.parameters()):
        return False
    if one is other:
        return True
    of_policy, of_ref = one.state_dict(), other.state_dict()
    if any(isinstance(value, DTensor) for value in of_policy.values()):
        return False
    return of_policy.keys() == of_ref.keys() and all(torch.equal(value, of_ref[name]) for name, value in of_policy.items())
