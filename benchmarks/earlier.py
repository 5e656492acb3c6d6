"""Earlier builds of this repository, to be measured beside this one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
"""Of this build."""


def check_out(ref: str, folder: Path) -> Path:
    """The sources of an earlier build, put into a folder, with the libraries that an installation builds of them.

    Args:
        ref: A commit or tag.
        folder: Where its `src` goes; it is made if there is none.
    """
    folder.mkdir(exist_ok=True)
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", ref, "src"], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    source = folder / "src"
    if (source / "spatialreasoner" / "core" / "native.py").is_file():
        subprocess.run([sys.executable, "-m", "spatialreasoner.core.native"], check=True, env=running(source))
    return source


def nano_of(ref: str, folder: Path) -> tuple[Path, Path]:
    """The weights of the nano that a commit ships, as builds of that time read them, and as this one does.

    What the vision part has had since then is zero, so that both are the same function of an image and a text.

    Args:
        ref: A commit or tag, of architecture 1.
        folder: Where they are put; it is made if there is none.
    """
    import torch
    from safetensors.torch import load_file, save_file

    from spatialreasoner.nano.shipped import NANO

    before, now = check_out(ref, folder) / "spatialreasoner" / "nano" / "weights", folder / "now"
    shutil.copytree(before, now)
    weights, present = (load_file(each / "model.safetensors") for each in (before, NANO.folder))
    wider = "model.region_tokens.estimates.weight"
    values, count = present[wider].shape[1] - weights[wider].shape[1], 11  # an octave more, of sines and of cosines
    assert values == 2 * count
    plain, *waves = weights[wider].split([count, *[(weights[wider].shape[1] - count) // 2] * 2], dim=1)
    padded = (torch.nn.functional.pad(each.unflatten(1, (count, -1)), (0, 1)).flatten(1) for each in waves)
    weights[wider] = torch.cat([plain, *padded], dim=1)
    weights |= {name: torch.zeros_like(each) for name, each in present.items() if name not in weights}
    save_file(weights, now / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((now / "config.json").read_text("utf-8"))
    (now / "config.json").write_text(json.dumps({**config, "architecture_version": NANO.architecture_version}), "utf-8")
    return before, now


@contextmanager
def conversing(source: Path, *command: object) -> Generator[Callable[[object], Iterator[str]]]:
    """A process of a build that is told one line after the other.

    Args:
        source: Sources of the build.
        command: A program in Python and its arguments.

    Yields:
        A function that tells a line, and gives the lines that the process says from then on; it waits for each.
    """
    given = [sys.executable, *map(str, command)]
    with subprocess.Popen(given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=running(source)) as process:
        told, said = process.stdin, process.stdout
        assert told is not None
        assert said is not None

        def tell(line: object) -> Iterator[str]:
            print(line, file=told, flush=True)
            return said

        yield tell
        told.close()


def running(source: Path) -> dict[str, str]:
    """The environment of a process that runs the build of some sources."""
    return {**os.environ, "PYTHONPATH": str(source)}
