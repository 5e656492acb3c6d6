"""What visitors of the app, and of `ask`, can send: shapes, numbers, questions, wishes and masks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reliability.images import saved
from reliability.trial import Act, Case, Read, command
from spatialreasoner.app.asking import prompt_with_regions
from spatialreasoner.app.config import AppConfig
from spatialreasoner.app.regions import Sight, from_mask_image, from_numbers, from_shape, shape_of
from spatialreasoner.app.service import App
from spatialreasoner.core.errors import InputError, SceneError
from spatialreasoner.core.types import Region
from spatialreasoner.scenes.masks import encode

SIZE = (24, 32)
_NAN, _INF = float("nan"), float("inf")

SHAPES: tuple[tuple[str, Any], ...] = (
    ("nothing", None),
    ("a text", "box"),
    ("a list", []),
    ("an empty shape", {}),
    ("no points", {"tool": "box", "points": []}),
    ("points that are null", {"tool": "box", "points": None}),
    ("points of texts", {"tool": "box", "points": [["a", "b"]]}),
    ("points of one number", {"tool": "box", "points": [[1], [2]]}),
    ("points of three numbers", {"tool": "polygon", "points": [[1, 2, 3]] * 3}),
    ("points of NaN", {"tool": "polygon", "points": [[_NAN, 1], [2, 2], [3, 1]]}),
    ("points at infinity", {"tool": "box", "points": [[0, 0], [_INF, _INF]]}),
    ("points at a billion", {"tool": "brush", "points": [[1e9, 1e9]]}),
    ("5000 points", {"tool": "brush", "points": [[1, 1]] * 5000}),
    ("an unknown tool", {"tool": "laser", "points": [[1, 1]]}),
    ("a tool that is a number", {"tool": 1, "points": [[1, 1]]}),
    ("an unknown key", {"tool": "box", "points": [[1, 1], [9, 9]], "colour": "red"}),
    ("a brush of no width", {"tool": "brush", "points": [[1, 1]], "width": 0}),
    ("a brush of NaN", {"tool": "brush", "points": [[1, 1]], "width": _NAN}),
    ("a brush of a million", {"tool": "brush", "points": [[1, 1]], "width": 1e6}),
    ("a box of one point", {"tool": "box", "points": [[5, 5]]}),
    ("a box of no height", {"tool": "box", "points": [[1, 5], [9, 5]]}),
    ("a box beside the image", {"tool": "box", "points": [[100, 100], [200, 200]]}),
    ("a polygon of two corners", {"tool": "polygon", "points": [[1, 1], [9, 9]]}),
    ("a polygon beside the image", {"tool": "polygon", "points": [[100, 100], [200, 100], [150, 200]]}),
    ("a stroke beside the image", {"tool": "brush", "points": [[500, 500]], "width": 3}),
    ("a click where nothing is", {"tool": "click", "points": [[1, 1]]}),
    ("a click beside the image", {"tool": "click", "points": [[-5, 999]]}),
    ("a click at half a million", {"tool": "click", "points": [[5e5, 5e5]]}),
)
NUMBERS: tuple[str, ...] = (
    *("", " ", "box", "1", "1,2", "1,2,3", "1,2,3,4,5", "9,9,1,1", "1,1,1,1", "nan,nan,nan,nan", "inf,0,1,1", "1e9,1,2,3"),
    *(
        "0x1,2,3,4",
        "100,100,200,200",
        "-9,-9,-1,-1",
        "1,,2,,3",
        "1,1,9,9; rm -rf /",
        "\0" * 9,
    ),
    *("9" * 5000, "1," * 9000, "1 " * 30_000, "-" * 20_000, "1.1.1.1.1", "../../etc/passwd", "mask.png", "1,1,9,9\n\x1b[31m"),
)
ODD_NUMBERS = ("1;2;3;4;", "1,1 2,2", "٣,٣,٩,٩")
"""Boxes that are written in ways of their own."""
QUESTIONS: tuple[tuple[str, str], ...] = (
    ("nothing", ""),
    ("blanks", " \n\t "),
    ("501 characters", "a" * 501),
    ("a megabyte", "why " * 2**18),
    ("region 3 of 2", "How wide is <region3>?"),
    ("region 0", "How wide is <region0>?"),
    ("region 999", "How wide is <region999>?"),
)
WISHES: tuple[tuple[str, Any], ...] = (
    ("nothing", None),
    ("a text", "remove"),
    ("a list", ["remove", 1]),
    ("an empty wish", {}),
    ("no shape", {"action": "add"}),
    ("an unknown action", {"action": "explode", "number": 1}),
    ("a shape that is a number", {"action": "add", "shape": 7}),
    ("a shape of a megabyte", {"action": "add", "shape": {"tool": "x" * 2**20, "points": []}}),
)
REMOVALS: tuple[Any, ...] = (0, -1, 99, 10**30, True, None, "1", 1.5, [1])


def cases() -> Iterator[Case]:
    """Into the app's own functions, and into the command `ask`."""
    for name, data in SHAPES:
        yield _case(
            "app",
            f"drawn: {name}",
            lambda folder, data=data: lambda: from_shape(shape_of(data), _sight()),
            SceneError,
        )
    for text in NUMBERS:
        name = repr(text) if len(text) < 30 else f"{text[:5]!r}... of {len(text)} characters"
        yield _case("app", f"written: {name}", lambda folder, text=text: partial(from_numbers, text, SIZE), SceneError)
    for text in ODD_NUMBERS:
        yield _case("app", f"written: {text!r}", lambda folder, text=text: partial(from_numbers, text, SIZE), Read())
    for name, text in QUESTIONS:
        yield _case(
            "app",
            f"asked: {name}",
            lambda folder, text=text: partial(prompt_with_regions, text, [_whole("a"), _whole("b")], "x.png"),
        )
    for name, wish in WISHES:
        yield _case("app", f"wished: {name}", partial(_wish, wish), InputError)
    for number in REMOVALS:
        wish = {"action": "remove", "number": number}
        yield _case("app", f"wished: to remove region {number!r}", partial(_wish, wish))
    for name, data in _masks():
        yield _case("app", f"a mask of {name}", partial(_mask, data))
    yield from _commands()


def _case(group: str, name: str, prepare: Any, expected: Any = InputError) -> Case:
    return Case(group=group, name=name, prepare=prepare, expected=expected)


def _whole(name: str) -> Region:
    return Region(id=name, label="thing", mask=encode(np.ones(SIZE, dtype=bool)))


def _sight() -> Sight:
    mask = np.zeros(SIZE, dtype=bool)
    mask[10:20, 10:20] = True
    return Sight(size=SIZE, detected=[Region(id="region1", label="thing", mask=encode(mask))])


_FOLDER = tempfile.TemporaryDirectory(prefix="reliability-app-")


@cache
def _app() -> App:
    return App(AppConfig(models=("scripted:careful",)), Path(_FOLDER.name))


def _wish(wish: Any, folder: Path) -> Act:
    session = _app().begin()
    return lambda: _app().edit(session, wish)


def _masks() -> Iterator[tuple[str, bytes]]:
    yield "another size", saved(Image.new("L", (31, 24), 255))
    yield "black", saved(Image.new("L", (32, 24)))
    yield "text", b"mask"
    yield "half a file", saved(Image.new("L", (32, 24), 255))[:40]


def _mask(data: bytes, folder: Path) -> Act:
    (folder / "mask.png").write_bytes(data)
    return partial(from_mask_image, folder / "mask.png", SIZE)


def _commands() -> Iterator[Case]:
    question = "How wide is <region1>?"
    wrong: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("no region where one is named", (question,)),
        ("a region of words", (question, "--region", "the left one")),
        ("a region of three numbers", (question, "--region", "1,2,3")),
        ("a region beside the image", (question, "--region", "100,100,200,200")),
        ("a mask that is not there", (question, "--region", "mask.png")),
        ("an empty question", ("", "--region", "1,1,9,9")),
        ("a model that there is not", (question, "--region", "1,1,9,9", "--model", "oracle")),
        ("an endpoint without address", (question, "--region", "1,1,9,9", "--model", "api:gpt")),
        ("an endpoint of another protocol", (question, "--region", "1,1,9,9", "--model", "api:gpt@file:///etc/passwd")),
        ("no tokens", (question, "--region", "1,1,9,9", "--max-new-tokens", "0")),
    )
    for name, arguments in wrong:
        yield _case("ask", name, partial(_ask, arguments))


def _ask(arguments: tuple[str, ...], folder: Path) -> Act:
    Image.new("RGB", SIZE[::-1]).save(folder / "photo.png")
    model = () if "--model" in arguments else ("--model", "scripted:careful")
    return command("ask", folder / "photo.png", *arguments, *model)
