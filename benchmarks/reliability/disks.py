"""Full disks, folders that cannot be written, clocks that jump: a clear failure, nothing lost, and the same end later."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reliability.killing import differences, ended, half_written, wait_for_change
from reliability.places import Stage

FULL = 8192
"""Bytes of a disk on which no stage can write all that it has."""

CLOCK = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
"""Debian's `libfaketime`."""


def try_all(stages: Sequence[Stage], folder: Path) -> bool:
    """Try all stages, which were done once in `folder`; prints the table, returns whether something did not hold."""
    tries: dict[str, Callable[[Stage, Path], list[str]]] = {
        "full disk": full_disk, "read-only folder": read_only, "jumping clock": jumping_clock,
    }  # fmt: skip
    hurt = False
    print(f"\n{'trouble':<18} {'stages':>6} problems")
    for name, attempt in tries.items():
        if attempt is jumping_clock and not CLOCK.exists():
            print(f"{name:<18} {0:>6} not tried: install libfaketime (apt-get install libfaketime)")
            continue
        problems = [f"{stage.name}: {problem}" for stage in stages for problem in attempt(stage, folder)]
        print(f"{name:<18} {len(stages):>6} {'; '.join(problems) or 'none'}", flush=True)
        hurt = hurt or bool(problems)
    return hurt


def full_disk(stage: Stage, folder: Path) -> list[str]:
    """A disk of two pages, then one with room: a small tmpfs for root, else a limit on the size of files."""
    if os.geteuid() != 0:
        return _without_mounting(stage, folder)
    with _mounted(folder, f"size={FULL}") as out:
        problems = _fails(stage, folder, out)
        _mount("-o", "remount,size=500m", str(out))
        return problems + _goes_on(stage, folder, out)


def _without_mounting(stage: Stage, folder: Path) -> list[str]:
    out, before = folder / "limited" / stage.name, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, before[1]))
    try:
        problems = _fails(stage, folder, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return problems + _goes_on(stage, folder, out)


def read_only(stage: Stage, folder: Path) -> list[str]:
    """A folder that cannot be written, then one that can; root, whom modes do not bind, mounts it so."""
    if os.geteuid() == 0:
        with _mounted(folder, "size=500m") as out:
            _mount("-o", "remount,ro", str(out))
            problems = _fails(stage, folder, out)
            _mount("-o", "remount,rw", str(out))
            return problems + _goes_on(stage, folder, out)
    out = folder / "locked" / stage.name
    out.mkdir(parents=True)
    out.chmod(0o555)
    problems = _fails(stage, folder, out)
    out.chmod(0o755)
    return problems + _goes_on(stage, folder, out)


def jumping_clock(stage: Stage, folder: Path) -> list[str]:
    """A clock ten years slow that jumps an hour back while the stage works, which is killed; it goes on ten years ahead."""
    out, dial = folder / "clock" / stage.name.replace(" ", "-"), folder / "clock.txt"
    clock = {
        "LD_PRELOAD": str(CLOCK), "FAKETIME_TIMESTAMP_FILE": str(dial), "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    dial.write_text("-10y")
    process = stage.start(folder / "inputs", out, environment=clock)
    wait_for_change(process, out, {})
    dial.write_text("-87601h")
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
    code, said = ended(process)
    dial.write_text("+10y")
    problems = [] if code in (0, 143) else [f"it ended with {code}: {' '.join(said[-300:].split())}"]
    return problems + _goes_on(stage, folder, out, clock)


def _fails(stage: Stage, folder: Path, out: Path) -> list[str]:
    code, said = ended(stage.start(folder / "inputs", out))
    told = said.count("error: ") == 1 and "Traceback" not in said and "cannot" in said
    problems = [] if code == 1 and told else [f"it ended with {code}: {' '.join(said[-300:].split())}"]
    return problems + half_written(out)


def _goes_on(stage: Stage, folder: Path, out: Path, environment: dict[str, str] | None = None) -> list[str]:
    code, said = ended(stage.start(folder / "inputs", out, environment=environment))
    problems = [] if code == 0 else [f"afterwards it ended with {code}: {' '.join(said[-300:].split())}"]
    return problems + differences(folder / stage.name.replace(" ", "-") / "whole", out)


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[Path]:
    """A disk of its own, as deep in the folders as the undisturbed run."""
    out = folder / "disk" / "here"
    out.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", options, "tmpfs", str(out))
    try:
        yield out
    finally:
        subprocess.run(["umount", str(out)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
