"""The stage `train`: SFT, DPO or fine-grained DPO of a vision-language model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.loops import asynchronous
from spatialreasoner.core.progress import ShowProgress, progress_bar, progress_shown_by
from spatialreasoner.pipeline.inputs import PathLike
from spatialreasoner.pipeline.result import Result

if TYPE_CHECKING:
    from rich.text import Text

    from spatialreasoner.training.config import Kind


def train(
    data: PathLike,
    *,
    kind: Kind,
    model: str,
    out: PathLike,
    eval_data: PathLike | None = None,
    config: PathLike | None = None,
    overrides: Sequence[str] = (),
    dry_run: bool = False,
    progress: ShowProgress | None = progress_bar,
    **settings: Any,
) -> Result:
    """Train a model. Call it again with the same arguments to resume from the last checkpoint.

    Args:
        data: Rows that the stage `pairs` wrote: `sft.jsonl` for SFT, `pairs.jsonl` for DPO and fDPO; for GRPO a questions file,
            whose scenes are found.
        kind: "sft", "dpo", "fdpo" or "grpo".
        model: `nano`, a folder, `hf:REPO_OR_DIR`, or `testing:FAMILY`, a tiny model with random weights.
        out: The folder of the model, its settings, metrics and checkpoints.
        eval_data: Held-out rows, evaluated at each checkpoint.
        config: A YAML file of settings.
        overrides: Settings as `key=value`; they override the file.
        dry_run: Only check settings and rows: neither load the model nor write anything.
        progress: Displays the progress; None displays nothing.
        **settings: Settings, such as `learning_rate=1e-5`; they override both. `training.config` lists them.

    Returns:
        The result; its summary is the last entry of `metrics.jsonl`. After a dry run `summary["plan"]` describes what would be
        done, and for pairs `details` shows the first three as coloured tokens, a `rich.text.Text`.

    Raises:
        InputError: If data, model or settings are wrong.
        MissingExtraError: If the training libraries are not installed.
        WorkError: If the training fails.
    """
    from spatialreasoner.training import run
    from spatialreasoner.training.config import Kind

    if kind not in get_args(Kind):
        raise ConfigError(f"expected `kind` to be one of {', '.join(get_args(Kind))}; got {kind!r}")
    folder, rows = Path(out), Path(data)
    held_out, file = None if eval_data is None else Path(eval_data), None if config is None else Path(config)
    wanted = [*overrides, *(f"{name}={json.dumps(value)}" for name, value in settings.items())]
    with progress_shown_by(progress):
        if dry_run:
            shown: list[Text] = []
            plan = run.dry_run(
                kind, model=model, data=rows, eval_data=held_out, config_file=file, overrides=wanted, show=shown.append
            )
            return Result(stage="train", out=None, summary={"plan": plan}, details=shown[0] if shown else None)
        run.run_training(kind, model=model, data=rows, out=folder, eval_data=held_out, config_file=file, overrides=wanted)
    logged = _logged(folder / "metrics.jsonl")
    return Result(stage="train", out=folder, files=(folder,), count=len(logged), summary=logged[-1] if logged else {})


train_async = asynchronous(train)


def _logged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []
