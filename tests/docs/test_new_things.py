"""Where new things go: each example of the architecture page works with one file and one line elsewhere, as the page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import spatialreasoner
from pages import ROOT, blocks

PAGE = ROOT / "docs/architecture.md"
PACKAGE = Path(spatialreasoner.__file__).parent
MOST_LINES = 20
"""Lines of an example without its empty ones."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The package as links, whose command line and importers can be added to."""
    for room in (".", "cli", "scenes", "scenes/importers"):
        folder = tmp_path / "spatialreasoner" / room
        folder.unlink(missing_ok=True)
        folder.mkdir()
        for path in (PACKAGE / room).iterdir():
            if path.name != "__pycache__":
                (folder / path.name).symlink_to(path)
    return tmp_path


def example(sign: str) -> str:
    """The block of the page that holds some words."""
    (found,) = [block.text for block in blocks(PAGE) if sign in block.text]
    return found


def add_line(file: Path, before: str, line: str) -> None:
    """Write one line that the page names into a file, before another."""
    assert f"`{line}`" in PAGE.read_text("utf-8")
    text = file.read_text("utf-8")
    assert text.count(before) == 1
    file.unlink()
    file.write_text(text.replace(before, f"{line} {before}"))


def run(checkout: Path, *arguments: object) -> str:
    """What the command line of a checkout prints."""
    command = [sys.executable, "-m", "spatialreasoner", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_scene_format_and_a_command_take_one_file_and_one_line(checkout: Path) -> None:
    importers, cli = checkout / "spatialreasoner/scenes/importers", checkout / "spatialreasoner/cli"
    (importers / "csv_depth.py").write_text(example("IMPORTER = "))
    add_line(importers / "__init__.py", '"record3d": ', '"csv": "csv_depth.IMPORTER",')
    (cli / "count.py").write_text(example("def count("))
    add_line(cli / "__init__.py", '"measure": ', '"count": "count",')
    (checkout / "capture").mkdir()
    np.savetxt(checkout / "capture/depth.csv", np.full((60, 80), 2500), delimiter=",")
    assert "1 scenes of 1 frames in out, read as csv" in run(checkout, "scenes", "import", "capture", "--out", "out")
    assert run(checkout, "count", "out") == "0\n"
    assert "Count the regions of a scenes folder." in run(checkout, "count", "--help")


def test_a_policy_takes_one_file_and_one_line(checkout: Path, scene: object) -> None:
    (checkout / "my_package").mkdir()
    (checkout / "my_package/echo.py").write_text(example("def open_echo("))
    points = example("entry-points").replace("[project.entry-points.", "[").replace('"', "")
    installed = checkout / "my_package-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(points)
    run(checkout, "questions", checkout / "scenes", "--per-scene", 1, "--out", "questions.jsonl")
    run(checkout, "generate", "questions.jsonl", "--model", "echo:About 1 m.", "--out", "answers.jsonl")
    assert "About 1 m." in (checkout / "answers.jsonl").read_text()


@pytest.mark.parametrize("sign", ["class ShortAnswers", "class Echo", "IMPORTER = ", "def count("])
def test_an_example_is_short(sign: str) -> None:
    lines = [line for line in example(sign).splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES
