"""An annotation file as it lies on disk, read once and offered to the readers of every tool."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from spatialreasoner.core import records
from spatialreasoner.core.errors import RecordError

MAX_BYTES = 2**30
"""A larger annotation file is refused; COCO's own largest has less than half of it."""

_R = TypeVar("_R")


class Lenient:
    """Base of what is read from annotation files: they carry licences, areas, dates and more, which are ignored."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "ignore", "allow_inf_nan": False}


@dataclass(frozen=True)
class Document:
    """One file.

    Attributes:
        path: Where it is.
    """

    path: Path

    @cached_property
    def data(self) -> bytes:
        """The bytes of the file.

        Raises:
            MissingFileError: If the file does not exist.
            RecordError: If it is larger than `MAX_BYTES`.
        """
        path = records.require_file(self.path)
        if path.stat().st_size > MAX_BYTES:
            raise RecordError(f"{path}: expected at most {MAX_BYTES} bytes; got {path.stat().st_size}")
        return path.read_bytes()

    @cached_property
    def json(self) -> Any:
        """The JSON value of the file, or None if it is not JSON."""
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):
            return None

    def has(self, *keys: str) -> bool:
        """Whether it is a JSON object with all of these keys."""
        return isinstance(self.json, dict) and self.json.keys() >= set(keys)

    def record(self, kind: type[_R]) -> _R:
        """The file as one record, validated.

        Raises:
            RecordError: If it does not have that form.
        """
        return records.parse_record(self.data, kind, where=str(self.path))
