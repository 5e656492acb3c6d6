"""Docstrings as the site shows them: what they hold as tests and as literal text becomes code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).+)*", re.MULTILINE)
_LITERAL = re.compile(r"::$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Fence examples, which Markdown would read as quotations and links, and let `::` open a block as in plain text."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one docstring before it is parsed (an event of griffe)."""
        if obj.docstring is not None:
            fenced = _EXAMPLE.sub(lambda example: f"```pycon\n{example.group()}\n```", obj.docstring.value)
            obj.docstring.value = _LITERAL.sub(":", fenced)
