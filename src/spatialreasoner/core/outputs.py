"""Where an output may be written: never over an input, a device, a pipe or a folder; and who may read it."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from spatialreasoner.core.errors import ConfigError


def output_file(path: Path, inputs: Iterable[Path] = ()) -> Path:
    """The file that is written for an output: of a link, what it leads to.

    A file appears under its name by a rename, which would put it in the place of a device or a pipe as well.

    Args:
        path: The output.
        inputs: What is read.

    Raises:
        ConfigError: If something other than a file is there, the link leads to nothing, or it is one of the inputs.
    """
    try:
        if path.is_symlink() and not path.exists():
            raise ConfigError(f"expected the path of an output; {path} is a link to {path.readlink()}, which is not there")
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ConfigError(f"expected the path of an output; {path} is a device, a pipe or a socket; name a file")
        if path.is_file() and any(_same(given, path) for given in inputs):
            raise ConfigError(f"the output {path} is also an input, which it would replace; name another file")
        return path.resolve() if path.is_symlink() else path
    except OSError as error:
        name = f"{str(path)[:80]}..." if len(str(path)) > 80 else str(path)
        raise ConfigError(f"expected the path of an output; {name}: {error.strerror}") from None


def keep_inputs(
    out: str | os.PathLike[str], *inputs: str | os.PathLike[str] | None, beside: Iterable[str] = (".config.json",)
) -> None:
    """Refuse an output that would replace what a stage reads, before anything is read.

    Args:
        out: The output.
        inputs: The files that are read; the settings of what made one, `STEM.config.json`, are read with it.
        beside: How the files that are written beside `out` end, after its stem.

    Raises:
        ConfigError: If it would, or it cannot be the path of a file.
    """
    path, read = Path(out), [Path(each) for each in inputs if each is not None]
    read += [each.with_name(f"{each.stem}.config.json") for each in read]
    for written in (path, *(path.with_name(f"{path.stem}{ending}") for ending in beside)):
        output_file(written, read)


def apply_umask(path: Path) -> None:
    """Give an output the permissions that the process's umask gives, where a library wrote it for its owner alone.

    safetensors writes weights to a temporary file, whose mode is 0600 under any umask, and renames it.

    Args:
        path: A file; or a folder, for the weights in it and in its folders.
    """
    for file in path.rglob("*.safetensors") if path.is_dir() else [path]:
        if stat.S_IMODE(file.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR:
            file.chmod(_mode_of_new(file.parent))


def _mode_of_new(folder: Path) -> int:
    """The mode of a file that is made in a folder: it is made, since to read the umask is to change it for all threads."""
    made = folder / f".{secrets.token_hex(8)}.part"
    made.touch(exist_ok=False)
    try:
        return stat.S_IMODE(made.stat().st_mode)
    finally:
        made.unlink()


def _same(given: Path, path: Path) -> bool:
    """Whether what may be an input is this file; a question, say, is not a path and may be too long for one."""
    try:
        return given.is_file() and given.samefile(path)
    except (OSError, ValueError):
        return False
