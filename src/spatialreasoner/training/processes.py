"""The processes of one run, as `accelerate launch` and `torchrun` start them."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta


@contextmanager
def main_process_first(timeout: timedelta | None = None) -> Generator[None]:
    """Of several processes one enters the block first, while the others wait; then they find what it wrote.

    Without an accelerator accelerate takes each process for the only one unless it is told that the group is of CPUs.

    Args:
        timeout: How long the others wait; None for PyTorch's own limit of minutes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    import torch
    from accelerate import PartialState

    limit = {} if timeout is None else {"timeout": timeout}
    with PartialState(cpu=not torch.accelerator.is_available(), **limit).main_process_first():
        yield
