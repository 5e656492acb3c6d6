"""Commands of the program, each in a process of its own, forked from one that has imported already what they need.

Starting Python and importing takes a command a second and more; hundreds of cases would take an hour.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

LIGHT = (
    *("spatialreasoner.cli.generate", "spatialreasoner.cli.search", "spatialreasoner.cli.ask", "spatialreasoner.cli.pairs"),
    *("spatialreasoner.pipeline.generating", "spatialreasoner.pipeline.searching", "spatialreasoner.pipeline.pairing"),
    *("spatialreasoner.inference.endpoint", "spatialreasoner.inference.backends.api", "spatialreasoner.inference.desk"),
    *("httpx2", "genai_prices", "PIL.Image", "anyio._backends._asyncio", "scipy.ndimage", "truststore"),
)
HEAVY = (*LIGHT, "torch", "transformers", "trl", "spatialreasoner.training.run", "spatialreasoner.training.sft")


class Zygote:
    """A process that forks commands.

    Args:
        modules: What it imports first.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._pipe, theirs = Pipe()
        subprocess.Popen([sys.executable, __file__, str(theirs.fileno()), *modules], pass_fds=[theirs.fileno()])
        theirs.close()

    def start(
        self,
        arguments: list[str],
        files: tuple[str, str],
        cwd: Path,
        env: Mapping[str, str],
        before: Callable[[], object] | None,
    ) -> int:
        """Fork a command, which writes into two files; its process id."""
        self._pipe.send((arguments, files, str(cwd), dict(env), before))
        return self._pipe.recv()

    def ended(self, seconds: float) -> tuple[int, int] | None:
        """Its exit code and the most memory that it held, kilobytes, if it ends in time."""
        return self._pipe.recv() if self._pipe.poll(seconds) else None


def serve(pipe: Connection) -> None:
    """Fork what is asked for, one command at a time, until the pipe is closed."""
    while True:
        try:
            asked = pipe.recv()
        except EOFError:
            return
        child = os.fork()
        if child == 0:
            pipe.close()
            become(*asked)
        pipe.send(child)
        _, status, usage = os.wait4(child, 0)
        with suppress(BrokenPipeError):  # who asked has ended
            pipe.send((os.waitstatus_to_exitcode(status), usage.ru_maxrss))


def become(
    arguments: list[str], files: tuple[str, str], cwd: str, env: dict[str, str], before: Callable[[], object] | None
) -> None:
    """Be the command, to its end."""
    for number, path in enumerate(files, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["spatialreasoner", *arguments]
    code = 99
    try:
        if before is not None:
            before()
        importlib.import_module("spatialreasoner.cli").main(arguments)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    for module in sys.argv[2:]:
        importlib.import_module(module)
    serve(Connection(int(sys.argv[1])))
