"""Supervised fine-tuning on the chosen answers: TRL's trainer with our tokens and our checkpoints."""

from __future__ import annotations

from typing import Any

from trl.trainer.sft_trainer import SFTTrainer

from spatialreasoner.training.checkpoints import SafeCheckpoints


class SftTrainer(SafeCheckpoints, SFTTrainer):
    """`SFTTrainer` whose checkpoints hold no pickle; give it an `SftCollator`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        head: Any = self.accelerator.unwrap_model(self.model).get_output_embeddings()
        if not hasattr(head, "bias"):
            head.bias = None  # TRL's loss reads it, and PEFT hides it where rows of the head train
