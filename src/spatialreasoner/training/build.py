"""From settings to a trainer that is ready to go."""

from __future__ import annotations

import atexit
import importlib.util
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate import PartialState
from transformers import set_seed
from transformers.trainer_callback import PrinterCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.sft_config import SFTConfig

from spatialreasoner.core.errors import ConfigError, MissingExtraError
from spatialreasoner.training.callbacks import MetricsFile, ReportProgress
from spatialreasoner.training.checkpoints import CheckpointDigests, StopAtTheLimit
from spatialreasoner.training.checks import check_rows, write_preview
from spatialreasoner.training.collate import Encoder, SftCollator
from spatialreasoner.training.config import DPOSettings, FDPOSettings, GRPOSettings, Kind, TrainSettings
from spatialreasoner.training.fdpo import FDPOConfig, FDPOTrainer
from spatialreasoner.training.grpo import GrpoTrainer, reward_functions
from spatialreasoner.training.grpo_data import with_regions_shown
from spatialreasoner.training.lora import find_targets, say_share
from spatialreasoner.training.refusals import refuse_family
from spatialreasoner.training.row_encoder import RowEncoder
from spatialreasoner.training.segments import finder
from spatialreasoner.training.sft import SftTrainer
from spatialreasoner.training.weights import parse_weights
from spatialreasoner.vlm.loading import load_adapter, load_text_model, load_vlm
from spatialreasoner.vlm.regions import adapter_options
from spatialreasoner.vlm.rendering import thinking_switches
from spatialreasoner.vlm.sources import config_of
from spatialreasoner.vlm.text_models import is_text_model

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin, Trainer, TrainerCallback

_PREFERENCE_OPTIONS = (
    {each.name for each in fields(FDPOSettings)} - {each.name for each in fields(TrainSettings)} - {"text_prompts"}
)

_LANGUAGE = r".*(language_model|text_model)"
"""Matches the names of the language model's modules, in every family."""

_EVALUATION: dict[str, Any] = {"eval_strategy": "steps", "metric_for_best_model": "eval_loss", "greater_is_better": False}
"""Evaluate whenever a checkpoint is saved, and keep the best one beside the last."""

_BY_REWARD: dict[str, Any] = {"metric_for_best_model": "eval_reward", "greater_is_better": True}


def build_trainer(
    kind: Kind, config: TrainSettings, base: str, rows: Dataset, out: Path, eval_rows: Dataset | None = None
) -> Trainer:
    """Load the model, check the rows and set the trainer up.

    Args:
        kind: The kind of training.
        config: Its settings.
        base: A folder or repository with the model to start from.
        rows: What `read_sft` or `read_preferences` gave.
        out: Where checkpoints and metrics go.
        eval_rows: Rows that are held out, or None.

    Raises:
        InputError: If the model cannot be loaded, or the rows would train wrongly.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    refuse_family(config_of(base).get("model_type"), pairs=kind != "sft")
    set_seed(config.seed)
    atexit.register(PartialState().destroy_process_group)  # where it is left open, the process that ends last may abort
    model, processor = _load(base, config)
    if config.freeze_vision:
        _freeze_vision(model)
    if isinstance(config, GRPOSettings):
        return _build_grpo(config, model, processor, rows, out, eval_rows)
    encoder = encoder_of(config, processor)
    ends = encoder.ends(model.generation_config.eos_token_id)
    model.generation_config.eos_token_id = ends[0] if len(ends) == 1 else ends  # also what is learned here, for any server
    check_data(kind, config, encoder, rows, eval_rows)
    if kind != "sft" and PartialState().is_main_process:
        write_preview(out / "preview.html", encoder, rows)
    common: dict[str, Any] = {
        "processing_class": processor,
        "train_dataset": _for(processor, rows),
        "eval_dataset": None if eval_rows is None else _for(processor, eval_rows),
        "peft_config": lora_config(config, model),
        "callbacks": _callbacks(kind, out),
    }
    arguments = _arguments(config, out) | (_EVALUATION if eval_rows is not None else {})
    if kind == "sft":
        trainer: Trainer = SftTrainer(model, SFTConfig(**arguments), data_collator=SftCollator(encoder), **common)
    else:
        options = {name: value for name, value in asdict(config).items() if name in _PREFERENCE_OPTIONS}
        options |= {"segments": [*options["segments"]], "gap_columns": []}  # rows were read under the segments' names
        options["max_length"] = config.max_length or None
        options["segment_weights"] = parse_weights(str(options.get("segment_weights", "")))
        options["enable_thinking"] = config.enable_thinking
        options["disable_dropout"] = config.lora_dropout == 0  # TRL would switch the adapters' off as well
        loss = "dpo" if kind == "dpo" else "fdpo"
        trainer = FDPOTrainer(model, args=FDPOConfig(loss=loss, **arguments | options), **common)
    trainer.remove_callback(PrinterCallback)
    if config.quantization != "none":
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:  # TRL rounds adapters on quantized weights to bfloat16, where small steps are lost
                parameter.data = parameter.data.float()
    _check_spread(trainer, config, rows)
    return trainer


def _build_grpo(
    config: GRPOSettings, model: PreTrainedModel, processor: ProcessorMixin, rows: Dataset, out: Path, eval_rows: Dataset | None
) -> Trainer:
    own = bool(getattr(model.config, "region_tokens", False))
    if config.regions == "tokens" and not own:
        raise ConfigError(
            "regions=tokens needs a model with region tokens; this one has none. Use marks, or region_tokens=true"
        )
    tokens = own if config.regions == "auto" else config.regions == "tokens"
    functions, weights = reward_functions(config.rewards)
    arguments: dict[str, Any] = _arguments(config, out) | (_EVALUATION | _BY_REWARD if eval_rows is not None else {})
    del arguments["max_length"]
    trainer = GrpoTrainer(
        model,
        processing_class=processor,
        reward_funcs=functions,
        train_dataset=with_regions_shown(rows, out / "images", tokens=tokens),
        eval_dataset=None if eval_rows is None else with_regions_shown(eval_rows, out / "images", tokens=tokens),
        peft_config=lora_config(config, model),
        callbacks=_callbacks("grpo", out),
        args=GRPOConfig(
            reward_weights=weights,
            num_generations=config.num_generations,
            max_completion_length=config.max_completion_length,
            temperature=config.temperature,
            beta=config.grpo_beta,
            loss_type=config.grpo_loss,
            chat_template_kwargs=thinking_switches(processor, thinking=config.enable_thinking),
            **arguments,
        ),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _callbacks(kind: Kind, out: Path) -> list[TrainerCallback]:
    return [MetricsFile(out / "metrics.jsonl"), ReportProgress(f"train {kind}"), CheckpointDigests(), StopAtTheLimit()]


def _for(processor: Any, rows: Dataset) -> Dataset:
    """The rows; those of a text model without the column of images, which TRL takes for a sign of some."""
    return rows if hasattr(processor, "tokenizer") else rows.remove_columns("images")


def encoder_of(config: TrainSettings, processor: ProcessorMixin | PreTrainedTokenizerBase) -> Encoder:
    """What turns rows into tokens by the settings."""
    if not isinstance(config, DPOSettings):
        return Encoder(processor, max_length=config.max_length or None, enable_thinking=config.enable_thinking)
    return RowEncoder(
        processor,
        segments=config.segments,
        spans=finder(config.segments_by, config.segments, config.segment_pattern),
        markup=config.markup,
        max_length=config.max_length or None,
        truncates=config.truncation_mode == "keep_start",
        enable_thinking=config.enable_thinking,
    )


def check_data(kind: Kind, config: TrainSettings, encoder: Encoder, rows: Dataset, held_out: Dataset | None) -> None:
    """Refuse rows that cannot be trained on, as the model will read them (`checks.check_rows`)."""
    check_rows(kind, encoder, rows, weighed=bool(getattr(config, "segment_weights", "")))
    if held_out is not None:
        check_rows("sft" if kind == "sft" else "dpo", encoder, held_out, name="the held-out data")


def _check_spread(trainer: Trainer, config: TrainSettings, rows: Dataset) -> None:
    """Refuse what cannot train where the weights are spread over processes."""
    if trainer.is_deepspeed_enabled and not config.trust_pickles:
        raise ConfigError(
            "DeepSpeed keeps its checkpoints as pickles, which are read only on request: set trust_pickles=true, or spread the "
            "model by examples/accelerate/fsdp2.yaml, whose checkpoints hold none"
        )
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        refuse_mixed_rows(rows)


def refuse_mixed_rows(rows: Dataset) -> None:
    """Refuse rows with and without images side by side, for models whose weights are spread over processes.

    A process whose batch has no image leaves the vision tower out, and the others would wait for its part of the weights.

    Raises:
        ConfigError: If some rows have images and others none.
    """
    without = sum(not images for images in rows["images"])
    if 0 < without < len(rows):
        raise ConfigError(
            f"{without} of {len(rows)} rows have no image: processes that hold parts of the vision tower would wait for "
            "each other forever. Give every row an image, leave these rows out, or train with examples/accelerate/ddp.yaml"
        )


def _arguments(config: TrainSettings, out: Path) -> dict[str, Any]:
    """The settings in the words of transformers."""
    cuda = torch.cuda.is_available()
    return {
        "output_dir": str(out),
        "num_train_epochs": config.num_train_epochs,
        "max_steps": config.max_steps or -1,
        "per_device_train_batch_size": config.per_device_train_batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation_steps,
        "learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay,
        "warmup_steps": config.warmup_ratio,  # below 1 it is a share of all steps
        "lr_scheduler_type": config.lr_scheduler_type,
        "max_grad_norm": config.max_grad_norm,
        "router_aux_loss_coef": config.router_aux_loss_coef,
        "max_length": None,  # the encoder refuses what is too long; TRL would cut it
        "bf16": _half(config),
        "use_cpu": not cuda,
        "activation_checkpointing": config.gradient_checkpointing,
        "save_steps": config.save_steps,
        "eval_steps": config.save_steps,
        "per_device_eval_batch_size": config.per_device_train_batch_size,
        "save_total_limit": config.save_total_limit,
        "logging_steps": 1,
        "seed": config.seed,
        "data_seed": config.seed,
        "report_to": config.report_to,
        "disable_tqdm": True,
        "dataloader_pin_memory": cuda,
        "remove_unused_columns": False,
    }


def stored_precision(config: TrainSettings) -> str:
    """In what weights are kept: frozen ones lose nothing by half precision, those that train keep small changes in float32."""
    return "bfloat16" if _half(config) and (config.lora_r or config.adapter == "continue") else "float32"


def _quantization(config: TrainSettings) -> dict[str, Any]:
    """The arguments of `load` for four-bit weights: those of the language model only, so that images are seen as before."""
    if config.quantization == "none":
        return {}
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtraError(
            "quantization=4bit needs bitsandbytes, which is not installed: pip install 'spatialreasoner[qlora]'. "
            "It is fast only on CUDA; on a CPU, use it just to try things out"
        )
    from transformers import BitsAndBytesConfig

    dtype = getattr(torch, stored_precision(config))
    four_bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_storage=dtype,  # FSDP spreads weights of one kind alone
        llm_int8_skip_modules=[f"(?!{_LANGUAGE}).*"],
    )
    return {"quantization_config": four_bits}


def _load(base: str, config: TrainSettings) -> tuple[PreTrainedModel, ProcessorMixin]:
    precision, options = stored_precision(config), _quantization(config)
    if config.adapter == "continue":
        kept: Any = load_adapter(base, precision=precision, trainable=True, **options)
        model, processor = kept
    elif is_text_model(base):
        text: Any = load_text_model(base, precision=precision, **options)
        model, processor = text
    else:
        model, processor = load_vlm(base, precision=precision, **options)
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # bitsandbytes packs weights for speed when a model evaluates, and would then train on with wrong gradients
            cast("Any", module).support_avx512bf16_for_cpu = False
    return model, processor


def _half(config: TrainSettings) -> bool:
    supported = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return config.precision == "bfloat16" or (config.precision == "auto" and supported)


def lora_config(config: TrainSettings, model: PreTrainedModel) -> LoraConfig | None:
    """Low-rank adapters on the linear layers of the language model, or None; region tokens train beside them."""
    if not config.lora_r:
        return None
    from peft import LoraConfig

    # PEFT cannot drop out what experts are given
    experts = config.lora_experts and config.lora_dropout == 0 and config.quantization == "none"
    targets = find_targets(model, vision=config.lora_vision, experts=experts)
    say_share(targets)
    return LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=targets.modules,
        target_parameters=targets.parameters or None,
        fan_in_fan_out=targets.transposed,
        **adapter_options(model),
    )


def _freeze_vision(model: PreTrainedModel) -> None:
    for name, parameter in model.named_parameters():
        if "vision" in name or "visual" in name:
            parameter.requires_grad = False
