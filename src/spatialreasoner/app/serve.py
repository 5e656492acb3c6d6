"""Starting the app."""

from __future__ import annotations

import logging
import os
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
        MissingExtraError: If gradio, or what a model needs, is not installed.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with running(config) as url:
        print(f"The app is at {url} (Ctrl-C ends it)", flush=True)  # noqa: T201 - what the command is for
        _wait()


@contextmanager
def running(config: AppConfig) -> Generator[str]:
    """The app as long as the context lasts; gives its address.

    Raises:
        InputError: If a model, a folder or the port cannot be used.
        MissingExtraError: If gradio, or what a model needs, is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    if find_spec("gradio") is None:
        raise MissingExtraError("the app needs gradio: pip install 'spatialreasoner[app]'")
    from spatialreasoner.app.page import ASSETS, build_page, theme
    from spatialreasoner.app.service import App

    with TemporaryDirectory(prefix="spatialreasoner-app-") as folder:
        page = build_page(App(config, Path(folder)))
        page.queue(max_size=config.queue, default_concurrency_limit=4)
        try:
            _, local, public = page.launch(
                server_name=config.host, server_port=config.port or None, share=config.share, prevent_thread_lock=True,
                quiet=True, show_error=False, footer_links=[], run_history=False, enable_monitoring=False, ssr_mode=False,
                mcp_server=False, pwa=False, max_file_size=config.max_megabytes * 1_000_000, state_session_capacity=1000,
                theme=theme(), css_paths=ASSETS / "page.css",
            )  # fmt: skip
        except OSError as error:
            raise ConfigError(f"the app cannot listen at {config.host}:{config.port}: {error}; choose another --port") from None
        try:
            yield public or local
        finally:
            page.close(verbose=False)


def _wait() -> None:
    """Wait for a signal: `main` turns both into SystemExit."""
    import threading

    threading.Event().wait()
