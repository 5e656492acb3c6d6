"""Every message that the page of troubles quotes is one that the source can still say."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUOTES = re.findall(r"^```text\nerror: (.+)\n```$", (ROOT / "docs" / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
LEAST = 10
"""Minimum number of fixed characters of a message; a template with fewer is a mere frame around another one's."""


def template(node):
    """The pattern of a string, anything in place of its fields; None of one that fixes too little."""
    values = node.values if isinstance(node, ast.JoinedStr) else [node]
    fixed = [value.value if isinstance(value, ast.Constant) else None for value in values]
    if sum(len(text) for text in fixed if text) < LEAST:
        return None
    return re.compile("".join(".*?" if text is None else as_shown(text) for text in fixed))


def as_shown(text):
    """The command line shows a setting in backticks as an option, `max_cost` as --max-cost."""
    return re.sub(r"`(\w+)`", lambda name: f"(?:`{name[1]}`|--{name[1].replace('_', '-')})", re.escape(text))


def raised(tree):
    """The first argument of every error that a module raises, also where a helper of the command line fails with it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.JoinedStr | ast.Constant):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if (name.endswith("Error") or name == "_fail") and isinstance(getattr(node.args[0], "value", ""), str):
                yield node.args[0]


@cache
def templates():
    trees = (ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / "src").rglob("*.py")))
    return [found for tree in trees for node in raised(tree) if (found := template(node))]


def test_the_page_quotes_enough():
    assert len(QUOTES) >= 15


@pytest.mark.parametrize("quote", QUOTES)
def test_the_source_says_what_is_quoted(quote):
    assert any(pattern.fullmatch(quote) for pattern in templates())


def test_a_changed_message_would_be_seen():
    assert not any(pattern.fullmatch("expected a file in x.jsonl; there is none") for pattern in templates())
