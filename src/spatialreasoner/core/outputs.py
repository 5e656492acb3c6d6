"""Where an output may be written: never over an input, a device, a pipe or a folder."""

from __future__ import annotations

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


def _same(given: Path, path: Path) -> bool:
    """Whether what may be an input is this file; a question, say, is no path and may be too long for one."""
    try:
        return given.is_file() and given.samefile(path)
    except (OSError, ValueError):
        return False
