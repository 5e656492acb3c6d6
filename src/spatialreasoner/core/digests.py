"""Digests of files: what a result depends on, as short text that changes when any of it does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from spatialreasoner.core.errors import MissingFileError

MODEL_FILES = (
    "*.safetensors", "*.json", "*.jinja", "additional_chat_templates/*.jinja", "*.model", "*.model.v*", "*.txt", "*.gguf",
    "*.tiktoken", "*.bpe", "*.spm",
)  # fmt: skip
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


@lru_cache(maxsize=2**17)  # a run asks about many images, each at its start and with each question about it
def _digest(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: str | Path, patterns: tuple[str, ...] = MODEL_FILES) -> str:
    """One SHA-256 over the names and bytes of the files of a folder that match a pattern."""
    return files_digest(sorted({path for pattern in patterns for path in Path(folder).glob(pattern) if path.is_file()}))


def files_digest(paths: Iterable[Path]) -> str:
    """One SHA-256 over the names, without folders, and the bytes of files, in their order.

    Raises:
        MissingFileError: If one cannot be read.
    """
    return _listed((path.name, file_digest(path)) for path in paths)


ENDS = 2**16
"""Bytes at each end of a file that `capture_digest` reads."""


def tree_digest(path: str | Path) -> str:
    """One SHA-256 over a file's bytes, or over the names and bytes of all files of a folder and its folders.

    Raises:
        MissingFileError: If one cannot be read.
    """
    return _listed((name, file_digest(file)) for name, file in _files(Path(path)))


def capture_digest(path: str | Path) -> str:
    """The same for files of many gigabytes: over names, sizes, and what each begins and ends with.

    Raises:
        MissingFileError: If one cannot be read.
    """
    return _listed((name, _ends(file)) for name, file in _files(Path(path)))


def _files(path: Path) -> list[tuple[str, Path]]:
    """A file without a name, since a copy may have another; or those of a folder by their paths in it."""
    if not path.is_dir():
        return [("", path)]
    return sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())


def _ends(path: Path) -> str:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            ends = file.read(ENDS)
            file.seek(max(0, size - ENDS))
            ends += file.read(ENDS)
    except OSError as error:
        raise MissingFileError(f"expected a file at {path}; {error.strerror}") from None
    return f"{size} {hashlib.sha256(ends).hexdigest()}"


def _listed(entries: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in entries).encode()).hexdigest()
