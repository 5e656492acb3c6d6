"""Several processes that train one model, one core each: on a CPU that is faster than one process with as many threads."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing, nn

from spatialreasoner.core.workers import end_with_parent


def in_processes(work: Callable[..., None], count: int, *args: Any) -> None:
    """Call `work(rank, *args)` in `count` processes, which may `average`; with one, in this process.

    Args:
        work: A function of a module, since it is sent to other processes.
        count: How many processes; the machine's cores are shared out among them.
        args: Whatever else it takes.
    """
    if count == 1:
        work(0, *args)
        return
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_join, (work, count, Path(folder) / "meeting", args), nprocs=count)  # pyright: ignore[reportPrivateImportUsage]


def _join(rank: int, work: Callable[..., None], count: int, meeting: Path, args: tuple[Any, ...]) -> None:
    end_with_parent()  # the signal that torch asks for is ignored in a shell's background
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
    distributed.init_process_group("gloo", init_method=meeting.as_uri(), rank=rank, world_size=count)
    try:
        work(rank, *args)
    finally:
        distributed.destroy_process_group()


def average(parameters: Sequence[nn.Parameter]) -> None:
    """Average gradients over all processes; what a process did not use has none there, which counts as zero."""
    if not distributed.is_initialized():
        return
    gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(together)
    together /= distributed.get_world_size()
    for parameter, part in zip(parameters, together.split([each.numel() for each in parameters]), strict=True):
        parameter.grad = part.view_as(parameter)


def is_first() -> bool:
    """Whether this process is the only one, or the first of several, which writes files."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def wait_for_all() -> None:
    """Wait until all processes have come here."""
    if distributed.is_initialized():
        distributed.barrier()
