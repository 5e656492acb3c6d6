"""Earlier names of public classes and functions. They are accepted for one version, with a warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def earlier_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """What a module needs so that its earlier names can still be imported: its `__getattr__`.

    Args:
        module: The module, its `__name__`.
        names: The earlier name of each with its name now.
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{name} is now called {names[name]}", FutureWarning, stacklevel=2)
        return getattr(sys.modules[module], names[name])

    return get
