"""The optimization of the phases."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from research.nano_pretraining.processes import average, is_first
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from spatialreasoner.core import records


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The optimization of a phase.

    Attributes:
        steps: Optimizer steps.
        batch: Images (see), or tokens (read), of one step of one process.
        rate: Peak learning rate.
    """

    steps: int
    batch: int
    rate: float


_FLOOR = 0.02
"""The last learning rate, as a share of the peak."""


class Optimization:
    """The optimization of a phase, which writes checkpoints and resumes from the last one.

    AdamW for what may learn, vectors without decay; warm-up over a thirtieth of the steps, then cosine to `_FLOOR`.

    Args:
        model: What learns.
        rates: How.
        checkpoint: The file of its checkpoint, from which it continues if it is there; None keeps none.
    """

    def __init__(self, model: nn.Module, rates: Rates, checkpoint: Path | None = None) -> None:
        self._learning = {name: each for name, each in model.named_parameters() if each.requires_grad}
        groups = [
            {"params": [p for p in self._learning.values() if p.ndim >= 2], "weight_decay": 0.05},
            {"params": [p for p in self._learning.values() if p.ndim < 2], "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(groups, lr=rates.rate, betas=(0.9, 0.98))
        self._rates, self._file, self.done = rates, checkpoint, 0
        if checkpoint is not None and checkpoint.is_file():
            self._continue(checkpoint)

    def stretches(self) -> Iterator[tuple[int, range]]:
        """The steps that are left, from checkpoint to checkpoint, each stretch with its number, which is to seed its data."""
        while self.done < self._rates.steps:
            number = self.done // STRETCH
            yield number, range(self.done, min((number + 1) * STRETCH, self._rates.steps))

    def step(self, loss: Tensor) -> None:
        """One step down the loss, averaged over all processes; its gradient's norm at most 1."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rates.rate * self._factor(self.done)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        learning = list(self._learning.values())
        average(learning)
        nn.utils.clip_grad_norm_(learning, 1.0)
        self._optimizer.step()
        self.done += 1
        if self._file is not None and self.done % STRETCH == 0 and is_first():
            self._keep(self._file)

    def _factor(self, step: int) -> float:
        warmup = max(1, self._rates.steps // 30)
        if step < warmup:
            return (step + 1) / warmup
        share = (step - warmup) / max(1, self._rates.steps - warmup)
        return _FLOOR + (1 - _FLOOR) / 2 * (1 + math.cos(math.pi * share))

    def _keep(self, file: Path) -> None:
        tensors = {name: each.detach().contiguous() for name, each in self._learning.items()}
        for name, each in self._learning.items():
            moments = self._optimizer.state.get(each, {})  # none of what no step has used
            tensors |= {f"{_KEPT}{part}.{name}": moments[part] for part in _MOMENTS if moments}
        with records.atomic_path(file) as temporary:
            save_file(tensors, temporary, {"done": str(self.done)})

    def _continue(self, file: Path) -> None:
        with safe_open(file, "pt") as kept:
            self.done = int(kept.metadata()["done"])
            for name, each in self._learning.items():
                each.data.copy_(kept.get_tensor(name))
                moments = {part: f"{_KEPT}{part}.{name}" for part in _MOMENTS}
                if set(moments.values()) <= set(kept.keys()):
                    state = {part: kept.get_tensor(key) for part, key in moments.items()}
                    self._optimizer.state[each] = {"step": torch.tensor(float(self.done)), **state}


STRETCH = 100
"""Steps from checkpoint to checkpoint."""

_KEPT, _MOMENTS = "optimizer.", ("exp_avg", "exp_avg_sq")


def autocast() -> torch.autocast:
    """Products in bfloat16 where the processor has instructions for it; without them it is ten times slower than float32."""
    known = torch.cpu.get_capabilities()
    return torch.autocast("cpu", torch.bfloat16, enabled=any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")))


def endless(count: int, rng: np.random.Generator) -> Iterator[int]:
    """Numbers below `count` in random order, again and again."""
    while True:
        yield from rng.permutation(count).tolist()
