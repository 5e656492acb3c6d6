"""`spatialreasoner train`: from a file of rows and the name of a model to a folder with the trained one."""

from __future__ import annotations

import importlib.util
import math
import os
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, InputError, MissingExtraError, SpatialReasonerError, WorkError
from spatialreasoner.core.old_names import importable_by_old_names
from spatialreasoner.core.outputs import apply_umask
from spatialreasoner.core.resume import hold
from spatialreasoner.testing.names import TINY_SIZES, TinyModel, tiny_named
from spatialreasoner.training.card import write_card
from spatialreasoner.training.checks import check_gaps, preview, problems_of
from spatialreasoner.training.config import CONFIGS, DPOSettings, FDPOSettings, GRPOSettings, Kind, TrainSettings, read_config
from spatialreasoner.training.data import Also, messages_of, read_preferences, read_sft
from spatialreasoner.training.grpo_data import read_grpo
from spatialreasoner.training.messages import message_text
from spatialreasoner.training.old_names import sizes_into_name
from spatialreasoner.training.processes import main_process_first
from spatialreasoner.training.provenance import SETTINGS_FILE, describe_data, describe_files, is_finished
from spatialreasoner.training.sources import LINES, local_rows
from spatialreasoner.vlm.safety import telling_of
from spatialreasoner.vlm.sources import source_of

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.text import Text
    from transformers import Trainer


def run_training(
    kind: Kind,
    *,
    model: str,
    data: Path,
    out: Path,
    eval_data: Path | None = None,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
) -> None:
    """Train a model. Call it again with the same arguments to resume from the last checkpoint.

    Args:
        kind: `sft`, `dpo`, `fdpo` or `grpo`.
        model: `nano`, a folder, `hf:` and a folder or repository, or `testing:FAMILY`, a tiny model whose tokenizer is
            trained on the data (see `testing.names`; `tiny` is `testing:llava`).
        data: `sft.jsonl` for SFT, `pairs.jsonl` for DPO and fDPO, questions with their scenes for GRPO; or rows of other
            programs (`row_forms`), also in other files, in folders of `datasets`, or on the Hub by name (`sources`).
        out: Where the model goes, with `training.json` (settings), `metrics.jsonl`, `README.md`,
            the checkpoints, and for pairs `preview.html`: the first ones as tokens, segments in colours.
        eval_data: Rows of the same form that are not trained on: their loss, and for pairs margins and accuracies of each
            segment, are logged at each checkpoint, and the card names the checkpoint with the least loss. None for none.
        config_file: A YAML file with settings, or None.
        overrides: Settings as ``key=value``, over the file.

    Raises:
        InputError: If data, model or settings are wrong.
        MissingExtraError: If the training libraries are not installed.
        WorkError: If the training fails.
    """
    model, overrides = sizes_into_name(model, overrides)
    config = read_config(CONFIGS[kind], config_file, overrides)
    data, eval_data = _local(data, out / "data"), None if eval_data is None else _local(eval_data, out / "data")
    record = {"model": model, "data": describe_data(data), **asdict(config)}
    if eval_data is not None:
        record["eval_data"] = describe_data(eval_data)
    is_finished(out, kind, record)  # another run is refused before rows and images are read
    require_extra()
    also = partial(_as_read, kind, config, model)
    rows = read_rows(config, data, images=out / "data" / "images", also=also)
    held_out = None if eval_data is None else read_rows(config, eval_data, images=out / "data" / "images", also=also)
    record |= describe_files(model, rows, held_out)
    if is_finished(out, kind, record):
        return
    with _working(out):
        _train(kind, config, record, model=model, rows=rows, held_out=held_out, out=out)


@contextmanager
def _working(out: Path) -> Generator[None]:
    """Keep other runs out of the folder, and tell what goes wrong while writing to it; of a run's processes the first holds it.

    Raises:
        WorkError: If another run works in it, or it cannot be written to.
    """
    first = os.environ.get("RANK", "0") == "0"
    try:
        with records.writing(out), hold(out / ".lock", out) if first else nullcontext():
            yield
    except Exception as error:
        # how the libraries in Rust that save weights and tokenizers report a full disk
        if isinstance(error, SpatialReasonerError) or "(os error " not in str(error):
            raise
        raise WorkError(f"cannot write to {out}: {error}; check the folder and the disk's free space") from error


def _train(
    kind: Kind,
    config: TrainSettings,
    record: dict[str, Any],
    *,
    model: str,
    rows: Dataset,
    held_out: Dataset | None,
    out: Path,
) -> None:
    from spatialreasoner.training.build import build_trainer
    from spatialreasoner.training.callbacks import history

    base = _resolve(model, rows, out, config)
    with warnings.catch_warnings():
        # TRL reads names that transformers has renamed
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing", category=FutureWarning)
        trainer = build_trainer(kind, config, base, rows, out, held_out)
        records.write_config(out, f"train {kind}", record, name=SETTINGS_FILE)
        _fit(trainer, out)
        _save(trainer, out, base, config)
    if trainer.is_world_process_zero():
        logged = history(trainer.state)
        last = next((entry for entry in reversed(logged) if "loss" in entry), {})
        best = _best(kind, logged)
        write_card(out, kind=kind, base=model, data=record["data"], config=asdict(config), metrics=last, best=best)
        if config.push_to_hub:
            _push(out, config.push_to_hub)
    trainer.accelerator.wait_for_everyone()


def _best(kind: Kind, logged: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What was logged of held-out rows where they did best: by reward, or else by loss."""
    name, sign = ("eval_reward", -1) if kind == "grpo" else ("eval_loss", 1)
    return min((entry for entry in logged if name in entry), key=lambda entry: sign * entry[name], default={})


def dry_run(
    kind: Kind,
    *,
    model: str,
    data: Path,
    eval_data: Path | None = None,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    show: Callable[[Text], None] | None = None,
) -> str:
    """A sentence that describes what `train` would do with these settings and rows; loads no model and writes nothing.

    Args:
        kind: `sft`, `dpo` or `fdpo`.
        model: As in `train`.
        data: The rows.
        eval_data: Rows that are held out, or None.
        config_file: A YAML file with settings, or None.
        overrides: Settings as ``key=value``, over the file.
        show: Given the first three pairs as the trainer would see them: tokens, segments in colours, gaps and betas. The
            model's tokenizer is loaded for it. None for nothing.

    Raises:
        InputError: If data or settings are wrong, or the model is one that is not installed.
        MissingExtraError: If the training libraries are not installed.
    """
    model, overrides = sizes_into_name(model, overrides)
    config = read_config(CONFIGS[kind], config_file, overrides)
    require_extra()
    if tiny_named(model) is None:
        source_of(model)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rows = read_rows(config, _local(data, place), images=place)
        others = None if eval_data is None else read_rows(config, _local(eval_data, place), images=place)
        if isinstance(config, FDPOSettings) and not config.segment_weights:
            check_gaps(config.segments, rows)
        if show is not None and kind != "grpo":
            _look(kind, config, _processor(model, rows, place, config.seed), rows, others, show)
    held_out = "" if others is None else f" and {len(others)} rows held out"
    batch_size, accumulation = config.per_device_train_batch_size, config.gradient_accumulation_steps
    repeats = getattr(config, "num_generations", 1)
    batches = math.ceil(len(rows) * repeats / batch_size)
    steps = config.max_steps or math.ceil(config.num_train_epochs * math.ceil(batches / accumulation))
    return (
        f"{kind} of {model} on {len(rows)} rows{held_out}: in one process {steps} steps of {batch_size} x {accumulation} rows, "
        f"learning rate {config.learning_rate:g}, a checkpoint every {config.save_steps} steps"
    )


def require_extra() -> None:
    """Make sure that what training needs is installed.

    Raises:
        MissingExtraError: If it is not.
    """
    for name in ("datasets", "peft", "trl"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(f"training needs {name}, which is not installed: pip install 'spatialreasoner[train]'")


def _resolve(model: str, rows: Dataset, out: Path, config: TrainSettings) -> str:
    """A folder or repository that transformers can load."""
    tiny = tiny_named(model)
    source = source_of(model) if tiny is None else _build_tiny(tiny, rows, out, config.seed)
    return _started(source, out / "start", config)


def _started(source: str, folder: Path, config: TrainSettings) -> str:
    """The model that training starts from, on disk where it is not the given one and new adapters name it as their base.

    Region tokens are added to it where they are asked for, and an adapter is merged that new ones are put on top of.
    """
    from spatialreasoner.vlm.adapters import adapter_folder
    from spatialreasoner.vlm.loading import load_vlm
    from spatialreasoner.vlm.regions import add_region_tokens, has_region_tokens

    adds_tokens = config.region_tokens and not has_region_tokens(source)
    is_adapter = adapter_folder(source) is not None
    if config.adapter == "continue" and (not is_adapter or adds_tokens):
        raise ConfigError(
            f"adapter=continue needs a model that is an adapter, and takes no new region tokens; got {source!r}"
            + (" with region_tokens=true" if is_adapter else ", which is not an adapter")
        )
    if not adds_tokens and not (is_adapter and config.lora_r):
        return source
    with main_process_first():
        if not (folder / "processor_config.json").is_file():  # saved last
            model, processor = load_vlm(source, precision="auto")
            if adds_tokens:
                model, processor = add_region_tokens(model, processor, seed=config.seed)
            model.save_pretrained(folder)
            apply_umask(folder)
            processor.save_pretrained(folder)
    return str(folder)


def _build_tiny(tiny: TinyModel, rows: Iterable[Any], out: Path, seed: int) -> str:
    """Build the tiny model; its tokenizer is trained on the rows."""
    from spatialreasoner.testing.tiny_models import build_tiny

    folder = out / "tiny"
    sizes = {name: getattr(tiny, name) for name in TINY_SIZES}
    with main_process_first():
        if not (folder / "processor_config.json").is_file():  # saved last
            texts = (message_text(message) for row in rows for message in messages_of(row))
            build_tiny(tiny.family, folder, texts, seed=seed, **sizes)
    return str(folder)


def read_rows(config: TrainSettings, data: Path, *, images: Path, also: Also | None = None) -> Dataset:
    """Read the rows of a file by the settings.

    Args:
        config: The settings.
        data: The file.
        images: The folder for images that rows hold as bytes.
        also: What else is wrong with rows, where some are bad already.
    """
    if isinstance(config, GRPOSettings):
        return read_grpo(data)
    if not isinstance(config, DPOSettings):
        return read_sft(data, images=images, also=also)
    plain = config.text_prompts == "plain"
    return read_preferences(
        data, segments=config.segments, gap_columns=config.gap_columns, plain=plain, images=images, also=also
    )


def _as_read(kind: Kind, config: TrainSettings, model: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[int, InputError]:
    """What the model's own processor has against rows; nothing if it cannot be loaded, which is reported later."""
    from spatialreasoner.training.build import encoder_of

    with tempfile.TemporaryDirectory() as folder, suppress(InputError, MissingExtraError):
        return problems_of(kind, encoder_of(config, _processor(model, rows, Path(folder), config.seed)), rows)
    return {}


def _processor(model: str, rows: Iterable[Any], folder: Path, seed: int) -> Any:
    """A model's processor alone; that of a tiny model is made in the folder."""
    from spatialreasoner.vlm.processors import load_processor

    tiny = tiny_named(model)
    source = source_of(model) if tiny is None else _build_tiny(tiny, rows, folder, seed)
    with telling_of(source):
        return load_processor(source)


def _local(data: Path, folder: Path) -> Path:
    """The rows as a file of lines; of several processes the first writes it."""
    if data.is_file() and data.suffix in LINES:
        return data
    require_extra()
    with main_process_first():
        return local_rows(data, folder)


def _look(
    kind: Kind, config: TrainSettings, processor: Any, rows: Dataset, held_out: Dataset | None, show: Callable[[Text], None]
) -> None:
    """Read all rows as the trainer would, and show the first pairs with their betas."""
    from spatialreasoner.training.betas import betas_of_row
    from spatialreasoner.training.build import check_data, encoder_of

    encoder = encoder_of(config, processor)
    check_data(kind, config, encoder, rows, held_out)
    if isinstance(config, DPOSettings):
        show(preview(encoder, rows, betas=partial(betas_of_row, config)))


def _fit(trainer: Trainer, out: Path) -> None:
    from spatialreasoner.training.checkpoints import AtTheLimit, latest_checkpoint

    checkpoint = latest_checkpoint(out)
    try:
        with suppress(AtTheLimit):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except RuntimeError as error:  # torch's own, out of memory among them
        raise WorkError(
            f"training failed: {error}. If memory ran out, lower per_device_train_batch_size and raise "
            "gradient_accumulation_steps"
        ) from error


def _save(trainer: Trainer, out: Path, base: str, config: TrainSettings) -> None:
    """Save the model whole, adapters merged, and the adapter beside it."""
    from accelerate.utils import is_peft_model

    if not is_peft_model(trainer.model):
        trainer.save_model(str(out))
        return
    adapted: Any = trainer.model
    if "ref" in adapted.peft_config:  # the reference of an adapter that is trained further
        adapted.delete_adapter("ref")
    trainer.save_model(str(out / "adapter"))
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled or config.quantization != "none":
        if trainer.is_world_process_zero():
            _merge_anew(trainer, out, base, config)
        return
    trainer.model = adapted.merge_and_unload()
    trainer.save_model(str(out))


def _merge_anew(trainer: Trainer, out: Path, base: str, config: TrainSettings) -> None:
    """Merge the saved adapter into the base as it is on disk: what was trained on was spread over processes, or rounded."""
    from peft import PeftModel
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    from spatialreasoner.training.build import stored_precision
    from spatialreasoner.vlm.adapters import parent_of
    from spatialreasoner.vlm.loading import load_vlm

    unset_hf_deepspeed_config()  # it would spread this one as well
    model, _ = load_vlm(parent_of(base) if config.adapter == "continue" else base, precision=stored_precision(config))
    merged: Any = PeftModel.from_pretrained(model, str(out / "adapter"))
    merged.merge_and_unload().save_pretrained(out)
    apply_umask(out)
    cast("Any", trainer.processing_class).save_pretrained(out)


def _push(out: Path, repository: str) -> None:
    """Upload the model, its card and its metrics; not the checkpoints, nor anything made on the way."""
    from huggingface_hub import HfApi

    try:
        HfApi().create_repo(repository, private=True, exist_ok=True)
        HfApi().upload_folder(
            repo_id=repository,
            folder_path=out,
            ignore_patterns=[
                ".lock",
                "checkpoint-*",
                "tiny/*",
                "start/*",
                "data/*",
                "reference*.jsonl",
                "vision/*",
                "preview.html",
            ],
        )
    except (OSError, ValueError) as error:  # all of the Hub's own errors are one of these
        raise WorkError(
            f"the model is complete in {out}, but could not be uploaded to {repository!r}: {error}. "
            "Log in with `hf auth login`, or upload the folder with `hf upload`"
        ) from error


__getattr__ = importable_by_old_names(__name__, {"train": "run_training"})
