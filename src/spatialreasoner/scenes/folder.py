"""Making a scenes folder that can be interrupted at any moment and resumed by the same command.

The files of a scene get their names only when they are complete, and its record last; the records wait in a hidden folder
until all are there, then become `scenes.jsonl`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialreasoner import __version__
from spatialreasoner.core import records
from spatialreasoner.core.errors import ConfigError, RecordError
from spatialreasoner.core.resume import hold
from spatialreasoner.core.types import Scene

_PACKAGE = "the version of spatialreasoner"
_WAITING = ".unfinished"


@dataclass(frozen=True, kw_only=True)
class ScenesFolder:
    """A scenes folder in the making. Several processes may add to one."""

    path: Path

    @property
    def complete(self) -> bool:
        """Whether `scenes.jsonl` is written."""
        return (self.path / "scenes.jsonl").exists()

    @contextmanager
    def working(self) -> Generator[None]:
        """Keep other processes out of the folder while this one, and those that it starts, add to it.

        Raises:
            WorkError: If another process works in it, or it cannot be written to.
        """
        with records.writing(self._waiting), hold(self._waiting / ".lock", self.path):
            yield

    def has(self, scene_id: str) -> bool:
        """Whether a scene and its files are complete."""
        return self._record(scene_id).exists()

    def add(self, scene: Scene, files: Mapping[str, bytes]) -> None:
        """Write the files of a scene, by their paths in the folder, then its record."""
        for name, data in files.items():
            self._write(name, data)
        self._write(f"{_WAITING}/{scene.id}.json", (records.dumps(scene) + "\n").encode())

    def finish(self, scene_ids: Iterable[str]) -> None:
        """Join the records, in this order, to `scenes.jsonl`, and remove what is no longer needed."""
        if not self.complete:
            with records.atomic_write(self.path / "scenes.jsonl") as file:
                for scene_id in scene_ids:
                    file.write(self._record(scene_id).read_text(encoding="utf-8"))
        shutil.rmtree(self._waiting, ignore_errors=True)
        for leftover in self.path.glob(".*.part*"):
            leftover.unlink()

    @property
    def _waiting(self) -> Path:
        return self.path / _WAITING

    def _record(self, scene_id: str) -> Path:
        return self._waiting / f"{scene_id}.json"

    def _write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all. Not synced to the disk: that would take longer than making a small scene."""
        target, temporary = f"{self.path}/{name}", f"{self.path}/{_WAITING}/{os.getpid()}.part"
        try:
            _place(data, temporary, target)
        except FileNotFoundError:  # of a folder, before the first file in it
            Path(target).parent.mkdir(exist_ok=True)
            self._waiting.mkdir(exist_ok=True)
            _place(data, temporary, target)


def _place(data: bytes, temporary: str, target: str) -> None:
    with open(temporary, "wb", buffering=0) as file:
        file.write(data)
    os.replace(temporary, target)


def claim_folder(path: Path, stage: str, config: Mapping[str, Any], inputs: Mapping[str, str] | None = None) -> ScenesFolder:
    """Begin a scenes folder, or continue with one that the same settings began on the same inputs.

    Args:
        path: The folder: new, empty, or begun before.
        stage: The stage that makes it.
        config: The settings, as JSON values.
        inputs: Digests of what the scenes are made of, by what it is called in an error.

    Raises:
        ConfigError: If the folder holds anything else, or its inputs or this package have changed since it was begun.
        WorkError: If the folder cannot be made.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"expected a folder at {path}; it is a file; name another one")
    if not (path / "config.json").exists():
        if path.exists() and any(not entry.name.startswith(".") for entry in path.iterdir()):
            raise ConfigError(f"expected an empty or new folder at {path}; it holds other files; name another one")
        records.write_config(path, stage, {**config, "inputs": dict(inputs)} if inputs else config)
    _compare(path, stage, json.loads(json.dumps(config)), {**(inputs or {}), _PACKAGE: __version__})
    return ScenesFolder(path=path)


def _compare(path: Path, stage: str, config: dict[str, Any], inputs: Mapping[str, str]) -> None:
    """Refuse to continue with what was made otherwise; folders of earlier versions do not tell their inputs."""
    try:
        made = records.read_json(path / "config.json", dict[str, Any])
        settings = made["stage"], {key: value for key, value in made["config"].items() if key != "inputs"}
        before = {**made["config"].get("inputs", {}), _PACKAGE: made["versions"]["spatialreasoner"]}
    except (RecordError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{path / 'config.json'} is broken; remove the folder or name another one") from None
    if settings != (stage, config):
        raise ConfigError(
            f"{path} was made with other settings: {settings[0]!r}, {settings[1]}; expected {stage!r}, {config}; "
            "name another folder, or repeat the first command"
        )
    changed = sorted(key for key in inputs if key in before and before[key] != inputs[key])
    if changed:
        raise ConfigError(
            f"{path} was made of other inputs: {', '.join(changed)} changed since, so its scenes would be out of date; "
            "name another folder, or remove that one"
        )
