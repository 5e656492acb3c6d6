"""What a training depends on: its settings, data, images, base model and this package; compared before a run is resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialreasoner import __version__
from spatialreasoner.core import records
from spatialreasoner.core.digests import file_digest, folder_digest
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.testing.names import tiny_named
from spatialreasoner.training.config import CONFIGS
from spatialreasoner.training.old_names import comparable
from spatialreasoner.vlm.adapters import layers_of
from spatialreasoner.vlm.sources import source_of

if TYPE_CHECKING:
    from datasets import Dataset

SETTINGS_FILE = "training.json"
"""Beside the model's own `config.json`, whose name transformers claims."""

FILES = ("model_files", "images", "package")
"""What `describe_files` tells. Runs of earlier versions lack it, and it is not held against them."""


def describe_data(data: Path) -> dict[str, Any]:
    """The data by name and content: the same rows elsewhere are the same data."""
    content = records.require_file(data).read_bytes()
    return {"file": data.name, "sha256": hashlib.sha256(content).hexdigest(), "rows": len(content.splitlines())}


def describe_files(model: str, *rows: Dataset | None) -> dict[str, Any]:
    """Digests of the base model's files and of the images of all rows, and this package's version.

    Args:
        model: The model by name. Of one in a repository, or built on the spot, there is nothing to read.
        rows: What `read_sft` or `read_preferences` gave.
    """
    folders = [] if tiny_named(model) is not None else _folders(source_of(model))
    images = sorted({image for each in rows if each is not None for images in each["images"] for image in images})
    return {
        "model_files": "+".join(map(folder_digest, folders)) or None,
        "images": _images_digest(images),
        "package": __version__,
    }


def _folders(source: str) -> list[Path]:
    """The folders that a model is read from: its own, and what lies below an adapter."""
    return [Path(each) for each in layers_of(source) if Path(each).is_dir()]


def _images_digest(paths: Iterable[str]) -> str:
    """One digest over the bytes of all images, in the order of their contents: the same images elsewhere are the same."""
    with ThreadPoolExecutor() as pool:
        found = sorted(set(pool.map(file_digest, paths)))
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def is_finished(out: Path, kind: str, record: Mapping[str, Any]) -> bool:
    """Whether `out` holds this very run, done.

    Args:
        out: The run's folder.
        kind: The kind of training.
        record: The run's settings and data, with what `describe_files` tells or, where that was not read yet, without it.

    Raises:
        ConfigError: If it holds another one, or one whose base model, images, data or package have changed since.
    """
    if not (out / SETTINGS_FILE).is_file():
        return False
    old = records.read_json(out / SETTINGS_FILE, dict[str, Any])
    new, before = comparable(json.loads(json.dumps(record))), comparable(old.get("config") or {})
    unknown = {key for key in FILES if key not in new or key not in before}
    defaults = asdict(CONFIGS[kind]())  # a setting that is newer than the run was what its default is
    unknown |= {key for key in new if key not in before and key in defaults and new[key] == defaults[key]}
    new, before = ({key: value for key, value in each.items() if key not in unknown} for each in (new, before))
    if old.get("stage") != f"train {kind}" or before != new:
        changed = sorted(key for key in {*before, *new} if before.get(key) != new.get(key))
        raise ConfigError(
            f"{out} holds another run ({old.get('stage')}; differs in {', '.join(changed) or 'the kind of training'}). "
            "Give another `out`, or remove that folder"
        )
    return (out / "README.md").is_file()  # written last
