"""Names that settings had before they took those of transformers and TRL. They are accepted for one version, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.old_names import to_new_names
from spatialreasoner.testing.names import TINY_SIZES, sized, tiny_named

OLD_NAMES: Mapping[str, str] = {
    "epochs": "num_train_epochs",
    "batch_size": "per_device_train_batch_size",
    "accumulation": "gradient_accumulation_steps",
    "warmup": "warmup_ratio",
    "schedule": "lr_scheduler_type",
    "keep_checkpoints": "save_total_limit",
    "lora_rank": "lora_r",
    "alpha": "fdpo_alpha",
    "lam": "fdpo_lambda",
    "reference": "precompute_ref_log_probs",
}
"""The old name of each setting and its name now."""

OLD_SIZES: Mapping[str, str] = {
    "tiny_width": "width",
    "tiny_layers": "layers",
    "tiny_image": "image_size",
    "tiny_vocabulary": "vocabulary",
}
"""Sizes of the tiny model were settings of every run; they are now part of its name (`testing.names`)."""

_REFERENCES = {"cached": True, "live": False}


def with_new_names(values: Mapping[str, Any], *, quiet: bool = False) -> dict[str, Any]:
    """Settings under today's names.

    Args:
        values: Settings under old or new names.
        quiet: No warning: the names are those of a saved run, which its user cannot change.

    Raises:
        ConfigError: If a setting is given under both of its names.
    """
    renamed = to_new_names(values, OLD_NAMES, quiet=quiet, stacklevel=4)
    if "reference" in values:
        renamed[OLD_NAMES["reference"]] = _REFERENCES.get(str(values["reference"]), values["reference"])
    return renamed


def sizes_into_name(model: str, overrides: Sequence[str]) -> tuple[str, list[str]]:
    """The model and the overrides, with old settings for the size of a tiny model moved into the model's name.

    Raises:
        ConfigError: If a size is not a number, or out of range.
    """
    sizes: dict[str, int] = {}
    rest: list[str] = []
    for override in overrides:
        name, _, value = override.partition("=")
        if name not in OLD_SIZES:
            rest.append(override)
        elif not value.strip().isdecimal() or len(value) > len(str(2**31)):
            raise ConfigError(f"{name} must be a whole number greater than 0; got {value[:40]!r}")
        else:
            sizes[OLD_SIZES[name]] = int(value)
    tiny = tiny_named(model)
    if not sizes or tiny is None:
        return model, rest
    named = str(sized(tiny, sizes))
    warnings.warn(f"the size of a tiny model is now part of its name: model={named!r}", FutureWarning, stacklevel=3)
    return named, rest


def comparable(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a run, new or saved by the last version, in a form that two records of the same run share."""
    sizes = {new: record[old] for old, new in OLD_SIZES.items() if old in record}
    same = with_new_names({name: value for name, value in record.items() if name not in OLD_SIZES}, quiet=True)
    tiny = tiny_named(str(record.get("model")))
    if tiny is not None:
        same["model"] = {"family": tiny.family} | {name: sizes.get(name, getattr(tiny, name)) for name in TINY_SIZES}
    return same
