"""Run lengths that lie, and images that carry lying run lengths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reliability.images import small
from reliability.trial import Act, Case, Read
from spatialreasoner.core import records
from spatialreasoner.core.errors import InputError
from spatialreasoner.core.types import Region, Rle
from spatialreasoner.scenes import carry
from spatialreasoner.scenes.masks import MAX_PIXELS, decode, encode

_DEEP = "[" * 100_000

LIES: tuple[tuple[str, object, object], ...] = (
    ("size says more than the runs", [4, 7], [24]),
    ("size says less than the runs", [4, 5], [24]),
    ("height and width of 100000", [100_000, 100_000], [10_000_000_000]),
    ("a size of 2^31", [2**31, 2**31], "0"),
    ("a size of 2^63", [2**63, 1], [2**63]),
    ("a size of 10^40", [10**40, 10**40], [0]),
    ("a size of nothing", [0, 0], []),
    ("a height of nothing", [0, 6], [0]),
    ("a size below zero", [-4, -6], [24]),
    ("a size of one number", [24], [24]),
    ("a size of three numbers", [4, 6, 1], [24]),
    ("a size of words", ["four", "six"], [24]),
    ("a size of digits as text", ["4", "6"], [24]),
    ("a size of halves", [4.5, 6], [27]),
    ("a size of truth values", [True, True], [1]),
    ("no size", None, [24]),
    ("a size that is a mapping", {"h": 4, "w": 6}, [24]),
    ("a run below zero", [4, 6], [30, -6]),
    ("runs below zero that add up", [4, 6], [-1, 25]),
    ("runs of 2^63 and its opposite", [4, 6], [2**63, -(2**63) + 24]),
    ("runs of 10^30", [4, 6], [10**30]),
    ("runs of half pixels", [4, 6], [12.5, 11.5]),
    ("runs of words", [4, 6], ["twenty-four"]),
    ("runs of truth values", [1, 1], [True]),
    ("runs in runs", [4, 6], [[12], [12]]),
    ("runs of nothing", [4, 6], [None]),
    ("no runs", [4, 6], []),
    ("no counts", [4, 6], None),
    ("counts that are a number", [4, 6], 24),
    ("counts that are a mapping", [4, 6], {"0": 24}),
    ("packed: empty", [4, 6], ""),
    ("packed: a number without its end", [4, 6], "PPPPP"),
    ("packed: a number of 40 bits", [4, 6], "PPPPPPPPPPPP0"),
    ("packed: characters below the alphabet", [4, 6], "  !!//"),
    ("packed: characters above the alphabet", [4, 6], "pqrst~"),
    ("packed: letters of other scripts", [4, 6], "ありがとう"),
    ("packed: a NUL", [4, 6], "\0\0"),
    ("packed: a run below zero", [4, 6], "OO"),
    ("packed: differences that go below zero", [4, 6], "000O"),
    ("packed: adds up to too much", [4, 6], "oo0"),
    ("packed: a megabyte of empty runs", [4, 6], "0" * 2**20),
    ("packed: a megabyte of a number without end", [4, 6], "P" * 2**20),
    ("packed: a megabyte of rubbish", [4, 6], "\\" * 2**20),
    ("packed: run lengths as text", [4, 6], "24 0"),
    ("a million runs for 24 pixels", [4, 6], [0] * 1_000_000),
)  # fmt: skip

CARRIED: tuple[tuple[str, str], ...] = (
    ("words", "draw me a sheep"),
    ("nothing", ""),
    ("a number", "7"),
    ("null", "null"),
    ("a mapping", '{"size": [4, 6]}'),
    ("a list of nothing", "[null]"),
    ("a list of numbers", "[1, 2, 3]"),
    ("a list of texts", '["4x6"]'),
    ("rows without counts", '[{"size": [4, 6]}]'),
    ("rows without size", '[{"counts": "h0"}]'),
    ("a size of one number", '[{"size": [4], "counts": [24]}]'),
    ("a size of texts", '[{"size": ["4", "6"], "counts": [24]}]'),
    ("a size of nothing", '[{"size": null, "counts": [24]}]'),
    ("a size of NaN", '[{"size": [NaN, NaN], "counts": [24]}]'),
    ("a size of infinity", '[{"size": [1e999, 6], "counts": [24]}]'),
    ("another image's size", '[{"size": [5, 6], "counts": [30]}]'),
    ("a size of a billion", '[{"size": [1000000000, 1000000000], "counts": [24]}]'),
    ("counts that are a number", '[{"size": [4, 6], "counts": 24}]'),
    ("counts that are nothing", '[{"size": [4, 6], "counts": null}]'),
    ("counts of texts", '[{"size": [4, 6], "counts": ["24"]}]'),
    ("counts of NaN", '[{"size": [4, 6], "counts": [NaN, 24]}]'),
    ("counts of halves", '[{"size": [4, 6], "counts": [12.5, 11.5]}]'),
    ("counts below zero", '[{"size": [4, 6], "counts": [-24, 48]}]'),
    ("counts of 2^70", f'[{{"size": [4, 6], "counts": [{2**70}, {24 - 2**70}]}}]'),
    ("digits without end", "[" + "9" * 100_000 + "]"),
    ("brackets without end", _DEEP),
    ("65 masks", json.dumps([{"size": [4, 6], "counts": [24]}] * 65)),
    ("100000 masks", json.dumps([{"size": [4, 6], "counts": [24]}] * 100_000)),
    ("a torn list", '[{"size": [4, 6], "counts": [2'),
    ("a list and more", '[{"size": [4, 6], "counts": [24]}] trailing'),
)


def cases() -> Iterator[Case]:
    """Run lengths into the decoder, and as text in the metadata of an image."""
    for name, size, counts in LIES:
        yield Case(group="masks", name=name, prepare=partial(_decode, size, counts))
    yield Case(group="masks", name="the largest mask there may be", prepare=partial(_decode, [8000, 8000], [MAX_PIXELS]),
               expected=Read(lambda mask: mask.shape == (8000, 8000) and not mask.any()))  # fmt: skip
    yield Case(group="masks", name="a pixel more than that", prepare=partial(_decode, [8000, 8001], [8000 * 8001]))
    yield Case(group="masks", name="runs of nothing between", prepare=partial(_decode, [4, 6], [0, 0, 0, 24]),
               expected=Read(lambda mask: mask.all()))  # fmt: skip
    chequered = np.indices((4, 6)).sum(axis=0) % 2 == 0
    yield Case(group="masks", name="a chessboard", prepare=lambda folder: partial(decode, encode(chequered)),
               expected=Read(lambda mask: bool((mask == chequered).all())))  # fmt: skip
    for name, text in CARRIED:
        yield Case(group="carried masks", name=name, prepare=partial(_carried, text))
    yield Case(group="carried masks", name="as they should be", prepare=_whole, expected=Read(lambda masks: len(masks) == 1))
    yield Case(
        group="carried masks", name="a list of none", prepare=partial(_carried, "[]"), expected=Read(lambda masks: not masks)
    )


def _decode(size: object, counts: object, folder: Path) -> Act:
    text = json.dumps({"size": size, "counts": counts})
    return lambda: decode(records.parse_record(text, Rle, where="a row"))


def _carried(text: str, folder: Path) -> Act:
    image = small()
    image.info[carry.KEY] = text
    image.save(folder / "image.png", pnginfo=carry.png_info(image))
    return lambda: carry.attached(_loaded(folder / "image.png"))


def _whole(folder: Path) -> Act:
    region = Region(id="region1", label="box", mask=encode(np.ones((4, 6), dtype=bool)))
    return lambda: carry.attached(carry.attach(small(), [region]))


def _loaded(path: Path) -> Any:
    with Image.open(path) as image:
        try:
            image.load()
        except ValueError as error:  # Pillow's own bound of packed text
            raise InputError(str(error)) from None
        return image
