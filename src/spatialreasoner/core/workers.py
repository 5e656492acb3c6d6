"""Processes that work for another one."""

from __future__ import annotations

import os
from multiprocessing import connection, parent_process
from threading import Thread


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, killed ones too: it would wait for work for ever.

    For a process of `multiprocessing`; in any other nothing happens.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()
