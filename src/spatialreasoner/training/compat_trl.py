"""Where private methods of TRL's and transformers' trainers are overridden, and nowhere else; tried with releases in `TRIED`.

`SafeCheckpoints` is for every trainer, `PairTrainer` the base of `FDPOTrainer`. TRL's DPO trainer prepares rows, tokenizes
them and loads a reference in its own way. Here that is switched off, so that `fdpo` has ordinary methods alone: what rows it
trains on, how a batch's loss comes about, in what order rows come.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from transformers import AutoProcessor, PreTrainedModel
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.utils import get_config_model_id

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.outputs import apply_umask
from spatialreasoner.training.checkpoints import (
    OPTIMIZER,
    SCALER,
    SCHEDULE,
    SHARDED,
    check_shapes,
    fitting,
    load_state,
    random_state,
    save_state,
    set_random_state,
)
from spatialreasoner.training.fdpo_config import FDPOConfig
from spatialreasoner.training.sharding import gathered_state, prepare_plugin, spread_state
from spatialreasoner.vlm.adapters import adapter_folder
from spatialreasoner.vlm.loading import load_adapter
from spatialreasoner.vlm.processors import load_processor
from spatialreasoner.vlm.safety import refuse_pickles

if TYPE_CHECKING:
    from torch.utils.data import Sampler

    _Base = Any
else:
    _Base = object

TRIED = ("1.16.0",)
"""Releases of TRL with which all tests pass. Under 1.15.0 `FDPOTrainer` passes its own; TRL's trainers, SFT among them, need
Triton there, which a CPU lacks."""


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
    """The processor or tokenizer from where a model is from; without torchvision, one that reads images alone."""
    given: Mapping[str, Any] = cast("Any", args.model_init_kwargs) or {}
    source = model if isinstance(model, str) else get_config_model_id(model.config)
    revision = given.get("revision") if isinstance(model, str) else None
    try:
        return AutoProcessor.from_pretrained(source, revision=revision, trust_remote_code=args.trust_remote_code)
    except (ImportError, ValueError):
        if revision is not None or args.trust_remote_code:
            raise
        return load_processor(source)


def merged_adapter(model: Any, args: FDPOConfig, quantization: Any) -> tuple[Any, Any]:
    """What a name of an adapter's folder stands for: its base with the adapter merged into it, and the processor.

    Args:
        model: A model, or its name; whatever is not an adapter's is left to TRL.
        args: The options.
        quantization: Quantization of a model that is loaded by name.

    Raises:
        ConfigError: If the adapter cannot be loaded, or its base is to be quantized.
    """
    if not isinstance(model, str) or adapter_folder(model) is None:
        return model, None
    if quantization is not None:
        raise ConfigError(f"{model} is an adapter, which is merged into its base; that needs weights that are not quantized")
    given: dict[str, Any] = dict(cast("Any", args.model_init_kwargs) or {})
    precision = str(given.pop("dtype", None) or "float32").removeprefix("torch.")
    return cast("tuple[Any, Any]", load_adapter(model, precision=precision, **given))


class SafeCheckpoints(_Base):
    """Mixed into a trainer, before it: its checkpoints hold no pickle, and it reads none.

    Attributes:
        saved_processor: The processor that is saved with the model; None for the one that the trainer uses.
    """

    saved_processor: Any = None

    def _wrap_model(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        if self.is_fsdp_enabled:
            prepare_plugin(model, self.accelerator)
        return super()._wrap_model(model, *args, **kwargs)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        model = self.model if model is None else model
        refuse_pickles(resume_from_checkpoint)
        if self.is_fsdp_enabled:
            return  # the weights come with the optimizer's states
        if not isinstance(model, PreTrainedModel):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        # save_pretrained writes some families (LLaVA) under their old names; the trainer's own loader does not translate
        # them back, warns, and would continue from the weights of the start
        saved = type(model).from_pretrained(resume_from_checkpoint, dtype=model.dtype, use_safetensors=True)
        model.load_state_dict(saved.state_dict())

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if self.is_deepspeed_enabled:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        sharded = self.is_fsdp_enabled
        state = gathered_state(self.model, self.optimizer) if sharded else self.optimizer.state_dict()
        if self.args.should_save:
            save_state(Path(output_dir) / (SHARDED if sharded else OPTIMIZER), state)
            records.write_json(Path(output_dir) / SCHEDULE, self.lr_scheduler.state_dict())

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or self.is_deepspeed_enabled:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        refuse_pickles(checkpoint)
        with fitting(checkpoint):
            if self.is_fsdp_enabled:
                spread_state(self.model, self.optimizer, load_state(Path(checkpoint) / SHARDED))
            else:
                state = load_state(Path(checkpoint) / OPTIMIZER)
                check_shapes(self.optimizer, state)
                self.optimizer.load_state_dict(state)
            self.lr_scheduler.load_state_dict(json.loads((Path(checkpoint) / SCHEDULE).read_text()))

    def _save_scaler(self, output_dir: str) -> None:
        if self.args.should_save and getattr(self.accelerator, "scaler", None) is not None:
            records.write_json(Path(output_dir) / SCALER, self.accelerator.scaler.state_dict())

    def _load_scaler(self, checkpoint: str | None) -> None:
        if checkpoint is not None and (Path(checkpoint) / SCALER).is_file():
            self.accelerator.scaler.load_state_dict(json.loads((Path(checkpoint) / SCALER).read_text()))

    def _save_rng_state(self, output_dir: str) -> None:
        Path(output_dir).mkdir(parents=True, exist_ok=True)  # a process may come here before the first one saved
        save_state(self._rng_path(output_dir), random_state())

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None and self._rng_path(checkpoint).is_file():
            set_random_state(load_state(self._rng_path(checkpoint)))

    def _rng_path(self, folder: str) -> Path:
        return Path(folder) / f"rng_state_{self.args.process_index}.safetensors"

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card of TRL's in checkpoints; the run writes its own at the end."""

    def _send_telemetry(self) -> None:
        """TRL reports each run to its makers; this program reports nothing to anybody."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        used = self.processing_class
        self.processing_class = used if self.saved_processor is None else self.saved_processor
        super()._save(output_dir, state_dict=state_dict)
        self.processing_class = used
        if self.args.should_save:  # other processes come here too, perhaps before the one that writes has made the folder
            folder = Path(output_dir or self.args.output_dir)
            (folder / "training_args.bin").unlink(missing_ok=True)
            apply_umask(folder)


def count_tokens_from(trainer: Any, count: int) -> None:
    """Let an `SFTTrainer` count the tokens it has seen from a number on."""
    trainer._total_train_tokens = count


class PairTrainer(SafeCheckpoints, DPOTrainer):
    """TRL's trainer without its own preparation of rows and its own references.

    Args:
        model: A model, or where to load one from.
        reference: The reference, or None if there is none to hold; ignored unless `own_reference`.
        own_reference: Whether the reference is `reference`; otherwise TRL makes one (of a model by name, or the model without
            its adapter).
        args: The options.
        kwargs: Further arguments of `DPOTrainer`.
    """

    args: FDPOConfig

    def __init__(self, model: Any, reference: Any, *, own_reference: bool, args: FDPOConfig, **kwargs: Any) -> None:
        if reference is model and reference is not None:
            raise ConfigError("`model` and `ref_model` cannot be the same object; leave ref_model out for a copy of the model")
        its_args = copy.copy(args)
        its_args.precompute_ref_log_probs = False  # TRL's own refuses images
        ref_model = _Absent(cast("PreTrainedModel", model).config) if own_reference else reference
        super().__init__(model=model, ref_model=cast("Any", ref_model), args=its_args, **kwargs)
        if not any(parameter.requires_grad for parameter in cast("torch.nn.Module", self.model).parameters()):
            raise ConfigError(
                "no weight of the model trains, so nothing can be learned; load an adapter with is_trainable=True "
                "(PeftModel.from_pretrained), or give peft_config"
            )

    @property
    def pad_token_id(self) -> int:
        """What fills rows."""
        return cast("int", self._tokenizer.pad_token_id)

    def on_device(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A batch where the model is."""
        return cast("dict[str, Any]", self._prepare_inputs(dict(batch)))

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
    """Used where TRL would load a second model: the trainer holds its own, or none. It is gone when training starts."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.nothing = torch.nn.Parameter(torch.zeros(1))  # DeepSpeed asks a model for the type of its first weight
