"""Promises of the package as a whole."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import spatialreasoner
from spatialreasoner.core.native import C_SOURCES

HEAVY = {"torch", "transformers", "trl", "uvicorn", "ray", "datasets", "sklearn", "scipy", "matplotlib"}


@pytest.mark.parametrize("statement", ["import spatialreasoner", "from spatialreasoner.cli import main; main(['--help'])"])
def test_start_up_imports_nothing_heavy(statement: str) -> None:
    code = f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\nprint('\\nMODULES', *sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(run.stdout.rpartition("MODULES")[2].split())


def test_all_names_what_is_there() -> None:
    libraries = {source.built.stem for source in C_SOURCES}  # of C, which pkgutil takes for modules by their ending
    for info in pkgutil.walk_packages(spatialreasoner.__path__, "spatialreasoner."):
        if info.name.rpartition(".")[2] in libraries:
            continue
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{info.name}.__all__ names {name!r}, which is not there"
