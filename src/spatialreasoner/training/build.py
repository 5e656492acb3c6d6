"""From settings to a trainer that is ready to go."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from transformers import set_seed
from transformers.trainer_callback import PrinterCallback
from trl.trainer.sft_config import SFTConfig

from spatialreasoner.models.loading import load
from spatialreasoner.training.callbacks import MetricsFile, ProgressBar
from spatialreasoner.training.checks import check, write_preview
from spatialreasoner.training.collate import Encoder, SftCollator
from spatialreasoner.training.config import FdpoConfig, Kind, TrainConfig
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.sft import SftTrainer

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PreTrainedModel, Trainer

_PREFERENCE_OPTIONS = {each.name for each in fields(FdpoConfig)} - {each.name for each in fields(TrainConfig)}


def build_trainer(kind: Kind, config: TrainConfig, base: str, rows: Dataset, out: Path) -> Trainer:
    """Load the model, check the rows and set the trainer up.

    Args:
        kind: The kind of training.
        config: Its settings.
        base: A folder or repository with the model to start from.
        rows: What `read_sft` or `read_preferences` gave.
        out: Where checkpoints and metrics go.

    Raises:
        InputError: If the model cannot be loaded, or the rows would train wrongly.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    set_seed(config.seed)
    # Frozen weights lose nothing by half precision; weights that train keep their small changes in float32
    model, processor = load(base, precision="bfloat16" if _half(config) and config.lora_rank else "float32")
    if config.freeze_vision:
        _freeze_vision(model)
    encoder = Encoder(processor, max_length=config.max_length or None)
    check(kind, encoder, rows)
    if kind != "sft" and PartialState().is_main_process:
        write_preview(out / "preview.html", encoder, rows)
    common: dict[str, Any] = {
        "processing_class": processor,
        "train_dataset": rows,
        "peft_config": _adapters(config),
        "callbacks": [MetricsFile(out / "metrics.jsonl"), ProgressBar(f"train {kind}")],
    }
    arguments = _arguments(config, out)
    if kind == "sft":
        trainer: Trainer = SftTrainer(model, SFTConfig(**arguments), data_collator=SftCollator(encoder), **common)
    else:
        options = {name: value for name, value in asdict(config).items() if name in _PREFERENCE_OPTIONS}
        options["disable_dropout"] = config.lora_dropout == 0  # TRL would switch the adapters' off as well
        trainer = FDPOTrainer(model, FDPOConfig(loss=kind, **options, **arguments), **common)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(config: TrainConfig, out: Path) -> dict[str, Any]:
    """The settings in the words of transformers."""
    cuda = torch.cuda.is_available()
    return {
        "output_dir": str(out),
        "num_train_epochs": config.epochs,
        "max_steps": config.max_steps or -1,
        "per_device_train_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.accumulation,
        "learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay,
        "warmup_steps": config.warmup,  # below 1 it is a share of all steps
        "lr_scheduler_type": config.schedule,
        "max_grad_norm": config.max_grad_norm,
        "max_length": None,  # the encoder refuses what is too long; TRL would cut it
        "bf16": _half(config),
        "use_cpu": not cuda,
        "activation_checkpointing": config.gradient_checkpointing,
        "save_steps": config.save_steps,
        "save_total_limit": config.keep_checkpoints,
        "logging_steps": 1,
        "seed": config.seed,
        "data_seed": config.seed,
        "report_to": config.report_to,
        "disable_tqdm": True,
        "dataloader_pin_memory": cuda,
        "remove_unused_columns": False,
    }


def _half(config: TrainConfig) -> bool:
    supported = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return config.precision == "bfloat16" or (config.precision == "auto" and supported)


def _adapters(config: TrainConfig) -> LoraConfig | None:
    """Low-rank adapters on the linear layers of the language model, or None."""
    if not config.lora_rank:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=r".*(language_model|text_model).*\.(q|k|v|o|gate|up|down)_proj",
    )


def _freeze_vision(model: PreTrainedModel) -> None:
    for name, parameter in model.named_parameters():
        if "vision" in name or "visual" in name:
            parameter.requires_grad = False
