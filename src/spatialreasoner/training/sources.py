"""Where training rows come from: a file of JSON lines, or what `datasets` reads: a file of another form, a folder, the Hub."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, MissingFileError
from spatialreasoner.training.held_images import keep_image

LINES = (".jsonl", ".json", ".ndjson")
_BUILDERS = {".parquet": "parquet", ".csv": "csv", ".arrow": "arrow"}
_HUB = "hub:"


def local_rows(source: str | Path, folder: Path) -> Path:
    """The rows as a file of JSON lines: itself, if it is one, or else written to a folder, its images beside it.

    Args:
        source: A file (`.jsonl`; `.parquet`, `.csv`, `.arrow`), a folder that `datasets` saved or understands, or the name of
            a dataset on the Hub, `OWNER/NAME` or `hub:OWNER/NAME`, perhaps with `:SPLIT` behind it; otherwise its split is
            `train`.
        folder: Where rows and images are written.

    Raises:
        MissingFileError: If there is no such file or dataset.
        ConfigError: If it cannot be read.
    """
    path = Path(source)
    if path.is_file() and path.suffix not in _BUILDERS:
        return path
    if not path.exists() and (path.suffix in (*LINES, *_BUILDERS) or not _is_name(str(source))):
        return records.require_file(path)
    name = hashlib.sha256(str(source).encode()).hexdigest()[:16]
    target = folder / f"{name}.jsonl"
    rows = _images_apart(_load(str(source)))
    records.write_jsonl(target, _with_files(rows, folder))
    return target


def _is_name(source: str) -> bool:
    name = source.removeprefix(_HUB).split(":")[0]
    return source.startswith(_HUB) or (name.count("/") == 1 and not name.startswith((".", "/", "~")))


def _load(source: str) -> Any:
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    path = Path(source)
    name, _, split = source.removeprefix(_HUB).partition(":")
    try:
        if path.is_file():
            return datasets.load_dataset(_BUILDERS[path.suffix], data_files=str(path), split="train")
        if (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
            saved = datasets.load_from_disk(str(path))
            return saved["train"] if isinstance(saved, datasets.DatasetDict) else saved
        return datasets.load_dataset(source if path.is_dir() else name, split=(split if not path.is_dir() else "") or "train")
    except FileNotFoundError as error:  # of the Hub: not there, or not to be reached
        raise MissingFileError(f"expected a file, or a dataset on the Hub, at {source!r}: {_brief(error)}") from error
    except (ValueError, OSError, KeyError, RuntimeError, HfHubHTTPError) as error:
        raise ConfigError(f"cannot read rows from {source!r}: {_brief(error)}") from error


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _images_apart(rows: Any) -> Any:
    """The rows with images as paths and bytes, not decoded."""
    import datasets

    for name, feature in rows.features.items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(name, datasets.Image(decode=False))
        elif isinstance(getattr(feature, "feature", None), datasets.Image):
            rows = rows.cast_column(name, datasets.List(datasets.Image(decode=False)))
    return rows


def _with_files(rows: Iterable[Mapping[str, Any]], folder: Path) -> Iterator[dict[str, Any]]:
    """Rows whose images are files of the folder, named by their contents."""
    for row in rows:
        yield {
            name: _as_files(value, folder) if name in ("image", "images") else value
            for name, value in row.items()
            if value is not None
        }


def _as_files(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_as_files(each, folder) for each in cast("list[Any]", value)]
    if not (isinstance(value, Mapping) and "bytes" in value):
        return value
    given = cast("Mapping[str, Any]", value)
    data: bytes = given["bytes"] if given["bytes"] is not None else records.require_file(str(given.get("path"))).read_bytes()
    return f"images/{keep_image(data, folder / 'images').name}"
