"""Rows of `scenes.jsonl`, into the stage `questions`: wrong values, wrong names, and paths that escape."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from reliability import made
from reliability.changes import ESCAPES, IDS, NUMBERS, WRONG, Change, drop, dumps, literal, put, shown
from reliability.trial import Act, Case, Read, command
from spatialreasoner.core.errors import InputError

FIELDS = ("id", "image", "regions", "intrinsics", "depth", "gravity", "objects", "source")
OPTIONAL = frozenset({"intrinsics", "depth", "gravity", "objects"})
"""May be null."""


def cases() -> Iterator[Case]:
    """A room's scenes with the first of them changed."""
    for name, change in (*_wrong_fields(), *_wrong_numbers(), *_wrong_names(), *_contradictions()):
        yield Case(group="scenes", name=name, prepare=partial(_row, change), expected=InputError)
    for name, change in _unusual():
        yield Case(group="scenes", name=name, prepare=partial(_row, change), expected=Read(), slow="thousand" in name)


def _wrong_fields() -> Iterator[tuple[str, Change]]:
    for field in FIELDS:
        for name, value in WRONG:
            if not ((value is None and field in OPTIONAL) or (value == "text" and field in {"id", "source"})):
                yield f"{field} is {name}", partial(put, (field,), value)
        if field not in {*OPTIONAL, "source"}:
            yield f"no {field}", partial(drop, field)
    yield "an unknown key", partial(put, ("colour",), "red")
    yield "an unknown key of a region", partial(put, ("regions", 0, "colour"), "red")


def _wrong_numbers() -> Iterator[tuple[str, Change]]:
    for text in NUMBERS:
        yield f"a focal length of {shown(text)}", partial(literal, ("intrinsics", "fx"), text)
    for value in (0, -1, -1e-300, 1e-300, 1e300):
        yield f"a focal length of {value}", partial(put, ("intrinsics", "fx"), value)
        yield f"{value} depth units per metre", partial(put, ("depth", "units_per_metre"), value)
    for value in ([0, 0, 0], [0, 1], [1e308, 1e308, 1e308], [0, 1e-308, 0]):
        yield f"gravity of {value}", partial(put, ("gravity",), value)


def _wrong_names() -> Iterator[tuple[str, Change]]:
    for path in ESCAPES:
        yield f"an image at {shown(path)}", partial(put, ("image",), path)
        yield f"depth at {shown(path)}", partial(put, ("depth", "path"), path)
    for name in IDS:
        yield f"the id {shown(name)}", partial(put, ("id",), name)
        yield f"a region's id {shown(name)}", partial(put, ("regions", 0, "id"), name)


def _contradictions() -> Iterator[tuple[str, Change]]:
    yield "a region's id twice", lambda row: put(("regions", 1, "id"), row["regions"][0]["id"], row)
    yield "a scene twice", lambda row: [row, row]
    yield "a mask of another size", partial(put, ("regions", 0, "mask"), {"size": [4, 6], "counts": [0, 24]})
    yield "a mask that lies about its size", partial(put, ("regions", 0, "mask", "size"), [64, 65])
    yield "a mask of negative runs", partial(put, ("regions", 0, "mask", "counts"), [-1, 4097])
    yield "an image that is not there", partial(put, ("image",), "images/none.png")
    yield "depth that is not there", partial(put, ("depth", "path"), "depth/none.png")
    yield "the image as depth", lambda row: put(("depth", "path"), row["image"], row)


def _unusual() -> Iterator[tuple[str, Change]]:
    """What is strange, and yet to be read."""
    yield "a label of a megabyte", partial(put, ("regions", 0, "label"), "a" * 2**20)
    yield "an empty label", partial(put, ("regions", 0, "label"), "")
    yield "a label of control characters", partial(put, ("regions", 0, "label"), "\x1b[31m\u202e\x07")
    yield "no regions", partial(put, ("regions",), [])
    yield "one region", lambda row: row | {"regions": row["regions"][:1]}
    yield "a thousand regions", partial(_many, 1000)
    yield "an object of a region that there is not", partial(put, ("objects", 0, "region_id"), "region99")


def _row(change: Change, folder: Path) -> Act:
    room = made.copy_to(folder)
    (folder / "outside.png").write_bytes(b"a secret")
    (room / "scenes" / "link").symlink_to(folder)
    (room / "scenes" / "linked.png").symlink_to("/etc/hostname")
    first, *others = made.lines(room / "scenes" / "scenes.jsonl")
    changed = change(first)
    rows = [*(changed if isinstance(changed, list) else [changed]), *others]
    (room / "scenes" / "scenes.jsonl").write_text("\n".join(map(dumps, rows)) + "\n", "utf-8")
    return command("questions", room / "scenes", "--per-scene", 1, "--out", folder / "out" / "questions.jsonl")


def _many(count: int, row: dict[str, Any]) -> dict[str, Any]:
    regions = [{**row["regions"][number % len(row["regions"])], "id": f"region{number + 1}"} for number in range(count)]
    return row | {"regions": regions}
