"""A model is tried on the first rows, before the first step: its head, and whether it may share prefixes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import is_peft_model
from torch import Tensor

from spatialreasoner.training.forward import use_whole_forward
from spatialreasoner.training.shared_prefix import disable_shared_prefix
from spatialreasoner.training.sharing import cannot_share, disagreement, head_disagreement, plain_logps, probes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    _Base = Any
else:
    _Base = object

logger = logging.getLogger(__name__)


def unwrapped(model: Any) -> PreTrainedModel:
    """The transformers model inside wrappers (DDP, compile, PEFT)."""
    from accelerate.utils import extract_model_from_parallel

    model = extract_model_from_parallel(model)
    return model.get_base_model() if is_peft_model(model) else model


class TriesFirstRows(_Base):
    """Mixed into the trainer of pairs, before it: what cannot be trusted is done the slower way, and a warning says why."""

    def _try_out(self, model: Any) -> bool:
        """Try the model on some rows before the first step: first its head alone, then sharing; warns of what cannot be.

        Returns:
            Whether prefixes are shared.
        """
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad(), self.accelerator.autocast():
                examples = probes(self.train_dataset)
                batches = [self._collated([each]) for each in examples]
                known = {"pad_token_id": self.pad_token_id}
                plain = plain_logps(model, unwrapped(self.model), batches, **known)
                self._try_head(
                    head_disagreement(model, unwrapped(self.model), batches, plain, precision=self._precision, **known)
                )
                return self.args.shared_prefix and self._try_sharing(model, self._collated(examples), plain)
        finally:
            model.train(was_training)

    def _collated(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return self.on_device(self.data_collator(list(examples)))

    def _try_head(self, reason: str) -> None:
        if self._everywhere(not reason):
            return
        for each in filter(None, (self.model, self.ref_model)):
            use_whole_forward(unwrapped(each))
        logger.warning(
            "%s computes its logits in its own way: %s. Training continues with its full forward pass, correct, but with "
            "the logits of prompts in memory too.",
            type(unwrapped(self.model)).__name__,
            reason or "so it is in another process",
        )

    def _try_sharing(self, model: Any, batch: dict[str, Any], plain: Tensor) -> bool:
        """Whether this architecture may share prefixes, by its structure and tried on some pairs; warns if it may not."""
        own = unwrapped(self.model)
        try:
            reason = cannot_share(own) or disagreement(model, own, batch, plain, precision=self._precision)
        except (TypeError, ValueError, RuntimeError, AttributeError, IndexError, KeyError) as error:
            reason = f"its forward pass failed: {error}"
        if self._everywhere(not reason):
            return True
        for each in filter(None, (self.model, self.ref_model)):
            disable_shared_prefix(unwrapped(each))
        logger.warning(
            "%s cannot share prefixes: %s. Training continues with two rows per pair, correct but slower; "
            "shared_prefix=False silences this.",
            type(own).__name__,
            reason or "it cannot in another process",
        )
        return False

    def _everywhere(self, holds: bool) -> bool:
        """Whether something holds in every process."""
        return bool(self.accelerator.gather(torch.tensor([holds], device=self.accelerator.device)).all())

    @property
    def _precision(self) -> torch.dtype:
        """What the arithmetic runs in."""
        if self.args.bf16 or self.args.fp16:
            return torch.bfloat16 if self.args.bf16 else torch.float16
        return unwrapped(self.model).dtype
