"""The model card: what the model was made of, how, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spatialreasoner.core import records

_TITLES = {
    "sft": "Supervised fine-tuning",
    "dpo": "Direct preference optimization",
    "fdpo": "Fine-grained DPO",
    "grpo": "Group relative policy optimization with verified rewards",
}


def write_card(
    folder: Path,
    *,
    kind: str,
    base: str,
    data: Mapping[str, Any],
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    best: Mapping[str, Any],
) -> None:
    """Write `README.md` into a model's folder.

    Args:
        folder: The model's folder.
        kind: The kind of training.
        base: What it was trained from.
        data: Name, digest and number of rows of the data.
        config: The settings.
        metrics: The last values logged.
        best: What was logged of held-out rows where their loss was least; empty if there were none.
    """
    versions = records.versions()
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: image-text-to-text",
        f"tags: [spatialreasoner, {kind}]",
        "---",
        f"# {_TITLES[kind]} of `{base}`",
        "",
        f"Trained with SpatialReasoner-R1 {versions['spatialreasoner']} by `spatialreasoner train {kind}`.",
        "Load it with `AutoModelForImageTextToText` and `AutoProcessor`.",
        "",
        *_table("Data", data),
        *_table("Settings", config),
        *_table("Last metrics", metrics),
        *(_table(f"Held-out rows, at best (checkpoint-{best['step']})", best) if best else []),
        *_table("Versions", versions),
    ]
    with records.atomic_write(folder / "README.md") as file:
        file.write("\n".join(lines))


def _table(title: str, values: Mapping[str, Any]) -> list[str]:
    rows = [f"| {key} | {_cell(value)} |" for key, value in values.items()]
    return [f"## {title}", "", "| | |", "|---|---|", *rows, ""]


def _cell(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
