"""Tests use what is public: few look at what a module or an object keeps to itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent

MOST = 8
"""Places that look: laws of one inner function against a slow oracle, and what is kept in memory, which nothing tells."""


def is_private(name: str) -> bool:
    """Whether a name is a module's or an object's own."""
    return name.startswith("_") and not name.startswith("__")


def looked_at(module: Path) -> Iterator[str]:
    """Private names of others that a module of tests takes."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            if owner not in {"self", "cls", "os"}:
                yield f"{module.relative_to(TESTS)}:{node.lineno} {owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spatialreasoner"):
            yield from (
                f"{module.relative_to(TESTS)}:{node.lineno} {each.name}" for each in node.names if is_private(each.name)
            )


def test_few_tests_look_at_what_is_private():
    found = sorted(place for module in TESTS.rglob("*.py") for place in looked_at(module))
    assert len(found) <= MOST, "\n".join(found)


def test_what_is_private_is_found(tmp_path, monkeypatch):
    module = tmp_path / "test_it.py"
    module.write_text("from spatialreasoner.core import _a\nself._b = c._d.e\nos._exit(1)\nf.__dict__\n")
    monkeypatch.setitem(looked_at.__globals__, "TESTS", tmp_path)
    assert list(looked_at(module)) == ["test_it.py:1 _a", "test_it.py:2 c._d"]
