"""Training of vision-language models: SFT, DPO and fDPO.

Start at `loss` (the method, pure tensors), then `collate` (text to tokens and segments), `shared_prefix` (one forward for a
pair), `fdpo` (the trainer) and `run` (what `spatialreasoner train` calls). Importing this package imports nothing heavy.
"""

from typing import TYPE_CHECKING

from spatialreasoner.core.lazy import lazy

if TYPE_CHECKING:
    from spatialreasoner.training.config import read_config
    from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
    from spatialreasoner.training.loss import fdpo_loss, segment_betas, segment_logps
    from spatialreasoner.training.run import run_training

__all__ = ["FDPOConfig", "FDPOTrainer", "fdpo_loss", "read_config", "run_training", "segment_betas", "segment_logps"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "FDPOConfig": ".fdpo",
        "FDPOTrainer": ".fdpo",
        "fdpo_loss": ".loss",
        "read_config": ".config",
        "run_training": ".run",
        "segment_betas": ".loss",
        "segment_logps": ".loss",
        "train": ".run",  # for one version
    },
)
