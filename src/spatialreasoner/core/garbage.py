"""Python's collection of garbage, left out where it finds none."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Generator[None]:
    """Turn the garbage collector off within the block; its previous state is restored afterwards.

    What is alive then counts as old. Else all that was made meanwhile would be looked through at once, for nothing.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            if not gc.get_freeze_count():  # else what somebody has frozen would be thawed
                gc.freeze()
                gc.unfreeze()
            gc.enable()
