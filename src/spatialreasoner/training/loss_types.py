"""Names of the losses beside the paper's, and what settings of them go together; the formulas are in `loss`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from spatialreasoner.core.errors import ConfigError

LossType = Literal["sigmoid", "sigmoid_norm", "robust", "hinge", "ipo", "simpo"]
"""The losses of the weighted margin; all but `simpo` are TRL's of the same names."""

LengthNormalization = Literal["none", "answer", "segment"]
"""What log-probabilities are divided by: nothing, the tokens of the answer, or the tokens of the segment."""

LOSS_TYPES: tuple[LossType, ...] = get_args(LossType)

PER_TOKEN: frozenset[str] = frozenset({"sigmoid_norm", "ipo", "simpo"})
"""Losses that are defined on log-probabilities per token of the answer."""


def check_loss(loss_type: str | Sequence[str], label_smoothing: float, gamma: float) -> None:
    """Refuse losses that are not known, and label smoothing where it would be ignored.

    Raises:
        ConfigError: If so.
    """
    names = [loss_type] if isinstance(loss_type, str) else loss_type
    if len(names) != 1 or names[0] not in LOSS_TYPES:
        raise ConfigError(f"expected one loss_type of {', '.join(LOSS_TYPES)}; got {', '.join(names)}")
    if not 0 <= label_smoothing < 0.5:
        raise ConfigError(f"label_smoothing is a share, 0 to below 0.5; got {label_smoothing}")
    if label_smoothing and names[0] in ("hinge", "ipo"):
        raise ConfigError(
            f"label_smoothing has no meaning for loss_type={names[0]}; leave it out, or use sigmoid, robust or simpo"
        )
    if not 0 <= gamma < float("inf"):
        raise ConfigError(f"simpo_gamma must not be negative, and must be finite; got {gamma}")
