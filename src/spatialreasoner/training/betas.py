"""The betas of a batch: by gaps, by weights that are given, and the base beta of what belongs to no segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spatialreasoner.training.loss import segment_betas, weighted_betas

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
