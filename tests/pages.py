"""Documentation pages as lists of code blocks, with the marks that say how each is tested.

Marks are HTML comments, so readers never see them:

- ``<!-- given: questions.jsonl pairs -->``: what follows is run in a new folder that holds these things (`workshop.GIVEN`);
- ``<!-- needs: gpu -->``: the next block is checked as far as it can be, but not run, for lack of these things (`NEEDS`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]

NEEDS = {
    "gpu": "a GPU",
    "network": "the Hub or another host",
    "endpoint": "a model behind an endpoint",
    "cluster": "other machines",
    "browser": "somebody who looks at a page",
    "minutes": "more time than a test has",
    "nano": "the weights of the embedded model, where they are not installed",
    "names": "names of the reader's own in the places of FOLDER, MODEL and the like",
    "packages": "packages that the project does not depend on",
}
"""What a block may lack here, and what that means."""

_MARK = re.compile(r"<!-- (given|needs): ([^<>]*) -->")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block of a page.

    Attributes:
        where: The page and the line of its fence, as `path:line`.
        language: The first word of its fence, in lower case.
        text: What is inside.
        needs: What it lacks to be run.
        given: The things in the new folder that it begins with; None continues in the folder of the block before it.
    """

    where: str
    language: str
    text: str
    needs: frozenset[str] = frozenset()
    given: tuple[str, ...] | None = None


def pages() -> list[Path]:
    """Every page whose blocks are tested."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page with their marks, those in tabs and admonitions of the site included.

    Raises:
        AssertionError: If a mark says what nobody knows, or marks nothing.
    """
    name = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
    found: list[Block] = []
    needs: frozenset[str] = frozenset()
    given: tuple[str, ...] | None = ()
    where = str(name)
    for kind, line, info, text in _parts(page.read_text("utf-8"), 1):
        where = f"{name}:{line}"
        if kind == "given":
            given = tuple(text.split())
        elif kind == "needs":
            needs = frozenset(re.split(r"[ ,]+", text.strip()))
            assert needs <= NEEDS.keys(), f"{where}: expected needs among {', '.join(NEEDS)}; got {text!r}"
        else:
            found.append(Block(where=where, language=(info.split() or [""])[0].lower(), text=text, needs=needs, given=given))
            needs, given = frozenset(), None
    assert not needs, f"{where}: a mark of needs stands before no block"
    return found


def _parts(text: str, first_line: int) -> Iterator[tuple[str, int, str, str]]:
    """Marks and blocks in order: kind, line, info string, text."""
    for token in MarkdownIt("commonmark").parse(text):
        line = first_line + (token.map[0] if token.map else 0)
        if token.type == "fence":
            yield "block", line, token.info.strip(" {}.").replace("{", " "), token.content
        elif token.type == "code_block" and "```" in token.content:  # what is in a tab is indented
            yield from _parts(token.content, line)
        elif token.type == "html_block":
            for kind, value in _MARK.findall(token.content):
                yield kind, line, "", value


def stands_in(block: Block, names: dict[str, str]) -> Block:
    """The block with some names replaced, the longest first."""
    text = block.text
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, names[name])
    return replace(block, text=text)
