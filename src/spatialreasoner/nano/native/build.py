"""Builds the library of `decoder.c` beside it, with whatever C compiler there is.

    python -m spatialreasoner.nano.native.build

Installing the package does the same (`hatch_build.py`), so nothing of the package may be imported here. Without a compiler, or
on a system that is not POSIX, there is no library, and all that it would do is done by PyTorch.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("decoder.c")
LIBRARY = SOURCE.with_name("_decoder.so")

_FLAGS = ("-O3", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
_X86 = ("-mavx2", "-mfma")
"""The package takes the library only where the processor has these."""


def source_digest() -> str:
    """What tells one `decoder.c` from another."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:32]


def is_x86() -> bool:
    """Whether the processor is one of Intel's or AMD's."""
    return platform.machine().lower() in {"x86_64", "amd64"}


def build_library(target: Path = LIBRARY) -> Path | None:
    """Build the library; None where that cannot be done.

    Args:
        target: Where it is written; it appears there whole or not at all.
    """
    compiler = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None)
    if compiler is None or os.name != "posix" or sys.byteorder != "little":
        return None
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        flags = [*_FLAGS, *(_X86 if is_x86() else ()), f'-DNANO_SOURCE="{source_digest()}"']
        run = subprocess.run([compiler, *flags, str(SOURCE), "-o", str(made), "-lm"], capture_output=True, check=False)
        if run.returncode or not made.is_file():
            return None
        made.chmod(made.stat().st_mode & 0o666)
        return made.replace(target)


if __name__ == "__main__":
    sys.exit(0 if build_library() else "no library was built: is there a C compiler?")
