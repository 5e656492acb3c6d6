"""Where a capture's files are: a folder, a zip archive, or one file. Readers name files and never care which it is.

What a person downloads often has one folder more around it, so a reader asks for the part of the store under which its
files are (`rooted`). Every read is bounded: an archive's entry is refused by the size that it unpacks to.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from spatialreasoner.core.errors import MissingFileError, RecordError

MAX_FILE_BYTES = 1 << 30
"""A larger file is not read into memory; readers of recordings stream from the disk instead."""

MAX_FILES = 2_000_000
"""More files than any capture has; a folder with more is the wrong one."""

_MAX_DEPTH = 8

_PACKED = (".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")
"""Archives in which a file cannot be reached without unpacking what is before it."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """The files of a capture.

    Attributes:
        path: The folder, archive or file that the user named.
        names: Every file, relative to `path`, with slashes; in natural order, so that `10.png` follows `9.png`.
        prefix: The part of each name that readers leave out: "" or a folder that ends in a slash.
    """

    path: Path
    names: tuple[str, ...]
    prefix: str = ""

    @property
    def title(self) -> str:
        """What to call the capture: the folder's or file's own name, without a suffix."""
        inner = self.prefix.rstrip("/").rsplit("/", 1)[-1]
        own = self.path.resolve().name
        return inner or (own if self.path.is_dir() else re.sub(r"(\.\w{1,5}){1,2}$", "", own) or own)

    @cached_property
    def local_names(self) -> tuple[str, ...]:
        """The names under the prefix, without it."""
        return tuple(name.removeprefix(self.prefix) for name in self.names if name.startswith(self.prefix))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.local_names)

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return name in self._known

    def find(self, pattern: str) -> dict[str, str]:
        """Files whose whole name matches, by the pattern's first group, in natural order.

        >>> store = Store(path=Path("x"), names=("depth/1.png", "depth/2.png", "notes.txt"))
        >>> store.find(r"depth/(.+)[.]png")
        {'1': 'depth/1.png', '2': 'depth/2.png'}
        """
        wanted = re.compile(pattern)
        return {match[1]: name for name in self.local_names if (match := wanted.fullmatch(name))}

    def rooted(self, *patterns: str) -> Store | None:
        """The shallowest part of the store in which every pattern matches some file, the first by name, or None."""
        first = re.compile(f"(|.*?/)(?:{patterns[0]})")
        found = {match[1] for name in self.local_names if (match := first.fullmatch(name))}
        roots = sorted(found, key=lambda root: (root.count("/"), natural(root)))
        for root in roots:
            part = replace(self, prefix=self.prefix + root)
            if all(any(re.fullmatch(pattern, name) for name in part.local_names) for pattern in patterns):
                return part
        return None

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            MissingFileError: If the file does not exist.
            RecordError: If it is larger than `MAX_FILE_BYTES`, or the archive is broken.
        """
        if not self.has(name):
            raise MissingFileError(f"expected {name} in {self.where()}; it is not there")
        if self._in_archive:
            return self._unpacked(self.prefix + name)
        path = self._real(name)
        _bound(path.stat().st_size, self.where(name))
        return path.read_bytes()

    def text(self, name: str) -> str:
        """The text of a file, UTF-8; raises as `read`, and RecordError for anything else."""
        try:
            return self.read(name).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise RecordError(f"{self.where(name)}: expected text in UTF-8; got other bytes") from None

    @contextmanager
    def local(self, name: str) -> Generator[Path]:
        """The file on disk, for libraries that want a path; an archive's entry is unpacked for as long as it is used."""
        if not self._in_archive:
            yield self._real(name)
            return
        with tempfile.TemporaryDirectory(prefix="spatialreasoner-") as folder:
            target = Path(folder) / Path(name).name
            with zipfile.ZipFile(self.path) as archive, archive.open(self.prefix + name) as source, target.open("wb") as file:
                _bound(archive.getinfo(self.prefix + name).file_size, self.where(name))
                shutil.copyfileobj(source, file)
            yield target

    def where(self, name: str = "") -> str:
        """What to call a file of the store in an error."""
        if not self.path.is_dir() and not self._in_archive:
            return str(self.path)
        return f"{self.path}{'/' if self.prefix or name else ''}{self.prefix}{name}".rstrip("/")

    @property
    def _in_archive(self) -> bool:
        return not self.path.is_dir() and self.names != (self.path.name,)

    def _real(self, name: str) -> Path:
        return self.path / (self.prefix + name) if self.path.is_dir() else self.path

    def _unpacked(self, name: str) -> bytes:
        try:
            with zipfile.ZipFile(self.path) as archive:
                _bound(archive.getinfo(name).file_size, f"{self.path}/{name}")
                return archive.read(name)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
            raise RecordError(f"{self.path}/{name}: expected a complete zip entry; {error}; copy the archive again") from None


def _bound(size: int, where: str) -> None:
    if size > MAX_FILE_BYTES:
        raise RecordError(f"{where}: expected at most {MAX_FILE_BYTES} bytes; got {size}")


def open_store(path: str | Path) -> Store:
    """The files at a path: of a folder, of a zip archive (whatever its suffix), or the one file itself.

    Raises:
        MissingFileError: If there is nothing.
        RecordError: If there are more than `MAX_FILES` files.
    """
    path = Path(path)
    if os.path.isdir(path):  # pathlib's own would raise where a name is too long, or holds a NUL
        return Store(path=path, names=_sorted(_walk(path)))
    if not os.path.isfile(path):
        raise MissingFileError(f"expected a capture at {path}: a folder, an archive or a file; there is none")
    if path.name.lower().endswith(_PACKED):
        raise RecordError(f"{path}: expected a folder, a zip archive or a capture's own file; unpack this archive first")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return Store(path=path, names=_sorted({e.filename: None for e in archive.infolist() if not e.is_dir()}))
    return Store(path=path, names=(path.name,))


def _walk(folder: Path) -> dict[str, None]:
    names: dict[str, None] = {}
    for parent, folders, files in os.walk(folder):
        inner = Path(parent).relative_to(folder).as_posix()
        folders[:] = [name for name in folders if not name.startswith(".") and inner.count("/") < _MAX_DEPTH]
        start = "" if inner == "." else f"{inner}/"
        names.update({start + name: None for name in files if not name.startswith(".")})
        if len(names) > MAX_FILES:
            raise RecordError(f"{folder}: expected one capture; it has more than {MAX_FILES} files; name a folder inside it")
    return names


def _sorted(names: Mapping[str, None]) -> tuple[str, ...]:
    return tuple(sorted((n for n in names if not n.startswith("__MACOSX/")), key=natural))


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that orders numbers inside names by their value.

    >>> sorted(["f10", "f9", "a"], key=natural)
    ['a', 'f9', 'f10']
    """
    parts = re.split(r"(\d+)", name)
    return tuple((1, int(part), "") if part.isdigit() and part.isascii() else (0, 0, part) for part in parts)
