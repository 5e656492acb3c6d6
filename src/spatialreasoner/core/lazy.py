"""Public names of a package that are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """What a package needs so that taking a name from it imports that name's module, and importing the package does not.

    Type checkers and editors do not run it: beside the call, the package imports the same names under `TYPE_CHECKING`.

    Args:
        package: The package, its `__name__`.
        homes: Each public name with its module; one that begins with a dot is the package's own.

    Returns:
        The package's `__getattr__` and `__dir__`.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name], package), name)

    def listing() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, listing
