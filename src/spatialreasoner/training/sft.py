"""Supervised fine-tuning on the chosen answers: TRL's trainer with our tokens and our checkpoints."""

from __future__ import annotations

from trl.trainer.sft_trainer import SFTTrainer

from spatialreasoner.training.checkpoints import SafeCheckpoints


class SftTrainer(SafeCheckpoints, SFTTrainer):
    """`SFTTrainer` whose checkpoints hold no pickle; give it an `SftCollator`."""
