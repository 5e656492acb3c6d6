"""Starting the app."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from spatialreasoner.app.config import AppConfig
from spatialreasoner.core.errors import ConfigError, MissingExtraError


def serve(config: AppConfig) -> None:
    """Serve the app until it is interrupted.

    Raises:
        InputError: If a model, a folder or the port cannot be used.
        MissingExtraError: If what serves the app, or what a model needs, is not installed.
    """
    with running(config) as url:
        print(f"The app is at {url} (Ctrl-C ends it)", flush=True)  # noqa: T201 - what the command is for
        threading.Event().wait()  # for a signal: `main` turns both into SystemExit


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

    with TemporaryDirectory(prefix="spatialreasoner-app-") as folder, _listening(config) as listener:
        server = uvicorn.Server(
            uvicorn.Config(Server(App(config, Path(folder))).asgi(), log_level="warning", lifespan="off", access_log=False)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        host, port = listener.getsockname()[:2]
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(timeout=10)


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
