"""Libraries of C sources: built where there is a compiler, taken where they are of the source and run here."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spatialreasoner.core import native
from spatialreasoner.core.native import C_SOURCES, CSource, build_library, open_library

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")

TEXT = "const char *native_source(void) { return NATIVE_SOURCE; }\nint native_suits(void) { return 1; }\n"


@pytest.fixture
def source(tmp_path):
    def make(text=TEXT):
        path = tmp_path / "made.c"
        path.write_text(text)
        return CSource(path, fused=False)

    return make


@needs_compiler
def test_a_library_appears_beside_its_source_and_opens(source):
    made = source()
    assert open_library(made) is None
    assert build_library(made) == made.built == made.path.with_name("_made.so")
    assert isinstance(open_library(made), ctypes.CDLL)
    assert [each.name for each in made.path.parent.iterdir() if each.is_dir()] == []


@needs_compiler
def test_a_library_of_another_source_or_for_another_processor_is_not_taken(source):
    made = source()
    build_library(made)
    source(TEXT + "/* changed */\n")
    assert open_library(made) is None
    build_library(source(TEXT.replace("return 1", "return 0")))
    assert open_library(made) is None


@needs_compiler
def test_what_does_not_compile_is_left_out(source):
    assert build_library(source("no C at all")) is None


def test_without_a_compiler_nothing_is_built(source, monkeypatch):
    monkeypatch.setattr(native.shutil, "which", lambda name: None)
    assert build_library(source()) is None


def test_a_file_that_is_not_a_library_is_not_taken(source, tmp_path):
    (tmp_path / "_other.so").write_bytes(b"nothing")
    assert open_library(source(), tmp_path / "_other.so") is None


def test_every_source_of_the_package_is_listed():
    package = Path(native.__file__).parents[1]
    assert sorted(package.rglob("*.c")) == sorted({each.path for each in C_SOURCES})


def test_the_builder_needs_nothing_but_the_standard_library():
    """It runs while the package is installed, before anything that the package needs."""
    code = (
        f"import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; exec(open({native.__file__!r}).read())"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"__file__ = {native.__file__!r}; __name__ = 'builder'; {code}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
