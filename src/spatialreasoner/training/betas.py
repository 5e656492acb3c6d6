"""The betas of a batch: by gaps, by weights that are given, and the base beta of what belongs to no segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spatialreasoner.training.config import DPOSettings, FDPOSettings
from spatialreasoner.training.loss import segment_betas, weighted_betas
from spatialreasoner.training.weights import parse_weights, segment_weights

if TYPE_CHECKING:
    from jaxtyping import Float

    from spatialreasoner.training.fdpo_config import FDPOConfig


def betas_of(batch: Mapping[str, Tensor | Any], args: FDPOConfig) -> Float[Tensor, "pairs all_segments"]:
    """The beta of each segment of each pair; the last column, where markup has the base beta, is that.

    Args:
        batch: What `PairCollator` packs: `gaps`, and perhaps `weights`.
        args: The options.
    """
    weighs = args.loss == "fdpo"
    alpha = args.fdpo_alpha if weighs else 0.0
    betas = segment_betas(batch["gaps"], beta=args.beta, alpha=alpha, lam=args.fdpo_lambda)
    if weighs and "weights" in batch:
        betas = weighted_betas(betas, batch["weights"], beta=args.beta)
    base = betas.new_full((len(betas), int(args.markup == "base")), args.beta)
    return torch.cat([betas, base], dim=1)


def betas_of_row(config: DPOSettings, row: Mapping[str, Any], gaps: Sequence[float]) -> list[float]:
    """The beta of each segment of one pair.

    Args:
        config: The settings; plain DPO's are the same for all segments.
        row: The pair, which may have weights of its own.
        gaps: Its gaps, NaN for one that is unscored.
    """
    if not isinstance(config, FDPOSettings):
        return [config.beta] * len(gaps)
    found = segment_betas(torch.tensor([list(gaps)]), beta=config.beta, alpha=config.fdpo_alpha, lam=config.fdpo_lambda)
    weights = segment_weights(row, config.segments, parse_weights(config.segment_weights))
    return (weighted_betas(found, torch.tensor([weights]), beta=config.beta) if weights else found)[0].tolist()
