"""Arguments of `FDPOTrainer`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from transformers.utils.import_utils import is_torch_bf16_gpu_available
from trl.trainer.dpo_config import DPOConfig

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.old_names import accepts_old_names
from spatialreasoner.training.loss_types import PER_TOKEN, LengthNormalization, check_loss
from spatialreasoner.training.old_names import with_new_names
from spatialreasoner.training.segments import SEGMENTS, SegmentsBy, check_finder, check_segments
from spatialreasoner.training.weights import check_weights

_Loss = Literal["fdpo", "dpo"]
_Division = Literal["auto", "none", "answer", "segment"]
_Markup = Literal["base", "drop", "segment"]
_CHOICES = {"loss": _Loss, "length_normalization": _Division, "segments_by": SegmentsBy, "markup": _Markup}

_FIXED = {
    "loss_weights": None,
    "ld_alpha": None,
    "f_divergence_type": "reverse_kl",
    "use_weighting": False,
    "padding_free": False,
    "pad_to_multiple_of": None,
    "pad_token": None,
    "sync_ref_model": False,
    "remove_unused_columns": False,
}
"""TRL's options that this loss does not support; any other value is refused rather than ignored."""


@accepts_old_names(with_new_names)
@dataclass
class FDPOConfig(DPOConfig):
    """Arguments of `FDPOTrainer`, in addition to those of `DPOConfig`; its `beta` is the mean of the segments' betas.

    Attributes:
        loss: "fdpo", or "dpo" for the same code path with the base beta for every segment.
        fdpo_alpha: The share of beta by which a segment's beta may rise or fall, 0..1 (paper: 0.3).
        fdpo_lambda: Sensitivity to the reward gaps (paper: 0.6 on scores of 0..8).
        loss_type: Function of the weighted margin to minimize: "sigmoid" (DPO), "sigmoid_norm" (per token), "robust",
            "hinge", "ipo", or "simpo", which has no reference (`loss.fdpo_loss` has the formulas).
        label_smoothing: Expected share of pairs whose sides are swapped (sigmoid, sigmoid_norm, robust, simpo).
        length_normalization: Divide log-probabilities by the tokens of the "answer" or of each "segment", or not ("none").
            "auto" is "answer" for sigmoid_norm, ipo and simpo, as in TRL, otherwise "none".
        simpo_gamma: SimPO's target margin (gamma).
        segments: Names of the segments; the dataset's columns `gap_<segment>` are their reward gaps.
        segment_weights: Weight of each segment, by its name. Weights replace the gaps, and betas are proportional to them. The
            dataset's columns `weight_<segment>` set them per pair, and take precedence.
        gap_columns: Columns of the gaps under other names, in the order of the segments; empty for `gap_<segment>`.
        segments_by: How segments are found in an answer: "tags" of their names, "headings" of their names, or a "pattern";
            "auto" is the LongCoT form for description and reasoning, otherwise tags. Columns `chosen_spans` and
            `rejected_spans` of a row take precedence.
        segment_pattern: The regular expression of `segments_by="pattern"`, with a group `(?P<segment>...)` for each segment.
        markup: How tokens outside of every segment count: tags and end of turn (see `collate`).
        nll_weight: Weight of the chosen response's mean negative log-likelihood per token, against likelihood displacement.
        shared_prefix: Compute each shared prefix of a batch (an image, a prompt, the common start of answers) once. An
            architecture that cannot do this falls back to two rows per pair, with a warning.
        group_window: Window of the shuffled epoch, in rows, within which rows that share images are put into the same batches
            (`grouping`); 0 leaves the order to TRL.
        precompute_ref_log_probs: Compute the reference's log-probabilities once before training, not in every step. Unlike
            in TRL, images are supported.
        reference_cache: The file of precomputed log-probabilities; `reference.jsonl` in the output folder by default.
        vision_cache: The folder of cached image features, used if the vision tower is frozen; `vision` in the output folder by
            default. It can be deleted after training.
        vision_cache_gib: Maximum size of that folder in GiB; features beyond it are computed in every step. 0 turns the cache
            off.
        max_length: Maximum length of prompt and answer together, in tokens. None: no limit.
        truncation_mode: How to handle longer pairs: "refuse" them, or "keep_start" and cut the rest, as TRL does, but never
            inside an image.
        bf16: Compute in bfloat16; None for TRL's default (on), except on devices that do not support it.
        remove_unused_columns: Must stay False: the collator reads the gaps.
    """

    loss: _Loss = "fdpo"
    fdpo_alpha: float = 0.3
    fdpo_lambda: float = 0.6
    length_normalization: _Division = "auto"
    simpo_gamma: float = 0.5
    segments: list[str] = field(default_factory=lambda: list(SEGMENTS))
    segment_weights: dict[str, float] | None = None
    gap_columns: list[str] = field(default_factory=list[str])
    segments_by: SegmentsBy = "auto"
    segment_pattern: str = ""
    markup: _Markup = "base"
    nll_weight: float = 0.0
    shared_prefix: bool = True
    group_window: int = 2**16
    reference_cache: str | None = None
    vision_cache: str | None = None
    vision_cache_gib: float = 8.0
    max_length: int | None = None
    truncation_mode: str = "refuse"
    enable_thinking: bool = False
    remove_unused_columns: bool = False

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ConfigError: If one is out of range, or an option of TRL is set that this loss does not support.
        """
        if self.bf16 is None and not (self.use_cpu or is_torch_bf16_gpu_available()):
            self.bf16 = False
        super().__post_init__()
        self.check()

    def check(self) -> None:
        """Refuse options that are out of range or that this loss does not support.

        Raises:
            ConfigError: If there is such an option.
        """
        for name, value in _FIXED.items():
            if getattr(self, name) != value:
                raise ConfigError(f"{name} must stay {value!r} with FDPOTrainer; got {getattr(self, name)!r}")
        for name, kind in _CHOICES.items():
            if getattr(self, name) not in get_args(kind):
                raise ConfigError(f"expected {name} to be one of {', '.join(get_args(kind))}; got {getattr(self, name)!r}")
        finite = all(map(math.isfinite, (self.beta, self.fdpo_lambda, self.nll_weight)))
        if not (finite and self.beta > 0 and 0 <= self.fdpo_alpha <= 1 and self.fdpo_lambda >= 0 and self.nll_weight >= 0):
            raise ConfigError(
                "expected beta > 0, fdpo_alpha in 0..1, fdpo_lambda >= 0 and nll_weight >= 0, all finite; got "
                f"beta={self.beta}, fdpo_alpha={self.fdpo_alpha}, fdpo_lambda={self.fdpo_lambda}, nll_weight={self.nll_weight}"
            )
        if not 0 <= self.vision_cache_gib < float("inf"):
            raise ConfigError(f"expected vision_cache_gib of 0 (off) or more GiB; got {self.vision_cache_gib}")
        if self.group_window < 0:
            raise ConfigError(f"expected group_window of 0 (off) or more rows; got {self.group_window}")
        if self.precompute_ref_log_probs and self.reference_free:
            self.precompute_ref_log_probs = False
        check_loss(self.loss_type, self.label_smoothing, self.simpo_gamma)
        self._check_segments()
        self._check_length()

    def _check_segments(self) -> None:
        check_segments(self.segments, self.gap_columns)
        if self.segment_weights is not None:
            check_weights(self.segment_weights, self.segments)
        check_finder(self.segments_by, self.segments, self.segment_pattern)

    def _check_length(self) -> None:
        if self.truncation_mode not in ("refuse", "keep_start"):
            raise ConfigError(
                f"truncation_mode must be 'refuse' or 'keep_start' with FDPOTrainer; got {self.truncation_mode!r}. A prompt "
                "cut at its start would differ between the answers of a pair"
            )
        if self.max_length is not None and self.max_length < 2:
            raise ConfigError(f"expected max_length of 2 or more tokens, or None; got {self.max_length}")

    @property
    def reference_free(self) -> bool:
        """Whether the loss has no reference."""
        return self.loss_type == ["simpo"]

    @property
    def normalization(self) -> LengthNormalization:
        """What log-probabilities are divided by."""
        if self.length_normalization != "auto":
            return self.length_normalization
        return "answer" if self.loss_type[0] in PER_TOKEN else "none"

    @property
    def reading(self) -> dict[str, str]:
        """What decides how rows become tokens and segments, where it is not the default."""
        names = ("segments_by", "segment_pattern", *(["max_length"] if self.truncation_mode == "keep_start" else []))
        defaults = {each.name: each.default for each in fields(self)}
        return {name: str(getattr(self, name)) for name in names if getattr(self, name) != defaults[name]}
