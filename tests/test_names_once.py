"""A public name means one thing: no two modules define the same one."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "spatialreasoner"

VERBS = {"search", "reward", "pairs", "generate", "report", "score", "train", "demo", "explain"}
"""A command and its stage share their name, as do the search of a file of questions and that of one question."""

PLUGINS = {"scenes/importers": {"IMPORTER"}, "scenes/annotations": {"read", "detect"}}
"""Rooms whose modules are all alike: each has the same names, by which the room finds them."""


def defined(module: Path) -> Iterator[str]:
    """Public names that a module defines; what it imports is not its own."""
    for node in ast.parse(module.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))


def is_shared(name: str, place: str) -> bool:
    """Whether others may define the name as well: loggers, type variables, and what plugins are found by."""
    return name.startswith("_") or name == "logger" or len(name) == 1 or name in PLUGINS.get(str(Path(place).parent), ())


def test_no_public_name_is_defined_twice():
    places: dict[str, set[str]] = defaultdict(set)
    for module in SOURCE.rglob("*.py"):
        place = str(module.relative_to(SOURCE))
        for name in defined(module):
            if not (is_shared(name, place) or place.startswith("cli/") or (name in VERBS and not name[0].isupper())):
                places[name].add(place)
    assert {name: sorted(found) for name, found in places.items() if len(found) > 1} == {}


def test_names_do_not_differ_by_their_case_alone():
    classes: dict[str, set[str]] = defaultdict(set)
    for module in SOURCE.rglob("*.py"):
        for name in defined(module):
            if name[0].isupper() and not name.isupper():
                classes[name.lower()].add(name)
    assert {name: found for name, found in classes.items() if len(found) > 1} == {}
