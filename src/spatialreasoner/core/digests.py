"""Digests of files: what a result depends on, as short text that changes when any of it does."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from spatialreasoner.core.errors import MissingFileError

MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.gguf")
"""Files of a model's folder that decide what it says: weights, settings, templates, vocabularies."""


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes; read once per process for the same file, size and time of change.

    Raises:
        MissingFileError: If it cannot be read.
    """
    try:
        state = os.stat(path)
        return _digest(str(path), state.st_size, state.st_mtime_ns)
    except (OSError, ValueError) as error:
        raise MissingFileError(f"expected a file at {path}; {getattr(error, 'strerror', None) or error}") from None


@lru_cache(maxsize=4096)
def _digest(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: str | Path, patterns: tuple[str, ...] = MODEL_FILES) -> str:
    """One SHA-256 over the names and bytes of the files of a folder (not of those inside its folders) that match a pattern."""
    paths = sorted({path for pattern in patterns for path in Path(folder).glob(pattern) if path.is_file()})
    listed = "\n".join(f"{path.name} {file_digest(path)}" for path in paths)
    return hashlib.sha256(listed.encode()).hexdigest()
