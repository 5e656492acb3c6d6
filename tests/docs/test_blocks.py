"""Every code block of every page is run, or checked by what it is for; what is neither fails."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest

import commands
import forms
from pages import ROOT, Block, blocks, pages, stands_in
from spatialreasoner.nano import WEIGHTS
from workshop import GIVEN, STAND_INS, Workshop, run

pytest.importorskip("trl")

SHELL, CONSOLE, OUTPUT = {"sh", "bash", "shell"}, {"console"}, {"text", "output"}

SMALLER = {"--count": 3, "--per-scene": 2, "--max-new-tokens": 4}
"""Options whose numbers are lowered when a page's command is run."""

QUICK = ("max_steps=1", "gradient_accumulation_steps=1", "threads=1")
"""Settings that win over a page's when its training is run."""

NEVER_RUN = {"demo", "app", "study"}
"""Commands that take minutes or do not end; their blocks say that they need minutes or a browser."""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_the_page_holds(page: Path, shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks(page)):
        if block.given is not None:
            names = {"__name__": "page"}
            folder = tmp_path / str(number)
            folder.mkdir()
            monkeypatch.chdir(folder)
            for thing in block.given:
                assert thing in GIVEN, f"{block.where}: nobody can give {thing!r}; there are {', '.join(GIVEN)}"
                shop.give(thing, folder)
        with _where(block.where):
            hold(block, shop, names)


@contextlib.contextmanager
def _where(where: str):
    try:
        yield
    except (Exception, SystemExit) as error:
        raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error


def hold(block: Block, shop: Workshop, names: dict[str, Any]) -> None:
    """Run a block, or check it where it lacks something."""
    lacks = block.needs - ({"nano"} if (WEIGHTS / "model.safetensors").is_file() else set())
    if block.language in SHELL | CONSOLE:
        for words in commands.split(_typed(block)):
            commands.check(words)
        if not lacks:
            stood_in = stands_in(
                block, {name: str(shop.path(thing)) for name, thing in STAND_INS.items() if name in block.text}
            )
            for words in commands.split(_typed(stood_in)):
                execute(words)
    elif block.language == "python":
        stood_in = stands_in(block, {name: str(shop.path(thing)) for name, thing in STAND_INS.items() if name in block.text})
        code = compile(stood_in.text, block.where, "exec")
        if not lacks:
            with warnings.catch_warnings():  # other people's, which readers see, too
                warnings.simplefilter("default")
                exec(code, names)
    elif block.language in forms.CHECKS:
        with tempfile.TemporaryDirectory() as folder:
            forms.CHECKS[block.language](block.text, Path(folder))
    elif block.language == "bibtex":
        assert re.fullmatch(r"(@\w+\{[\w:-]+,\n(  \w+ += \{.*\},?\n)+\}\n)+", block.text), "expected entries of BibTeX"
    else:
        assert block.language in OUTPUT, f"nobody knows how to check {block.language!r}; output is marked by 'text'"


def _typed(block: Block) -> str:
    """What is typed: of a session all after prompts, for the rest is output."""
    if block.language in SHELL:
        return block.text
    lines = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
    assert lines, "a console block shows what is typed after '$ '"
    return "\n".join(lines)


def execute(words: list[str]) -> None:
    """Run one of our commands small, in this process; other programs are not run."""
    if words[0] != "spatialreasoner" or words[-1] in {"--help", "--version"}:
        return
    assert words[1] not in NEVER_RUN, f"mark the block of {words[1]!r}: <!-- needs: minutes --> or <!-- needs: browser -->"
    assert "$" not in shlex.join(words).replace("'$'", "$"), "mark a block with variables: <!-- needs: names -->"
    arguments = list(words[1:])
    for index, word in enumerate(arguments[:-1]):
        if word in SMALLER:
            arguments[index + 1] = str(min(int(arguments[index + 1]), SMALLER[word]))
    if arguments[0] in {"generate", "ask"} and "--max-new-tokens" not in arguments:
        arguments += ["--max-new-tokens", "4"]
    if arguments[0] == "train":
        arguments += QUICK
    run(*arguments)


BAD = {
    "an unknown option": ("```sh\nspatialreasoner pairs run --out pairs --colour red\n```\n", "--colour"),
    "a missing argument": ("```sh\nspatialreasoner questions --out questions.jsonl\n```\n", "(?i)missing"),
    "an unknown command": ("```sh\nspatialreasoner fly\n```\n", "fly"),
    "an unknown setting": (
        "<!-- needs: gpu -->\n```sh\nspatialreasoner train sft --model m --data d --out o num_train_epoch=1\n```\n",
        "did you mean 'num_train_epochs'",
    ),
    "an unknown teacher": (
        "<!-- needs: minutes -->\n```sh\nspatialreasoner search q --policy scripted:genius --out o\n```\n", "genius",
    ),
    "an unknown target": ("```sh\nmake coffee\n```\n", "coffee"),
    "an unknown program": ("```sh\nfrobnicate\n```\n", "nobody knows how to check"),
    "an unknown option of a script": ("```sh\npython benchmarks/search.py --no-such-option 1\n```\n", "--no-such-option"),
    "a missing script": ("```sh\npython examples/none.py\n```\n", "there is no examples/none.py"),
    "an unknown extra": ("```sh\npip install 'spatialreasoner[moon]'\n```\n", "no extra"),
    "an unknown option of accelerate": (
        "```sh\naccelerate launch --no-such $(which spatialreasoner) demo --out o\n```\n", "own parser",
    ),
    "an unclosed quote": ("```sh\nspatialreasoner ask 'photo.jpg\n```\n", "unexpected EOF"),
    "an unknown language": ("```cobol\nDISPLAY.\n```\n", "cobol"),
    "no language": ("```\nspatialreasoner demo\n```\n", "nobody knows"),
    "a session without a prompt": ("```console\nspatialreasoner demo\n```\n", "typed after"),
    "wrong Python": ("```python\nassert 1 == 2, 'no'\n```\n", "no"),
    "unreadable Python in a tab": ('=== "b"\n\n    <!-- needs: gpu -->\n\n    ```python\n    def\n    ```\n', "invalid"),
    "an unknown setting in YAML": ("```yaml\nlearning_rat: 1\n```\n", "did you mean 'learning_rate'"),
    "a wrong value in YAML": ("```yaml\nlearning_rate: high\n```\n", "high"),
    "an unknown key in a record": (
        '```json\n{"id": "a", "scene_id": "s", "category": "width_data", "text": "t", "region_ids": [], "answer": "x", '
        '"colour": "red"}\n```\n',
        "colour",
    ),
    "a row of no known form": ('```json\n{"colour": "red"}\n```\n', "no form"),
    "a command that does not end, unmarked": ("```sh\nspatialreasoner app\n```\n", "mark the block"),
    "a command with a variable, unmarked": ('```sh\nspatialreasoner report "$x"\n```\n', "mark a block with variables"),
    "a command that fails": ("```sh\nspatialreasoner report nowhere\n```\n", "ended with 2"),
    "an unknown need": ("<!-- needs: luck -->\n```sh\nls\n```\n", "luck"),
    "a mark without a block": ("text\n\n<!-- needs: gpu -->\n", "before no block"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_wrong_block_is_found(
    text: str,
    message: str,
    shop: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises((Exception, SystemExit), match=message):
        _hold_all(page, shop)


def _hold_all(page: Path, shop: Workshop) -> None:
    for block in blocks(page):
        hold(block, shop, {})


def test_blocks_are_found_in_tabs_and_told_apart(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '<!-- given: scenes -->\n\n```sh title="a"\nls\n```\n\n=== "b"\n\n    <!-- needs: gpu, network -->\n\n'
        "    ```python\n    x = 1\n    ```\n"
    )
    first, second = blocks(page)
    assert (first.language, first.text, first.given) == ("sh", "ls\n", ("scenes",))
    assert (second.language, second.text, second.needs) == ("python", "x = 1\n", {"gpu", "network"})
    assert first.where == f"{page}:3"


@pytest.mark.parametrize(
    ("thing", "file"),
    [
        ("search", "trees.jsonl"),
        ("pairs", "pairs.jsonl"),
        ("pairs", "sft.jsonl"),
        ("pairs", "config.json"),
        ("rewards.jsonl", ""),
    ],
)
def test_every_key_that_is_written_is_told(thing: str, file: str, shop: Workshop) -> None:
    row = json.loads((shop.path(thing) / file).read_text("utf-8").partition("\n{")[0])
    told = (ROOT / "docs/formats.md").read_text("utf-8")
    assert row
    assert [key for key in row if f"`{key}`" not in told] == []


def test_every_page_is_found() -> None:
    found = {str(page.relative_to(ROOT)) for page in pages()}
    assert {"README.md", "docs/training.md", "docs/how-to/own-photos.md", "examples/vllm_teachers.md"} <= found
