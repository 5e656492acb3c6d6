"""Rows of the official release of SpatialRGPT-Bench, as its JSON, JSON-lines and Parquet files hold them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spatialreasoner.core.errors import MissingExtraError, RecordError

MAX_BENCHMARK_BYTES = 256 * 2**20
"""A larger JSON file is refused; the official one has 5 MB."""


def release_rows(source: Path) -> Iterator[Any]:
    """The rows of a file, each as it is written there.

    Args:
        source: A JSON array, JSON lines, or a Parquet file.

    Raises:
        RecordError: If it is none of them, or too large.
        MissingExtraError: If a Parquet file is given and pyarrow is not installed.
    """
    return _parquet_rows(source) if source.suffix == ".parquet" else _json_rows(source)


def structured(row: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """A row whose nested columns are no longer text.

    Args:
        row: The row.
        where: What is named in an error.

    Raises:
        RecordError: If a nested column is neither JSON nor a Python literal.
    """
    try:
        return {key: _structure(value) if key in _NESTED else value for key, value in row.items()}
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where}: {error}") from None


def _json_rows(source: Path) -> Iterator[Any]:
    """Rows of a JSON array, or of JSON lines."""
    if source.stat().st_size > MAX_BENCHMARK_BYTES:
        raise RecordError(f"{source}: expected at most {MAX_BENCHMARK_BYTES} bytes; got {source.stat().st_size}")
    try:
        text = source.read_text("utf-8")
        if text.lstrip().startswith("["):
            yield from json.loads(text)
        else:
            yield from (json.loads(line) for line in text.splitlines() if line.strip())
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{source}: expected a JSON array or one JSON object per line; {error}") from None


def _parquet_rows(source: Path) -> Iterator[Any]:
    """Rows of the Parquet form, whose images are inside."""
    try:
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise MissingExtraError(
            "reading the Parquet form needs pyarrow: pip install 'spatialreasoner[train]', or use the JSON file"
        ) from None
    try:
        for batch in parquet.ParquetFile(source).iter_batches(batch_size=32):
            for row in batch.to_pylist():
                image = row.pop("image", None)
                yield {**row, "image_bytes": image["bytes"] if isinstance(image, dict) else None}
    except (ValueError, OSError, RecursionError) as error:  # Arrow's own errors are of the first two kinds
        raise RecordError(f"{source}: expected a Parquet file with JSON in its nested columns; {error}") from None


_NESTED = ("image_info", "qa_info", "conversations", "bbox", "rle")
_MAX_LITERAL = 2**20


def _structure(value: object) -> object:
    """A nested column that was written as text, JSON or a Python literal, as the official release writes them.

    Raises:
        ValueError: If it is neither.
    """
    if not (isinstance(value, str) and value[:1] in {"{", "["} and value[-1:] in {"}", "]"}):
        return value
    try:
        return json.loads(value)
    except ValueError:
        pass
    if len(value) > _MAX_LITERAL:
        raise ValueError(f"expected at most {_MAX_LITERAL} characters in a nested column; got {len(value)}")
    try:
        return ast.literal_eval(value)
    except (SyntaxError, MemoryError, TypeError) as error:
        raise ValueError(f"expected JSON or a Python literal in a nested column; got {value[:60]!r} ({error})") from None
