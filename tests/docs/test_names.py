"""Names of the source that pages speak of are names of the source."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

import spatialreasoner
from pages import ROOT, pages

PACKAGE = Path(spatialreasoner.__file__).parent
PARTS = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
SPAN = re.compile(r"`([A-Za-z_][\w.]*\w)`")


def resolve(name: str) -> Any:
    """The module, class, function, attribute or field of a dotted name below the package.

    Raises:
        AttributeError: If there is none.
    """
    found: Any = spatialreasoner
    path = found.__name__
    for part in name.split("."):
        path = f"{path}.{part}"
        if part in getattr(found, "__dataclass_fields__", {}):
            return None
        try:
            found = importlib.import_module(path)
        except ModuleNotFoundError:
            found = getattr(found, part)
    return found


def follow() -> list[str]:
    """The dotted names on the page that tells, function by function, what is followed."""
    names = SPAN.findall((ROOT / "docs/papers.md").read_text("utf-8"))
    return sorted({name for name in names if "." in name and name.split(".")[0] in PARTS})


@pytest.mark.parametrize("name", follow())
def test_what_is_followed_function_by_function_is_there(name: str) -> None:
    resolve(name)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_full_names_are_there(page: Path) -> None:
    for name in SPAN.findall(page.read_text("utf-8")):
        if name.startswith("spatialreasoner."):
            resolve(name.removeprefix("spatialreasoner."))


def test_enough_names_are_looked_at_and_a_wrong_one_is_found() -> None:
    assert len(follow()) > 30
    with pytest.raises(AttributeError):
        resolve("pairs.no_such_function")
