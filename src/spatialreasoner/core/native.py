"""Builds the package's C sources into libraries beside them, with whatever C compiler there is, and opens them.

    python -m spatialreasoner.core.native

Installing the package does the same (`hatch_build.py`), so nothing of the package may be imported here. Without a compiler, or
on a system that is not POSIX, there is no library, and all that it would do is done by PyTorch and numpy.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

_PACKAGE = Path(__file__).parents[1]
_COMMON = Path(__file__).with_name("native.h")
_FLAGS = ("-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
_X86 = ("-mavx2", "-mfma")
_X86_WIDE = (*_X86, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl")
"""A library is taken only where the processor has these."""
_MODULE = ("-ldl", *(["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []))


class CSource(NamedTuple):
    """A source, which tells by `native_source` and `native_suits` (`native.h`) what it was built of and whether it runs here.

    Attributes:
        path: The file.
        fused: Whether the compiler may round a product and a sum as one.
        wide: Whether the library is for processors with vectors of 512 bits, which not all have.
        module: Whether the library is a module of Python, which runs on every processor and tells its source as `SOURCE`.
        parts: Headers beside the file that it includes.
    """

    path: Path
    fused: bool
    wide: bool = False
    module: bool = False
    parts: tuple[str, ...] = ()

    @property
    def built(self) -> Path:
        """Where its library is."""
        return self.path.with_name(f"_{self.path.stem}{'_wide' if self.wide else ''}.so")

    def digest(self) -> str:
        """A digest of the file, of its own headers and of the one that all include."""
        files = (_COMMON, *(self.path.with_name(each) for each in self.parts), self.path)
        return hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()[:32]


DECODER = CSource(
    _PACKAGE / "nano" / "native" / "decoder.c",
    fused=True,
    parts=("panels.h", "attention.h", "sketch.h", "seeing.h", "regions.h"),
)
WIDE_DECODER = DECODER._replace(wide=True)
ROOMS = CSource(_PACKAGE / "scenes" / "synthetic" / "native" / "rooms.c", fused=False)
FURNISHING = CSource(_PACKAGE / "scenes" / "synthetic" / "native" / "furnish.c", fused=False)
PNG_LINES = CSource(_PACKAGE / "scenes" / "native" / "png.c", fused=False)
NEARBY = CSource(_PACKAGE / "scenes" / "native" / "nearest.c", fused=False)
PATTERNS = CSource(
    _PACKAGE / "language" / "native" / "patterns.c",
    fused=False,
    module=True,
    parts=("sieve.h", "tables.h", "naming.h", "reading.h"),
)


def _is_x86() -> bool:
    return platform.machine().lower() in {"x86_64", "amd64"}


C_SOURCES = (DECODER, ROOMS, FURNISHING, PNG_LINES, NEARBY, PATTERNS, *([WIDE_DECODER] if _is_x86() else []))
"""What is built on this kind of machine."""


def build_library(source: CSource, target: Path | None = None) -> Path | None:
    """Build a library; None if that cannot be done.

    Args:
        source: What of.
        target: Where it is written, by default beside the source; it appears there whole or not at all.
    """
    target = target or source.built
    compiler = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None)
    if compiler is None or os.name != "posix" or sys.byteorder != "little":
        return None
    import sysconfig  # takes as long as two replies, and only who builds needs it

    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        flags = [
            *_FLAGS,
            *((_X86_WIDE if source.wide else _X86) if _is_x86() and not source.module else ()),
            f"-ffp-contract={'fast' if source.fused else 'off'}",
            *([f"-I{sysconfig.get_path('include')}"] if source.module else []),
        ]
        defined = f'-DNATIVE_SOURCE="{source.digest()}"'
        command = [compiler, *flags, defined, str(source.path), "-o", str(made), "-lm", *(_MODULE if source.module else ())]
        if subprocess.run(command, capture_output=True, check=False).returncode or not made.is_file():
            return None
        made.chmod(made.stat().st_mode & 0o666)
        return made.replace(target)


def open_library(source: CSource, path: Path | None = None) -> ctypes.CDLL | None:
    """A library, by default the one beside its source; None if it is missing, of another source or for another processor."""
    path = path or source.built
    if not path.is_file():
        return None
    try:
        library = ctypes.CDLL(str(path))
        library.native_source.restype = ctypes.c_char_p
        fits = library.native_source() == source.digest().encode() and library.native_suits()
    except (OSError, AttributeError):  # of another system, or not ours
        return None
    return library if fits else None


def open_module(source: CSource, path: Path | None = None) -> ModuleType | None:
    """A module of Python, by default the one beside its source; None if it is missing, of another source or cannot run here."""
    spec = spec_from_file_location(f"_{source.path.stem}", path or source.built)
    assert spec is not None
    assert spec.loader is not None
    try:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError:
        return None
    return module if source.digest() == module.SOURCE else None


def address(values: np.ndarray[Any, Any]) -> ctypes.c_void_p:
    """Where an array's numbers are, as libraries take it; the array must be contiguous, and kept meanwhile."""
    return ctypes.c_void_p(values.ctypes.data)


if __name__ == "__main__":
    made = [build_library(each) for each in C_SOURCES]
    sys.exit("not all was built: is there a C compiler?" if None in made else 0)
