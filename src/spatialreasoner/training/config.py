"""Settings of a training run: one frozen record per kind, read from YAML and ``key=value``; unknown keys are refused."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.loss_types import LossType, check_loss
from spatialreasoner.training.old_names import OLD_NAMES, OLD_SIZES, with_new_names
from spatialreasoner.training.segments import SEGMENTS, SegmentsBy, check_finder, check_segments
from spatialreasoner.training.setting_values import in_brief, key_and_value, read_values
from spatialreasoner.training.weights import parse_weights

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Kind = Literal["sft", "dpo", "fdpo", "grpo"]
_C = TypeVar("_C", bound="DataclassInstance")

_LARGEST = 2**31
"""No setting that is a number comes near it."""

_POSITIVE = (
    "num_train_epochs",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "max_grad_norm",
    "save_steps",
    "save_total_limit",
)


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings common to all kinds of training; the defaults are the paper's for SFT (docs/papers.md 1.4).

    Attributes:
        num_train_epochs: Passes over the data.
        max_steps: Stop after this many optimizer steps, whatever `num_train_epochs` says; 0 for no limit.
        per_device_train_batch_size: Examples per forward pass and device.
        gradient_accumulation_steps: Forward passes per optimizer step.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        warmup_ratio: Share of the steps over which the learning rate rises.
        lr_scheduler_type: Learning-rate schedule after the warm-up.
        max_grad_norm: Maximum gradient norm; larger gradients are scaled down to it.
        max_length: Maximum length of prompt and answer together, in tokens, image tokens included; longer
            examples are refused, or cut (see `truncation_mode`). 0 for no limit.
        enable_thinking: The answers begin with thinking, which is trained as well, and the chat template turns thinking on.
            Otherwise the chat template turns it off.
        precision: Arithmetic precision. `auto` is bfloat16 on a GPU that supports it, otherwise float32.
        gradient_checkpointing: Recompute activations in the backward pass: about 20% slower, far less memory.
        freeze_vision: Do not train the vision tower.
        region_tokens: Add region tokens to a model that has none before training it (LLaVA, Qwen2.5-VL, Qwen3-VL, InternVL; see
            `vlm.regions`). With adapters the region encoder and the new tokens train as well.
        lora_r: Rank of LoRA adapters on all linear layers of the language model; 0 trains all weights. The saved
            model is merged; the adapter is saved beside it.
        lora_alpha: Scale of the adapters.
        lora_dropout: Dropout of the adapters.
        lora_vision: Put adapters on the linear layers of vision tower and projector as well.
        lora_experts: Put adapters on experts that are stored as one parameter, as in most mixture-of-experts models; not
            possible with `lora_dropout` or 4-bit weights. The share of weights covered by adapters is logged before the first
            step.
        adapter: How to train a model that is an adapter: `merge` it into its base, all of which then trains (or new
            adapters do, with `lora_r`), or `continue` training it, with its frozen start as the reference.
        router_aux_loss_coef: Weight of the load-balancing loss of a mixture-of-experts model; none for the weight in the
            model's configuration.
        quantization: `4bit` keeps the frozen weights of the language model in four bits under the adapters (QLoRA; needs
            bitsandbytes). The saved model is the base in full precision with the adapters merged.
        save_steps: Optimizer steps between two checkpoints.
        save_total_limit: Number of checkpoints to keep.
        trust_pickles: Let DeepSpeed write its checkpoints, which are pickles, and resume from them. Anyone who can write to the
            output folder can then run code. Everything else is saved without pickles.
        seed: Seed of the data order and of all other randomness.
        threads: CPU threads; 0 for torch's default.
        push_to_hub: Repository on the Hub, `owner/name`, to upload the finished folder to; empty for none.
        report_to: Where to send metrics in addition to `metrics.jsonl`.
    """

    num_train_epochs: float = 1.0
    max_steps: int = 0
    per_device_train_batch_size: int = 2
    gradient_accumulation_steps: int = 4
    learning_rate: float = 4e-5
    weight_decay: float = 0.05
    warmup_ratio: float = 0.05
    lr_scheduler_type: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    max_grad_norm: float = 1.0
    max_length: int = 0
    enable_thinking: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    freeze_vision: bool = False
    region_tokens: bool = False
    lora_r: int = 0
    lora_alpha: int = 256
    lora_dropout: float = 0.0
    lora_vision: bool = False
    lora_experts: bool = True
    adapter: Literal["merge", "continue"] = "merge"
    router_aux_loss_coef: float | None = None
    quantization: Literal["none", "4bit"] = "none"
    save_steps: int = 500
    save_total_limit: int = 2
    trust_pickles: bool = False
    seed: int = 0
    threads: int = 0
    push_to_hub: str = ""
    report_to: Literal["none", "trackio", "wandb", "tensorboard"] = "none"

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: If a setting is out of range.
        """
        for name in _POSITIVE:
            if not 0 < getattr(self, name) < _LARGEST:
                raise ConfigError(f"{name} must be greater than 0 and finite; got {in_brief(getattr(self, name))}")
        for name in ("max_steps", "weight_decay", "max_length", "lora_r", "lora_alpha", "threads", "seed"):
            if not 0 <= getattr(self, name) < _LARGEST:
                raise ConfigError(f"{name} must not be negative, and must be finite; got {in_brief(getattr(self, name))}")
        if not 0 <= (self.router_aux_loss_coef or 0) < _LARGEST:
            raise ConfigError(f"router_aux_loss_coef must not be negative, and must be finite; got {self.router_aux_loss_coef}")
        _check_shares(self, "warmup_ratio", "lora_dropout")
        if self.quantization != "none" and not self.lora_r and self.adapter != "continue":
            raise ConfigError("quantization=4bit trains adapters on frozen weights; add lora_r=16 or another rank")
        if self.adapter == "continue" and self.lora_r:
            raise ConfigError(
                "adapter=continue trains the adapter that the model is, at its own rank: leave lora_r out. For new adapters on "
                "top of it, use adapter=merge"
            )


@dataclass(frozen=True, kw_only=True)
class DPOSettings(TrainSettings):
    """Settings of DPO; the defaults are the paper's where it has any (docs/papers.md 1.4).

    Attributes:
        segments: Names of the segments, such as `plan,answer`.
        gap_columns: Columns of the segments' gaps, in their order; empty for `gap_<segment>`.
        segments_by: How segments are found in an answer: `tags` or `headings` of their names, or a `pattern`; `auto` is the
            LongCoT form for description and reasoning, otherwise tags. Columns `chosen_spans` and `rejected_spans` take
            precedence.
        segment_pattern: The regular expression of `segments_by=pattern`, with a group `(?P<segment>...)` for each segment.
        text_prompts: How to handle prompts and answers given as plain strings: as turns of a `chat`, or as `plain` text without
            a chat template.
        truncation_mode: How to handle pairs longer than `max_length`: `refuse` them, or `keep_start` and cut the rest, but
            never inside an image.
        beta: DPO's beta (not in the paper; 0.1 is usual).
        loss_type: Function of the weighted margin to minimize: `sigmoid` (DPO), `sigmoid_norm` (per token), `robust`,
            `hinge`, `ipo`, or `simpo`, which has no reference.
        label_smoothing: Expected share of pairs whose sides are swapped, for sigmoid, sigmoid_norm, robust and simpo.
        length_normalization: Divide log-probabilities by the tokens of the `answer` or of each `segment`, or not (`none`).
            `auto` is `answer` for sigmoid_norm, ipo and simpo, otherwise `none`.
        simpo_gamma: SimPO's target margin (gamma).
        markup: How tags and the end of turn count: `base`, `drop` or `segment` (see `collate`).
        nll_weight: Weight of the chosen answer's negative log-likelihood, against likelihood displacement.
        shared_prefix: Compute each shared prefix of a batch once: an image, a prompt, the common start of answers.
        group_window: Window of the shuffled epoch, in rows, within which rows that share images are put into the same batches;
            0 keeps the shuffled order.
        precompute_ref_log_probs: Compute the reference's log-probabilities once before training, not in every step.
        vision_cache_gib: Maximum size of the folder `vision`, a cache of image features used if the vision tower is frozen; 0
            turns it off.
    """

    per_device_train_batch_size: int = 1
    learning_rate: float = 1e-7
    segments: tuple[str, ...] = SEGMENTS
    gap_columns: tuple[str, ...] = ()
    segments_by: SegmentsBy = "auto"
    segment_pattern: str = ""
    text_prompts: Literal["chat", "plain"] = "chat"
    truncation_mode: Literal["refuse", "keep_start"] = "refuse"
    beta: float = 0.1
    loss_type: LossType = "sigmoid"
    label_smoothing: float = 0.0
    length_normalization: Literal["auto", "none", "answer", "segment"] = "auto"
    simpo_gamma: float = 0.5
    markup: Literal["base", "drop", "segment"] = "base"
    nll_weight: float = 0.0
    shared_prefix: bool = True
    group_window: int = 2**16
    precompute_ref_log_probs: bool = True
    vision_cache_gib: float = 8.0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: If a setting is out of range.
        """
        super().__post_init__()
        if not 0 < self.beta < _LARGEST:
            raise ConfigError(f"beta must be greater than 0 and finite; got {self.beta}")
        check_loss(self.loss_type, self.label_smoothing, self.simpo_gamma)
        check_segments(self.segments, self.gap_columns)
        check_finder(self.segments_by, self.segments, self.segment_pattern)
        if self.truncation_mode == "keep_start" and not self.max_length:
            raise ConfigError("truncation_mode=keep_start cuts at max_length: set max_length as well")
        if not 0 <= self.vision_cache_gib < _LARGEST:
            raise ConfigError(f"vision_cache_gib must not be negative, and must be finite; got {self.vision_cache_gib}")
        if not 0 <= self.group_window < _LARGEST:
            raise ConfigError(f"group_window must not be negative, and must be finite; got {self.group_window}")
        if not 0 <= self.nll_weight < _LARGEST:
            raise ConfigError(f"nll_weight must not be negative, and must be finite; got {self.nll_weight}")


@dataclass(frozen=True, kw_only=True)
class FDPOSettings(DPOSettings):
    """Settings of fDPO.

    Attributes:
        fdpo_alpha: The share of beta by which a segment's beta may rise or fall, 0..1.
        fdpo_lambda: Sensitivity to the reward gaps, per unit of reward.
        segment_weights: Weight of each segment, such as `description:1,reasoning:3`. Weights replace the gaps, and betas are
            proportional to them. Columns `weight_<segment>` of the data set them per pair, and take precedence.
    """

    fdpo_alpha: float = 0.3
    fdpo_lambda: float = 0.6
    segment_weights: str = ""

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: If a setting is out of range.
        """
        super().__post_init__()
        _check_shares(self, "fdpo_alpha")
        if not 0 <= self.fdpo_lambda < _LARGEST:
            raise ConfigError(f"fdpo_lambda must not be negative, and must be finite; got {self.fdpo_lambda}")
        parse_weights(self.segment_weights)


@dataclass(frozen=True, kw_only=True)
class GRPOSettings(TrainSettings):
    """Settings of GRPO with the verified reward.

    Attributes:
        rewards: Rewards to maximize: `total`, a segment (`description`, `reasoning`), one of the four rewards or a part of one
            (`logical.conclusion`), or several with weights, such as `description:1,reasoning:2`.
        num_generations: Completions per question, whose rewards are compared with each other.
        max_completion_length: Maximum number of tokens per completion; longer ones are cut off.
        temperature: Sampling temperature.
        grpo_beta: KL coefficient (TRL's `beta`); 0 loads no reference model.
        grpo_loss: TRL's loss type, which decides how tokens and completions are weighted: `dapo`, `grpo`, `bnpo` or `dr_grpo`.
        regions: How regions are shown to the model. auto: region tokens for models that have them, otherwise marks.
    """

    per_device_train_batch_size: int = 8
    learning_rate: float = 1e-6
    weight_decay: float = 0.0
    lr_scheduler_type: Literal["cosine", "linear", "constant_with_warmup"] = "constant_with_warmup"
    rewards: str = "total"
    num_generations: int = 8
    max_completion_length: int = 512
    temperature: float = 1.0
    grpo_beta: float = 0.0
    grpo_loss: Literal["dapo", "grpo", "bnpo", "dr_grpo"] = "dapo"
    regions: Literal["auto", "marks", "tokens"] = "auto"

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: If a setting is out of range.
        """
        super().__post_init__()
        for name in ("max_completion_length", "temperature"):
            if not 0 < getattr(self, name) < _LARGEST:
                raise ConfigError(f"{name} must be greater than 0 and finite; got {in_brief(getattr(self, name))}")
        if not 0 <= self.grpo_beta < _LARGEST:
            raise ConfigError(f"grpo_beta must not be negative, and must be finite; got {self.grpo_beta}")
        completions = self.per_device_train_batch_size * self.gradient_accumulation_steps
        if self.num_generations < 2 or completions % self.num_generations:
            raise ConfigError(
                f"num_generations must be 2 or more, and divide the {completions} completions of a step "
                f"(per_device_train_batch_size x gradient_accumulation_steps); got {self.num_generations}"
            )
        if not parse_weights(",".join(piece if ":" in piece else f"{piece}:1" for piece in self.rewards.split(","))):
            raise ConfigError("rewards must name at least one reward; `total` is the default")


def _check_shares(config: TrainSettings, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) <= 1:
            raise ConfigError(f"{name} is a share, 0..1; got {getattr(config, name)}")


CONFIGS: Mapping[str, type[TrainSettings]] = {
    "sft": TrainSettings,
    "dpo": DPOSettings,
    "fdpo": FDPOSettings,
    "grpo": GRPOSettings,
}
"""The settings of each kind of training."""


def read_config(kind: type[_C], file: Path | None, overrides: Sequence[str]) -> _C:
    """Read settings: the defaults, under a YAML file, under ``key=value``.

    Args:
        kind: The record to read.
        file: A YAML file with some of its fields, or None.
        overrides: ``key=value``, the value as in YAML.

    Raises:
        ConfigError: If a key is unknown or a value is not what its field takes.
        MissingFileError: If the file does not exist.
    """
    from pydantic import TypeAdapter, ValidationError

    values = {} if file is None else read_values(file)
    given = dict(key_and_value(override) for override in overrides)
    if issubclass(kind, TrainSettings):
        values, given = with_new_names(values), with_new_names(given)
    values |= given
    known = [each.name for each in fields(kind)]
    for key in values:
        if key not in known:
            raise ConfigError(f"unknown setting {key!r}; {_hint(key, known)}")
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if isinstance(cause := first.get("ctx", {}).get("error"), ConfigError):
            raise cause from None
        place, got = ".".join(map(str, first["loc"])), in_brief(first["input"])
        raise ConfigError(f"setting {place}: {first['msg']}; got {got}") from None


def _hint(key: str, known: Sequence[str]) -> str:
    if key in OLD_SIZES:
        return f"name the size of a tiny model with the model: testing:llava,{OLD_SIZES[key]}=N"
    now = {**{old: new for old, new in OLD_NAMES.items() if new in known}, **{name: name for name in known}}
    close = difflib.get_close_matches(key, now, n=1)
    return f"did you mean {now[close[0]]!r}?" if close else f"the settings are {', '.join(known)}"
