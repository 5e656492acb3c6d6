"""Starting the app."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

from spatialreasoner.app.config import AppConfig
from spatialreasoner.core.errors import ConfigError, MissingExtraError

ENDING = 2.0
"""Longest that the end waits for requests at work, seconds."""

REMOVALS = 20
"""How often it is tried to remove visitors' files."""


def serve(config: AppConfig) -> None:
    """Serve the app until it is interrupted; by SystemExit, the process ends here.

    Raises:
        InputError: If a model, a folder or the port cannot be used.
        MissingExtraError: If what serves the app, or what a model needs, is not installed.
    """
    try:
        with ExitStack() as ending, running(config) as url:
            print(f"The app is at {url} (Ctrl-C ends it)", flush=True)  # noqa: T201 - what the command is for
            try:
                threading.Event().wait()  # for a signal: `main` turns both into SystemExit
            finally:
                for sent in (signal.SIGINT, signal.SIGTERM):  # the end removes visitors' files, and is soon over
                    ending.callback(signal.signal, sent, signal.signal(sent, signal.SIG_IGN))
    except SystemExit as ended:  # the interpreter would wait for threads: one may measure an image, or wait for a model
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)


@contextmanager
def running(config: AppConfig) -> Generator[str]:
    """The app as long as the context lasts; gives its address.

    Raises:
        InputError: If a model, a folder or the port cannot be used.
        MissingExtraError: If what serves the app, or what a model needs, is not installed.
    """
    if any(find_spec(name) is None for name in ("starlette", "uvicorn", "python_multipart")):
        raise MissingExtraError("the app needs starlette and uvicorn: pip install 'spatialreasoner[app]'")
    import uvicorn

    from spatialreasoner.app.server import Server
    from spatialreasoner.app.service import App

    with _folder() as folder, _listening(config) as listener:
        server = uvicorn.Server(
            uvicorn.Config(Server(App(config, Path(folder))).asgi(), log_level="warning", lifespan="off", access_log=False)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        host, port = listener.getsockname()[:2]
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        finally:
            with _unsaid("uvicorn.error"):  # it would report each answer that ends here, with a traceback
                server.should_exit = server.force_exit = True
                thread.join(ENDING)


@contextmanager
def _unsaid(logger: str) -> Generator[None]:
    """Nothing is logged under this name meanwhile."""
    log = logging.getLogger(logger)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextmanager
def _folder() -> Generator[str]:
    """A folder for visitors' files, which is gone afterwards, even if a thread still wrote into it when it was removed."""
    folder = mkdtemp(prefix="spatialreasoner-app-")
    try:
        yield folder
    finally:
        for _ in range(REMOVALS):
            shutil.rmtree(folder, ignore_errors=True)
            if not Path(folder).exists():
                break


@contextmanager
def _listening(config: AppConfig) -> Generator[socket.socket]:
    """A socket that visitors can connect to at once: what they ask waits until the app is ready."""
    try:
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        listener = socket.create_server((config.host, config.port), family=family, backlog=128)
    except OSError as error:
        raise ConfigError(f"the app cannot listen at {config.host}:{config.port}: {error}; choose another `port`") from None
    with listener:
        yield listener
