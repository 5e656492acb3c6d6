"""A public name means one thing: no two modules define the same one, of the package or of the research beside it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "spatialreasoner"

SAME = {"search"}
"""One work at two heights: a stage, and what it does with one question."""

PLUGINS = {"scenes/importers": {"IMPORTER"}, "scenes/annotations": {"read", "detect"}, "cli": {"OPTIONS"}}
"""Rooms whose modules are all alike: each has the same names, by which the room finds them."""


def modules() -> Iterator[tuple[str, Path]]:
    """All modules: a module's place, in the package or, with that folder before it, in `research`."""
    for root, begin in ((SOURCE, SOURCE), (ROOT / "research", ROOT)):
        for module in root.rglob("*.py"):
            yield str(module.relative_to(begin)), module


def defined(module: Path) -> Iterator[str]:
    """Public names that a module defines; what it imports is not its own."""
    for node in ast.parse(module.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))


def is_shared(name: str, place: str) -> bool:
    """Whether others may define the name as well: loggers, mains, commands, and what plugins are found by."""
    room = Path(place).parent
    command = str(room) == "cli" and name == Path(place).stem  # its stage has the same name
    return command or name.startswith("_") or name in {"logger", "main"} or name in PLUGINS.get(str(room), ())


def test_no_public_name_is_defined_twice():
    places: dict[str, set[str]] = defaultdict(set)
    for place, module in modules():
        for name in defined(module):
            if not (is_shared(name, place) or name in SAME):
                places[name].add(place)
    assert len({place for found in places.values() for place in found if place.startswith("research/")}) > 20
    assert {name: sorted(found) for name, found in places.items() if len(found) > 1} == {}


def test_names_do_not_differ_by_their_case_alone():
    classes: dict[str, set[str]] = defaultdict(set)
    for _, module in modules():
        for name in defined(module):
            if name[0].isupper() and not name.isupper():
                classes[name.lower()].add(name)
    assert {name: found for name, found in classes.items() if len(found) > 1} == {}
