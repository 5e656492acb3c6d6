"""Records on disk: JSON lines in, validated; JSON lines out, whole or not at all.

Every reader names the file, the line and the field of what it refuses. Every writer writes beside its target and renames,
so a file with the right name is a complete file.
"""

from __future__ import annotations

import codecs
import json
import os
import secrets
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from spatialreasoner import __version__
from spatialreasoner.core.errors import MissingFileError, RecordError, SpatialReasonerError, WorkError
from spatialreasoner.core.outputs import apply_umask, output_file

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

_R = TypeVar("_R")

_ATOMS = frozenset({str, int, float, bool, type(None)})

LEFT_OUT = frozenset({"region_source"})
"""Fields that are not written where they are None, so that files made before there were such fields stay as they are."""

MAX_LINE_BYTES = 16 * 2**20
"""A longer line is refused: no record comes near it, and one line must not fill the memory."""


_GZIP = b"\x1f\x8b"


def read_jsonl(path: str | Path, kind: type[_R]) -> Iterator[_R]:
    """Read the records of a JSON-lines file, one at a time.

    Args:
        path: The file. Blank lines are skipped.
        kind: The record's class.

    Raises:
        MissingFileError: If the file does not exist.
        RecordError: If a line is not a record of that kind, or the file holds none.
    """
    for _, record in read_numbered(path, kind):
        yield record


def read_numbered(path: str | Path, kind: type[_R]) -> Iterator[tuple[int, _R]]:
    """The same, each record with the number of its line, from 1."""
    path = require_file(path)
    number = 0
    for number, line in read_lines(path):
        if number == 1 and line.lstrip().startswith(b"["):
            raise RecordError(
                f"{path}: expected JSON lines, each an object; the file begins as a JSON list. Write each of its elements on a "
                "line of its own (jq -c '.[]')"
            )
        yield number, parse_record(line, kind, where=f"{path}:{number}")
    if number == 0:
        raise RecordError(f"{path}: expected one {kind.__name__} per line; the file is empty")


def parse_record(text: str | bytes, kind: type[_R], *, where: str) -> _R:
    """Read one record from JSON.

    Args:
        text: The JSON.
        kind: The record's class.
        where: What to call the place in an error.

    Raises:
        RecordError: If it is not JSON, or not such a record.
    """
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        name = kind.__name__ if is_dataclass(kind) else "JSON value"
        raise RecordError(f"{where}: not a {name}: {_first_problem(error)}") from None


def read_json(path: str | Path, kind: type[_R]) -> _R:
    """Read a JSON file that holds one record.

    Raises:
        MissingFileError: If the file does not exist.
        RecordError: If it does not hold such a record.
    """
    path = require_file(path)
    if path.stat().st_size > MAX_LINE_BYTES:
        raise RecordError(f"{path}: expected at most {MAX_LINE_BYTES} bytes; got {path.stat().st_size}")
    return parse_record(path.read_bytes(), kind, where=str(path))


def dumps(record: object) -> str:
    """One record as one line of JSON: keys in the order of the class, no NaN."""
    value = as_plain(record) if is_dataclass(record) else record
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def as_plain(value: Any) -> Any:
    """A record as JSON has it, with those that it holds: what was added to a class later is left out where it is None.

    `dataclasses.asdict` takes three times as long, as it copies each value.
    """
    if type(value) in _ATOMS:
        return value
    if is_dataclass(value) and not isinstance(value, type):
        found = {name: as_plain(getattr(value, name)) for name in value.__dataclass_fields__}
        return {name: each for name, each in found.items() if each is not None or name not in LEFT_OUT}
    if isinstance(value, dict):
        return {key: as_plain(each) for key, each in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [as_plain(each) for each in cast("list[Any]", value)]
    return value


def write_jsonl(path: str | Path, records: Iterable[object]) -> int:
    """Write records as JSON lines, whole or not at all; returns how many.

    Raises:
        WorkError: If the file cannot be written.
    """
    count = 0
    with atomic_write(path) as file:
        for record in records:
            file.write(dumps(record) + "\n")
            count += 1
    return count


def write_json(path: str | Path, value: object) -> None:
    """Write one value as indented JSON, whole or not at all.

    Raises:
        WorkError: If the file cannot be written.
    """
    with atomic_write(path) as file:
        value = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        json.dump(value, file, ensure_ascii=False, allow_nan=False, indent=2)
        file.write("\n")


@contextmanager
def atomic_write(path: str | Path) -> Generator[IO[str]]:
    """A text file that appears under its name only when all of it is on disk.

    Raises:
        WorkError: If the folder cannot be made or written to.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_path(path: str | Path) -> Generator[Path]:
    """A hidden path beside `path`, of the same suffix, for whatever writes files: it gets the name if the block ends well.

    What is left of a block that fails is removed. The file's permissions are those that the process's umask gives.

    Raises:
        ConfigError: If a device, a pipe or a link to nothing is there.
        WorkError: If the folder cannot be made or written to.
    """
    path = output_file(Path(path))
    temporary = path.with_name(f".{path.stem[:80]}.{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")
    with writing(path.parent):
        try:
            yield temporary
            apply_umask(temporary)
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_config(directory: str | Path, stage: str, config: object, *, name: str = "config.json") -> None:
    """Write what made an output: the stage, its settings, the versions and the git commit.

    Nothing in it depends on the time or on the machine's folders, so the same command writes the same bytes.
    """
    value = asdict(config) if is_dataclass(config) and not isinstance(config, type) else config
    write_json(Path(directory) / name, {"stage": stage, "config": value, "versions": versions(), "commit": git_commit()})


def versions() -> dict[str, str]:
    """Versions of the package, of Python, and of the libraries that decide results, where installed."""
    found = {"spatialreasoner": __version__, "python": sys.version.split()[0]}
    for name in ("numpy", "torch", "transformers", "trl", "peft"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def git_commit() -> str | None:
    """The commit of the source tree that runs, or None for an installed package."""
    import subprocess

    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        result = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None


def require_file(path: str | Path) -> Path:
    """The path, if it is a file.

    Raises:
        MissingFileError: If it is not.
    """
    path = Path(path)
    if not os.path.isfile(path):  # pathlib's own would raise where a name is too long, or holds a NUL
        raise MissingFileError(f"expected a file at {path}; {'it is a folder' if os.path.isdir(path) else 'there is none'}")
    return path


def require_folder(path: str | Path) -> Path:
    """The path, if it is a folder.

    Raises:
        MissingFileError: If it is not.
    """
    path = Path(path)
    if not os.path.isdir(path):
        raise MissingFileError(f"expected a folder at {path}; {'it is a file' if os.path.exists(path) else 'there is none'}")
    return path


def inside(folder: Path, name: str, *, where: str) -> Path:
    """The path of `name` in `folder`, refused if it leads out of it.

    Raises:
        RecordError: If `name` is absolute or climbs out of the folder, also through a link.
    """
    whole = "\0" not in name  # no path holds one, and resolving one raises
    if not (whole and (folder / name).resolve().is_relative_to(folder.resolve())) or Path(name).is_absolute():
        raise RecordError(
            f"{where}: expected a path inside {folder}; got {name!r}, which {'leads out of it' if whole else 'is not a path'}"
        )
    return folder / name


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, each with its number, from 1; a byte order mark before the first is none of it.

    Raises:
        RecordError: If a line is longer than `MAX_LINE_BYTES`, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise RecordError(f"{path}:{number}: expected a line of at most {MAX_LINE_BYTES} bytes; it is longer")
                if number == 1 and line.startswith(_GZIP):
                    raise RecordError(f"{path}: expected text; the file is compressed with gzip. Unpack it first (gunzip)")
                line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if line.strip():
                    yield number, line
    except OSError as error:
        raise RecordError(f"{path}: expected a file that can be read; {error.strerror or error}") from error


@cache
def _adapter(kind: type[_R]) -> TypeAdapter[_R]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "the row"
    got = repr(first["input"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    message: Any = {
        "missing": f"the key {place!r} is missing",
        "unexpected_keyword_argument": f"unknown key {place!r}; remove it or check its spelling",
    }.get(first["type"], f"{place}: {first['msg']}; got {got if len(got) < 80 else got[:77] + '...'}")
    return f"{message}{more}"


@contextmanager
def writing(folder: Path) -> Generator[None]:
    """Make a folder and turn what goes wrong while writing into it into a clear error.

    Raises:
        WorkError: If the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except SpatialReasonerError:
        raise  # also a missing input, which is an OSError, but not one of this folder
    except OSError as error:
        reason = error.strerror or error
        raise WorkError(f"cannot write to {folder}: {reason}; check the folder and the disk's free space") from error
