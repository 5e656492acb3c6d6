"""What a training run is told: one frozen record a kind, read from YAML and ``key=value``, every unknown key refused."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Kind = Literal["sft", "dpo", "fdpo"]
C = TypeVar("C", bound="DataclassInstance")

MAX_BYTES = 2**20
"""A larger file of settings is refused."""

_LARGEST = 2**31
"""No setting that is a number comes near it."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings that every kind of training has; the defaults are the paper's for SFT (docs/papers.md 1.4).

    Attributes:
        epochs: How often the data is seen.
        max_steps: Stop after so many optimizer steps, whatever `epochs` says; 0 for no such limit.
        batch_size: Examples in one forward pass on one device.
        accumulation: Forward passes in one optimizer step.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        warmup: Share of the steps over which the learning rate rises.
        schedule: How it falls afterwards.
        max_grad_norm: Longest gradient; longer ones are scaled down to it.
        max_length: Longest prompt and answer together, tokens with the picture's; longer ones are refused, never cut.
            0 for no limit.
        precision: What the arithmetic runs in. `auto` is bfloat16 on a GPU that has it, else float32.
        gradient_checkpointing: Compute activations again in the backward pass: about a fifth slower, far less memory.
        freeze_vision: Leave the vision tower as it is.
        region_tokens: Give the model tokens for regions before it trains, if it has none (LLaVA and Qwen2.5-VL; see
            `vlm.regions`). With adapters the region encoder and the new tokens train as well.
        lora_rank: Rank of low-rank adapters on all linear layers of the language model; 0 trains all weights. The saved
            model is merged; the adapter lies beside it.
        lora_alpha: Scale of the adapters.
        lora_dropout: Dropout of the adapters.
        quantization: `4bit` keeps the frozen weights of the language model in four bits under the adapters (QLoRA; needs
            bitsandbytes). The saved model is the base in full precision with the adapters merged.
        save_steps: Optimizer steps between two checkpoints.
        keep_checkpoints: How many checkpoints stay.
        trust_pickles: Let DeepSpeed keep its checkpoints in its own way, as pickles, and go on from them. Whoever can write
            into the output folder can then run code; everything else is kept without pickles.
        seed: Decides the order of the data and all chance.
        threads: CPU threads; 0 leaves torch's choice.
        push_to_hub: A repository on the Hub, `owner/name`, that the finished folder is uploaded to; empty for none.
        report_to: Where metrics go beside `metrics.jsonl`.
        tiny_width: Width of the model that `--model tiny` builds.
        tiny_layers: Its layers.
        tiny_image: Side of its pictures, pixels; a multiple of 28.
        tiny_vocabulary: Its tokens beside the special ones.
    """

    epochs: float = 1.0
    max_steps: int = 0
    batch_size: int = 2
    accumulation: int = 4
    learning_rate: float = 4e-5
    weight_decay: float = 0.05
    warmup: float = 0.05
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    max_grad_norm: float = 1.0
    max_length: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    freeze_vision: bool = False
    region_tokens: bool = False
    lora_rank: int = 0
    lora_alpha: int = 256
    lora_dropout: float = 0.0
    quantization: Literal["none", "4bit"] = "none"
    save_steps: int = 500
    keep_checkpoints: int = 2
    trust_pickles: bool = False
    seed: int = 0
    threads: int = 0
    push_to_hub: str = ""
    report_to: Literal["none", "trackio", "wandb", "tensorboard"] = "none"
    tiny_width: int = 64
    tiny_layers: int = 2
    tiny_image: int = 84
    tiny_vocabulary: int = 1024

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: If a setting is out of range.
        """
        positive = ("epochs", "batch_size", "accumulation", "learning_rate", "max_grad_norm", "save_steps", "keep_checkpoints")
        for name in (*positive, "tiny_width", "tiny_layers", "tiny_image", "tiny_vocabulary"):
            if not 0 < getattr(self, name) < _LARGEST:
                raise ConfigError(f"{name} must be greater than 0, and finite; got {_brief(getattr(self, name))}")
        for name in ("max_steps", "weight_decay", "max_length", "lora_rank", "lora_alpha", "threads", "seed"):
            if not 0 <= getattr(self, name) < _LARGEST:
                raise ConfigError(f"{name} must not be negative, and be finite; got {_brief(getattr(self, name))}")
        _check_shares(self, "warmup", "lora_dropout")
        if self.tiny_image % 28:
            raise ConfigError(f"tiny_image must be a multiple of 28; got {self.tiny_image}")
        if self.quantization != "none" and not self.lora_rank:
            raise ConfigError("quantization=4bit trains adapters on frozen weights; give lora_rank=16 or the like with it")


@dataclass(frozen=True, kw_only=True)
class DpoConfig(TrainConfig):
    """Settings of DPO; the defaults are the paper's where it has any (docs/papers.md 1.4).

    Attributes:
        beta: The temperature (not in the paper; 0.1 is usual).
        markup: What becomes of tags and the end of turn: `base`, `drop` or `segment` (see `collate`).
        nll_weight: Weight of the chosen answer's negative log-likelihood, against likelihood displacement.
        shared_prefix: Picture and prompt once a pair.
        reference: `cached` computes the reference's log-probabilities once, `live` in every step.
    """

    batch_size: int = 1
    learning_rate: float = 1e-7
    beta: float = 0.1
    markup: Literal["base", "drop", "segment"] = "base"
    nll_weight: float = 0.0
    shared_prefix: bool = True
    reference: Literal["cached", "live"] = "cached"

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: If a setting is out of range.
        """
        super().__post_init__()
        if not 0 < self.beta < _LARGEST:
            raise ConfigError(f"beta must be greater than 0, and finite; got {self.beta}")
        if not 0 <= self.nll_weight < _LARGEST:
            raise ConfigError(f"nll_weight must not be negative, and be finite; got {self.nll_weight}")


@dataclass(frozen=True, kw_only=True)
class FdpoConfig(DpoConfig):
    """Settings of fDPO.

    Attributes:
        alpha: By how much of beta a segment's temperature may rise or fall, 0..1.
        lam: Sensitivity to the reward gaps, a unit of reward.
    """

    alpha: float = 0.3
    lam: float = 0.6

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: If a setting is out of range.
        """
        super().__post_init__()
        _check_shares(self, "alpha")
        if not 0 <= self.lam < _LARGEST:
            raise ConfigError(f"lam must not be negative, and be finite; got {self.lam}")


def _check_shares(config: TrainConfig, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) <= 1:
            raise ConfigError(f"{name} is a share, 0..1; got {getattr(config, name)}")


CONFIGS: Mapping[str, type[TrainConfig]] = {"sft": TrainConfig, "dpo": DpoConfig, "fdpo": FdpoConfig}
"""The settings of each kind of training."""


def read_config(kind: type[C], file: Path | None, overrides: Sequence[str]) -> C:
    """Read settings: the defaults, under a YAML file, under ``key=value``.

    Args:
        kind: The record to read.
        file: A YAML file with some of its fields, or None.
        overrides: ``key=value``, the value as in YAML.

    Raises:
        ConfigError: If a key is unknown or a value is not what its field takes.
        MissingFileError: If there is no such file.
    """
    from pydantic import TypeAdapter, ValidationError

    values = {} if file is None else _mapping(_yaml(_bounded(file), str(file)), str(file))
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"expected key=value; got {override[:80]!r}")
        values[key.strip()] = _number(_yaml(text, override))
    known = [each.name for each in fields(kind)]
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise ConfigError(f"unknown setting {key!r}; {hint}")
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if isinstance(cause := first.get("ctx", {}).get("error"), ConfigError):
            raise cause from None
        place, got = ".".join(map(str, first["loc"])), _brief(first["input"])
        raise ConfigError(f"setting {place}: {first['msg']}; got {got}") from None


def _brief(value: object) -> str:
    """A value in few words: one that anchors multiply is as large as they like, and a number may have too many digits."""
    shown = reprlib.Repr()
    shown.maxlevel = 2
    try:
        return shown.repr(value)
    except ValueError:
        return "a number of thousands of digits"


def _bounded(file: Path) -> bytes:
    size = records.require_file(file).stat().st_size
    if size > MAX_BYTES:
        raise ConfigError(f"{file}: expected settings of at most {MAX_BYTES} bytes; got {size}")
    return file.read_bytes()


def _yaml(text: str | bytes, where: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a number or a date that cannot be one
        raise ConfigError(f"{where[:200]}: not YAML: {' '.join(str(error).split())}") from None


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConfigError(f"{where}: expected settings, `key: value` a line; got {_brief(value)}")
    return value


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-3 as text, which nobody means."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
