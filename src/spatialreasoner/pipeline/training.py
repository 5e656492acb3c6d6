"""The stage `train`: SFT, DPO or fine-grained DPO of a vision-language model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner.core.loops import asynchronous
from spatialreasoner.pipeline.inputs import PathLike
from spatialreasoner.pipeline.result import Result

if TYPE_CHECKING:
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
    **settings: Any,
) -> Result:
    """Train a model; called again with the same arguments, it continues from the last checkpoint.

    Args:
        data: Rows that the stage `pairs` wrote: `sft.jsonl` for SFT, `pairs.jsonl` for DPO and fDPO; for GRPO questions, whose
            scenes are found.
        kind: "sft", "dpo", "fdpo" or "grpo".
        model: `nano`, a folder, `hf:REPO_OR_DIR`, or `testing:FAMILY`, a tiny model of random weights.
        out: The folder of the model, its settings, metrics and checkpoints.
        eval_data: Held-out rows, evaluated at each checkpoint.
        config: A YAML file of settings.
        overrides: Settings as `key=value`, over the file's.
        **settings: Settings, such as `learning_rate=1e-5`, over both; `training.config` lists them.

    Returns:
        The result; its summary is the last entry of `metrics.jsonl`.

    Raises:
        InputError: If data, model or settings are wrong.
        MissingExtraError: If the training libraries are not installed.
        WorkError: If the training fails.
    """
    from spatialreasoner.training.run import train as run_training

    folder = Path(out)
    run_training(
        kind,
        model=str(model),
        data=Path(data),
        out=folder,
        eval_data=None if eval_data is None else Path(eval_data),
        config_file=None if config is None else Path(config),
        overrides=[*overrides, *(f"{name}={json.dumps(value)}" for name, value in settings.items())],
    )
    logged = _logged(folder / "metrics.jsonl")
    return Result(stage="train", out=folder, files=(folder,), count=len(logged), summary=logged[-1] if logged else {})


train_async = asynchronous(train)


def _logged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []
