"""What a frozen vision tower made of images, on disk: safetensors, one file per image, bounded in size.

A folder belongs to one tower: its name is a digest of the tower's weights, class and configuration. A file's name is a digest
of what the tower was given. Files are written whole or not at all, so a run that was cut off leaves nothing torn, and several
processes may write side by side. At the limit nothing more is written, and what is there stays: an epoch goes through all
images in turn, so that a rule which forgets the oldest would find nothing at all.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from spatialreasoner.core.errors import WorkError
from spatialreasoner.core.records import atomic_path

logger = logging.getLogger(__name__)

_CHECKSUM = "crc32"

RESERVE = 2**30
"""Bytes of the disk that are left free."""


class FeatureStore:
    """Tensors by key.

    Args:
        folder: Where they are; made on the first write.
        limit: Bytes that the folder may hold, those of earlier runs included.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        self.folder = folder
        self._room = limit - sum(path.stat().st_size for path in folder.glob("[!.]*.safetensors"))

    def get(self, key: str, names: Sequence[str], device: torch.device) -> dict[str, Tensor] | None:
        """The tensors of these names under a key; None if they are not there. A damaged file is removed."""
        path = self._path(key)
        try:
            with safe_open(path, framework="pt") as file:
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, a file is no mapping
                whole = (file.metadata() or {}).get(_CHECKSUM) == _checksum(found)
        except SafetensorError:
            found, whole = dict[str, Tensor](), False
        except OSError:
            return None
        if not whole:
            self._remove(path)
        elif found.keys() == set(names):
            return {name: each.to(device) for name, each in found.items()}
        return None

    def put(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep tensors under a key, unless there is no room for them."""
        if sum(each.nbytes for each in tensors.values()) > self._room or self._path(key).exists():
            return
        held = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
        file = save(held, metadata={_CHECKSUM: _checksum(held)})
        if len(file) > self._room:
            return
        try:
            with atomic_path(self._path(key)) as path:
                if shutil.disk_usage(self.folder).free < RESERVE + len(file):
                    raise WorkError(f"less than {RESERVE // 2**30} GiB of the disk would be left")
                path.write_bytes(file)
            self._room -= len(file)
        except (OSError, WorkError) as error:
            self._stop(str(error))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _remove(self, path: Path) -> None:
        try:
            size = path.stat().st_size
            path.unlink()
        except OSError:
            return
        self._room += size

    def _stop(self, reason: str) -> None:
        self._room = 0
        logger.warning(
            "No more features of images are kept in %s: %s. Training continues and computes them in every step.",
            self.folder,
            reason,
        )


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """Of names and bytes: a file that a crash left with the right size and other content would be read as features."""
    found = 0
    for name in sorted(tensors):
        found = zlib.crc32(_bytes(tensors[name]), zlib.crc32(name.encode(), found))
    return str(found)


def tower_digest(tower: torch.nn.Module) -> str:
    """Digest of what decides a tower's features beside the images."""
    import transformers

    config = getattr(tower, "config", None)
    digest = hashlib.sha256(f"{type(tower).__qualname__}\0{transformers.__version__}\0{config}".encode())
    for name, tensor in sorted(tower.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def input_digest(given: Any) -> str:
    """Digest of arguments: tensors, plain values, and containers of them."""
    digest = hashlib.sha256()
    _update(digest, given)
    return digest.hexdigest()


def _update(digest: Any, given: Any) -> None:
    if isinstance(given, Tensor):
        digest.update(f"{given.dtype}{tuple(given.shape)}".encode())
        digest.update(_bytes(given))
    elif isinstance(given, Mapping):
        for name in sorted(given):
            digest.update(f"\0{name}=".encode())
            _update(digest, given[name])
    elif isinstance(given, list | tuple):
        for each in given:
            digest.update(b"\0,")
            _update(digest, each)
    else:
        digest.update(repr(given).encode())


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
