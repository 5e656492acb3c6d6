"""Where TRL's and transformers' private parts are touched: the base of `FDPOTrainer`, tried with the releases of `TRIED`.

TRL's trainer prepares rows, tokenizes them and loads a reference in its own way. Here that is switched off, so that `fdpo` has
ordinary methods alone: what rows it trains on, how a batch's loss comes about, in what order rows come.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from transformers import AutoProcessor
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.utils import get_config_model_id

from spatialreasoner.training.checkpoints import SafeCheckpoints
from spatialreasoner.training.fdpo_config import FDPOConfig

if TYPE_CHECKING:
    from torch.utils.data import Sampler
    from transformers import PreTrainedModel

TRIED = ("1.16.0",)
"""Releases of TRL with which the tests were run."""


def as_fdpo(args: DPOConfig | None, model: Any) -> FDPOConfig:
    """The options of a trainer that was given TRL's, or none.

    Args:
        args: Options. TRL's own keep their meaning: what is longer than `max_length` is cut. None for the defaults.
        model: What is trained, or its name; it names the output folder of the defaults.

    Raises:
        ConfigError: If an option has no place in fDPO.
    """
    if isinstance(args, FDPOConfig):
        return args
    if args is None:
        name = model if isinstance(model, str) else str(get_config_model_id(model.config) or type(model).__name__)
        return FDPOConfig(output_dir=f"{name.rstrip('/').split('/')[-1]}-FDPO")
    found = FDPOConfig.__new__(FDPOConfig)
    for each in fields(FDPOConfig):  # values that TRL has worked out already are not worked out again
        default = each.default if each.default_factory is MISSING else each.default_factory()
        setattr(found, each.name, getattr(args, each.name, default))
    vars(found).update(vars(args))
    found.remove_unused_columns = False
    found.check()
    return found


def processor_of(model: Any, args: FDPOConfig) -> Any:
    """The processor or tokenizer from where a model is from."""
    if not isinstance(model, str):
        return AutoProcessor.from_pretrained(get_config_model_id(model.config), trust_remote_code=args.trust_remote_code)
    given: Mapping[str, Any] = cast("Any", args.model_init_kwargs) or {}
    return AutoProcessor.from_pretrained(model, revision=given.get("revision"), trust_remote_code=args.trust_remote_code)


class PairTrainer(SafeCheckpoints, DPOTrainer):
    """TRL's trainer without its own preparation of rows and its own references.

    Args:
        model: A model, or where to load one from.
        reference: The reference, or None where there is none to hold; ignored unless `ours`.
        ours: Whether the reference is `reference`; otherwise TRL makes one (of a model by name, or the model without its
            adapter).
        args: The options.
        kwargs: Further arguments of `DPOTrainer`.
    """

    args: FDPOConfig

    def __init__(self, model: Any, reference: Any, *, ours: bool, args: FDPOConfig, **kwargs: Any) -> None:
        without_ours = copy.copy(args)
        without_ours.precompute_ref_log_probs = False  # TRL's own refuses images
        ref_model = _Absent(cast("PreTrainedModel", model).config) if ours else reference
        super().__init__(model=model, ref_model=cast("Any", ref_model), args=without_ours, **kwargs)

    @property
    def pad_token_id(self) -> int:
        """What fills rows."""
        return cast("int", self._tokenizer.pad_token_id)

    def train_sampler(self, dataset: Any) -> Sampler[int] | None:
        """The order of rows, or None to leave it to TRL."""
        del dataset
        return None

    def log_means(self, rows: Mapping[str, Tensor]) -> None:
        """Log the mean of each value [pairs] over all processes, with the next log of training or evaluation."""
        means = self.accelerator.gather(torch.stack(list(rows.values()), dim=1)).mean(0).tolist()
        mode = "train" if self.model.training else "eval"
        for name, mean in zip(rows, means, strict=True):
            self._metrics[mode][name].append(mean)

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """Rows as they are: the collator reads texts, and TRL would make tokens of them a second time."""
        del args, kwargs
        return dataset

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        found = self.train_sampler(self.train_dataset if train_dataset is None else train_dataset)
        return super()._get_train_sampler(train_dataset) if found is None else found


class _Absent(torch.nn.Module):
    """Stands where TRL would load a second model: the trainer holds its own, or none. It is gone when training starts."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.nothing = torch.nn.Parameter(torch.zeros(1))  # DeepSpeed asks a model for the type of its first weight
