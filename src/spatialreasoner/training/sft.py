"""Supervised fine-tuning on the chosen answers: TRL's trainer with this package's tokens and checkpoints."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl.trainer.sft_trainer import SFTTrainer

from spatialreasoner.training.batch_statistics import hold_batch_statistics
from spatialreasoner.training.compat_trl import SafeCheckpoints, count_tokens_from
from spatialreasoner.training.own_head import use_own_head
from spatialreasoner.training.refusals import refuse_family
from spatialreasoner.training.router import refuse_silent_router
from spatialreasoner.training.trying import unwrapped


class SftTrainer(SafeCheckpoints, SFTTrainer):
    """`SFTTrainer` whose checkpoints hold no pickle and whose logs are those of an unbroken run; give it an `SftCollator`."""

    def __init__(self, model: Any, *args: Any, **kwargs: Any) -> None:
        if not isinstance(model, str):
            refuse_family(model.config.model_type, pairs=False)
        own = None if isinstance(model, str) else unwrapped(model).forward
        super().__init__(model, *args, **kwargs)
        hold_batch_statistics(unwrapped(self.model))
        if self.aux_loss_enabled:
            refuse_silent_router(unwrapped(self.model), self.router_aux_loss_coef)
        head: Any = self.accelerator.unwrap_model(self.model).get_output_embeddings()
        if not hasattr(head, "bias"):
            head.bias = None  # TRL's loss reads it, and PEFT hides it where rows of the head train
        if own is not None:
            use_own_head(unwrapped(self.model), own, router=self.aux_loss_enabled)
        self.add_callback(_CountTokensOn(self))


class _CountTokensOn(TrainerCallback):
    """Continues the count of tokens seen from the checkpoint's history; TRL restarts it whenever training is resumed."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Put the count back."""
        counts = [entry["num_tokens"] for entry in state.log_history if "num_tokens" in entry]
        if counts:
            count_tokens_from(self._trainer, int(counts[-1]))
