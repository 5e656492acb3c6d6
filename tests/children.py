"""Work in a process of its own that a test may kill; forked, so that all that is heavy is imported and made already."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable


def begin(work: Callable[[], object]) -> int:
    """Start work in a child process.

    Returns:
        The child's process id, for `os.kill` and `os.waitpid`. It ends with status 0 if the work did, else with 1; what the
        work writes to standard error is lost.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: threads of a test's server may hold a lock; none needs it
        child = os.fork()
    if child == 0:
        status = 1
        try:
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 2)
            work()
            status = 0
        finally:
            os._exit(status)
    return child
