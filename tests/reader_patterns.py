"""The modules that read, and the patterns that they hold."""

import pkgutil
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType

from spatialreasoner.language.scan import LAZY


def modules_of(package: ModuleType) -> list[ModuleType]:
    """The modules of a package."""
    return [import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)]


def lazy_patterns(modules: Iterable[ModuleType]) -> Iterator["re.Pattern[str]"]:
    """What modules hold of `lazily`; what one takes from another comes twice."""
    return (held for module in modules for held in vars(module).values() if isinstance(held, LAZY))
