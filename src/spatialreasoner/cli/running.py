"""Running a command line: signals, exit codes, and errors as one line.

Exit codes: 0 done; 1 failed while working; 2 invalid user input; 130 and 143 after Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from functools import cache, partial
from typing import IO, Any, NoReturn

import typer

from spatialreasoner.core.errors import InputError, MissingExtraError, RowsError, SpatialReasonerError
from spatialreasoner.core.progress import wording

AS_ONE = 1.0
"""Seconds within which signals count as one: keys are pressed twice."""

_EXTRA_OF = {
    **dict.fromkeys(("torch", "transformers", "trl", "peft", "datasets", "accelerate"), "train"),
    **dict.fromkeys(("httpx2", "genai_prices"), "api"),
    **dict.fromkeys(("starlette", "uvicorn", "python_multipart"), "app"),
}
"""The extra that installs an optional library."""


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit with its code: 0 done, 1 failed while working, 2 invalid user input.

    Args:
        app: The commands.
        arguments: What was given; None reads `sys.argv`.
    """
    for sent, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        signal.signal(sent, partial(stop, code))
    command = command_of(app)
    as_options = partial(_as_options, _named(command, sys.argv[1:] if arguments is None else arguments))
    wording.set(as_options)
    try:
        command(args=arguments)
    except RowsError as error:
        for reason in error.reasons:
            typer.echo(f"  {_shown(reason)}", err=True)
        _fail(f"{error.summary}, listed above", 2)
    except (InputError, MissingExtraError) as error:
        _fail(as_options(str(error)), 2)
    except SpatialReasonerError as error:
        _fail(as_options(str(error)), 1)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA_OF:
            raise
        _fail(f"this needs {error.name!r}, which is not installed: pip install 'spatialreasoner[{_EXTRA_OF[error.name]}]'", 2)
    except OSError as error:
        if error.filename is not None or not _is_closed(sys.stdout):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to be written cannot be, and Python would report it again
        _fail(f"cannot write to standard output: {error.strerror}", 1)
    sys.exit(0)


def _is_closed(file: IO[str]) -> bool:
    """Whether a file can no longer be written: it is closed, or its disk is full."""
    try:
        file.write(" ")
        file.flush()
    except (OSError, ValueError):
        return True
    return False


def stop(code: int, *_: object) -> NoReturn:
    """End by SystemExit, so that `finally` blocks run and files are closed; a signal handler once `code` is bound.

    Another signal does not interrupt them if it comes at once, and ends the process where it is if it comes later: what is on
    the disk is then as after SIGKILL, whole.
    """
    for sent in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sent, partial(_hurry, code, time.monotonic()))
    atexit.register(_ignore)  # while the interpreter ends, another one would end the process by the signal, without the code
    typer.echo("Interrupted. Run the same command again to resume", err=True)
    logging.getLogger("asyncio").disabled = True  # it would report the task that this is raised in, with a traceback
    sys.exit(code)


def _hurry(code: int, since: float, *_: object) -> None:
    if time.monotonic() - since > AS_ONE:
        os._exit(code)


def _ignore() -> None:
    for sent in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sent, signal.SIG_IGN)


@cache
def command_of(app: typer.Typer) -> Any:
    """The commands of an app, for parsing. typer makes them from annotations, which takes a while, so they are made once."""
    return typer.main.get_command(app)


def _named(command: Any, arguments: Sequence[str]) -> Any:
    """The command that a command line names."""
    for argument in arguments:
        command = getattr(command, "commands", {}).get(argument, command)
    return command


def _as_options(command: Any, message: str) -> str:
    """The library speaks of `max_cost`, the command line of --max-cost: a setting in backticks becomes the option's name."""
    names = {param.name: param.opts[0] for param in command.params if param.opts[0].startswith("--")}
    return re.sub(r"`(\w+)`", lambda match: names.get(match[1], match[0]), message)


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"error: {_shown(message)}", err=True)
    sys.exit(code)


def _shown(message: str) -> str:
    """One line that holds no control character: what came may be quoted in it, and must not steer a terminal."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in " ".join(message.split()))
