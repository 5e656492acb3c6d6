"""Earlier builds of this repository, to be measured beside this one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
"""Of this build."""


def check_out(ref: str, folder: Path) -> Path:
    """The sources of an earlier build, put into a folder.

    Args:
        ref: A commit or tag.
        folder: Where its `src` goes; it is made if there is none.
    """
    folder.mkdir(exist_ok=True)
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", ref, "src"], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder / "src"


def running(source: Path) -> dict[str, str]:
    """The environment of a process that runs the build of some sources."""
    return {**os.environ, "PYTHONPATH": str(source)}
