"""Names of the last version. They are accepted for one version, with a warning that says the new name."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from spatialreasoner.core.errors import ConfigError


def to_new_names(
    values: Mapping[str, Any], names: Mapping[str, str], *, quiet: bool = False, stacklevel: int = 3
) -> dict[str, Any]:
    """Settings under today's names.

    Args:
        values: Settings under old or new names.
        names: The old name of each setting that has another one now, and that.
        quiet: No warning: the names are those of a saved run, which its user cannot change.
        stacklevel: How many calls up the warning points, as in `warnings.warn`.

    Raises:
        ConfigError: If a setting is given under both of its names.
    """
    if names.keys().isdisjoint(values):
        return dict(values)
    found: dict[str, Any] = {}
    for name, value in values.items():
        new = names.get(name, name)
        if new != name:
            if new in values:
                raise ConfigError(f"{name} is the old name of {new}; give the setting once, as {new}")
            if not quiet:
                warnings.warn(f"the setting {name} is now called {new}", FutureWarning, stacklevel=stacklevel)
        found[new] = value
    return found


_C = TypeVar("_C", bound=Callable[..., Any])


def accepts_old_names(renew: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Callable[[_C], _C]:
    """Let a function be called, or a dataclass be made, with old names of keywords as well; its fields have the new ones.

    Args:
        renew: Given keywords under old or new names, returns them under the new ones.
    """

    def decorate(kind: _C) -> _C:
        call: Any = kind.__init__ if isinstance(kind, type) else kind

        @wraps(call)
        def renewed(*args: Any, **kwargs: Any) -> Any:
            return call(*args, **renew(kwargs))

        changed: Any = kind
        if not isinstance(kind, type):
            return renewed  # pyright: ignore[reportReturnType] - it takes what the function takes, and more
        changed.__init__ = renewed
        return changed

    return decorate


def importable_by_old_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """What a module needs so that its classes and functions can be imported by their old names: its `__getattr__`.

    Args:
        module: The module, its `__name__`.
        names: The old name of each with its name now.
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{name} is now called {names[name]}", FutureWarning, stacklevel=2)
        return getattr(sys.modules[module], names[name])

    return get
