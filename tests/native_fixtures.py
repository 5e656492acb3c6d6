"""Libraries of C sources as they are now, whatever was built before."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spatialreasoner.core.native import PATTERNS, CSource, build_library, open_library, open_module


@contextmanager
def built_anew(source: CSource, folder: Path, module: ModuleType, find: Any) -> Generator[Any]:
    """What the cached `find` finds while `module` opens a library that is built here; skips where there is no compiler."""
    made = build_library(source, folder / source.built.name)
    if made is None:
        pytest.skip("no C compiler")
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "open_library", lambda source, path=None: open_library(source, path or made))
    find.cache_clear()
    found = find()
    assert found is not None
    yield found
    patch.undo()
    find.cache_clear()


@contextmanager
def built_patterns(folder: Path, *modules: ModuleType) -> Generator[ModuleType]:
    """The module of patterns, built here, while `modules` take it for theirs; skips where it cannot be built."""
    made = build_library(PATTERNS, folder / PATTERNS.built.name)
    native = open_module(PATTERNS, made) if made else None
    if native is None:
        pytest.skip("no C compiler, or no PCRE2")
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            patch.setattr(module, "pattern_module", lambda: native)
        yield native
