"""Every training setting with its default and what it does, by subject: the list that `train --help` prints."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

from spatialreasoner.training.config import CONFIGS, Kind

SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "Optimization": (
        "num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate",
        "weight_decay", "warmup_ratio", "lr_scheduler_type", "max_grad_norm", "router_aux_loss_coef", "seed",
    ),
    "Preferences (dpo, fdpo)": (
        "segments", "gap_columns", "segments_by", "segment_pattern", "text_prompts",
        "beta", "fdpo_alpha", "fdpo_lambda", "segment_weights", "loss_type", "label_smoothing", "length_normalization",
        "simpo_gamma", "markup", "nll_weight",
    ),
    "Rewards and samples (grpo)": (
        "rewards", "num_generations", "max_completion_length", "temperature", "grpo_beta", "grpo_loss", "regions",
    ),
    "Model": (
        "freeze_vision", "region_tokens", "lora_r", "lora_alpha", "lora_dropout", "lora_vision", "lora_experts", "adapter",
        "quantization", "precision", "enable_thinking",
    ),
    "Speed and memory": (
        "max_length", "truncation_mode",
        "gradient_checkpointing", "shared_prefix", "group_window", "precompute_ref_log_probs", "vision_cache_gib",
        "threads",
    ),
    "Checkpoints and logs": ("save_steps", "save_total_limit", "trust_pickles", "push_to_hub", "report_to"),
}  # fmt: skip
"""Settings by subject; what is not listed here comes under "Other"."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        name: Its key.
        defaults: Its default by kind of training; kinds that lack it are absent.
        text: What it does, one paragraph.
    """

    name: str
    defaults: Mapping[Kind, object]
    text: str

    @property
    def default(self) -> str:
        """The default in words: one value, or one per kind where kinds differ."""
        if len(set(map(str, self.defaults.values()))) == 1:
            return str(next(iter(self.defaults.values())))
        return ", ".join(f"{value} ({kind})" for kind, value in self.defaults.items())


def settings() -> dict[str, list[Setting]]:
    """All settings of all kinds of training, by subject."""
    defaults: dict[str, dict[Kind, object]] = {}
    texts: dict[str, str] = {}
    for kind, config in cast("Mapping[Kind, type[Any]]", CONFIGS).items():
        for parent in reversed(config.__mro__):
            texts |= _attributes(parent)
        for each in fields(config):
            defaults.setdefault(each.name, {})[kind] = each.default
    found = {name: Setting(name=name, defaults=kinds, text=texts.get(name, "")) for name, kinds in defaults.items()}
    listed = {subject: [found.pop(name) for name in names if name in found] for subject, names in SUBJECTS.items()}
    return listed | ({"Other": list(found.values())} if found else {})


_ATTRIBUTE = re.compile(r"^(\w+): (.*(?:\n[ \t]+.*)*)", re.MULTILINE)


def _attributes(kind: type) -> dict[str, str]:
    """The attributes that a class's own docstring explains."""
    _, _, listed = inspect.cleandoc(kind.__dict__.get("__doc__") or "").partition("Attributes:\n")
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(inspect.cleandoc(listed))}
