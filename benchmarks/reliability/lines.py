"""JSON lines: files of every stage with torn, foreign, endless and contradictory lines."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from reliability import made
from reliability.changes import NUMBERS, WRONG, drop, dumps, literal, put, shown
from reliability.trial import Act, Case, Read, command
from spatialreasoner.core.errors import InputError, SpatialReasonerError

Damage = Callable[[bytes], bytes]

STAGES: dict[str, tuple[str, ...]] = {
    "scenes/scenes.jsonl": ("questions", "{room}/scenes", "--per-scene", "1", "--out", "{out}/questions.jsonl"),
    "questions.jsonl": (
        "generate",
        "{room}/questions.jsonl",
        "--model",
        "scripted:careful",
        "--out",
        "{out}/predictions.jsonl",
    ),
    "responses.jsonl": ("reward", "{room}/questions.jsonl", "{room}/responses.jsonl", "--out", "{out}/rewards.jsonl"),
    "search/trajectories.jsonl": ("pairs", "{room}/search", "--min-gap", "0", "--hard", "1", "--out", "{out}"),
    "search/trees.jsonl": ("report", "{room}/search", "--out", "{out}/report.html"),
    "predictions.jsonl": ("score", "{room}/predictions.jsonl", "--out", "{out}/score.json"),
}
"""The command that reads each file."""

REQUIRED: dict[str, tuple[str, ...]] = {
    "questions.jsonl": ("id", "scene_id", "category", "text", "region_ids", "answer"),
    "responses.jsonl": ("question_id", "text"),
    "search/trajectories.jsonl": ("question_id", "index", "text", "policies", "reward"),
    "search/trees.jsonl": ("question_id", "nodes"),
    "predictions.jsonl": ("question_id", "image", "question", "pred", "gt", "model_id", "qa_info"),
}

BROKEN: tuple[tuple[str, Damage], ...] = (
    ("empty", lambda data: b""),
    ("blank lines alone", lambda data: b"\n \n\t\n" * 100),
    ("a byte order mark", lambda data: b"\xef\xbb\xbf" + data),
    ("UTF-16", lambda data: data.decode().encode("utf-16")),
    ("a byte that is not UTF-8", lambda data: data.replace(b'"', b'"\xff', 3)),
    ("an overlong code", lambda data: data.replace(b'": "', b'": "\xc0\xaf', 1)),
    ("half a character", lambda data: data.replace(b'": "', b'": "\xe3\x81', 1)),
    ("a lone surrogate", lambda data: data.replace(b'": "', b'": "\\ud83d', 1)),
    ("a NUL between lines", lambda data: b"\0\n" + data),
    ("a NUL in a text", lambda data: data.replace(b'": "', b'": "\0', 1)),
    ("a line end in a text", lambda data: data.replace(b'": "', b'": "\n', 1)),
    ("the last line cut in half", lambda data: data[: -len(data.splitlines()[-1]) // 2]),
    ("the last byte of the first line lost", lambda data: data.replace(b"}\n", b"\n", 1)),
    ("two rows in a line", lambda data: data.replace(b"\n", b"", 1)),
    ("no JSON", lambda data: b"id,scene,text\n1,2,3\n"),
    ("Python's quotes", lambda data: (str(json.loads(data.splitlines()[0])) + "\n").encode()),
    ("a list around it", lambda data: b"[" + data.strip().replace(b"\n", b",") + b"]"),
    ("null", lambda data: b"null\n" + data),
    ("a number", lambda data: b"42\n"),
    ("a text", lambda data: b'"row"\n'),
    ("an empty row", lambda data: b"{}\n"),
    ("100000 brackets", lambda data: b"[" * 100_000 + b"\n"),
    ("100000 rows in rows", lambda data: b'{"a":' * 100_000 + b"\n"),
    ("a key of a megabyte", lambda data: b'{"' + b"k" * 2**20 + b'": 1}\n'),
    ("a gzip", lambda data: gzip.compress(data, mtime=0)),
    ("a pickle", lambda data: b"\x80\x04\x95" + data),
    ("a remark", lambda data: b"# made by hand\n" + data),
    ("a comma at the end", lambda data: data.replace(b"}\n", b",}\n", 1)),
)
ODD: tuple[tuple[str, Damage], ...] = (
    ("line ends of Windows", lambda data: data.replace(b"\n", b"\r\n")),
    ("blank lines between", lambda data: b"\n\n" + data.replace(b"\n", b"\n\n")),
    ("no line end at the end", lambda data: data.rstrip(b"\n")),
    ("blanks around", lambda data: b"\n".join(b"  \t" + line + b"  " for line in data.splitlines())),
    ("escaped characters", lambda data: b"\n".join(json.dumps(json.loads(line)).encode() for line in data.splitlines())),
    ("a key twice", lambda data: _twice(data)),
)


def _twice(data: bytes) -> bytes:
    key, _, _ = data[1:].partition(b":")
    rows = (b"{" + key + b": null," + line[1:] for line in data.splitlines())
    return b"\n".join(rows)


def cases() -> Iterator[Case]:
    """Every damage to every file that a command reads."""
    for file in STAGES:
        for name, damage in BROKEN:
            begun = (
                name == "empty" and file == "search/trees.jsonl"
            )  # of a stage that has just begun, which a report passes over
            yield _case(file, name, damage, Read() if begun else None)
        for name, damage in ODD:
            yield _case(file, name, damage, Read(), slow=file in {"scenes/scenes.jsonl", "search/trajectories.jsonl"})
        yield _case(file, "a row twice", lambda data: data.splitlines(keepends=True)[0] + data, _of_two_rows(file))
        yield _case(file, "a line of 100 MB", lambda data: data + b" " * 100_000_000 + b"\n", None, slow=True)
        yield _case(file, "100 MB without a line end", lambda data: b"x" * 100_000_000, None, slow=True)
    for file, fields in REQUIRED.items():
        yield from _fields(file, fields)
    yield from _values()


def _fields(file: str, fields: tuple[str, ...]) -> Iterator[Case]:
    for field in fields:
        yield _case(file, f"no {field}", partial(_first, partial(drop, field)), None)
        for name, value in WRONG:
            if not isinstance(value, str):
                yield _case(file, f"{field} is {name}", partial(_first, partial(put, (field,), value)), None)
    if file != "search/trees.jsonl":  # a report reads what it shows of a tree, and passes over the rest
        kept = Read() if file == "responses.jsonl" else None  # own answers may have columns of their own
        yield _case(file, "an unknown key", partial(_first, partial(put, ("colour",), "red")), kept)


def _values() -> Iterator[Case]:
    """Values that have the right type, and mean nothing."""
    for text in NUMBERS:
        for file, place in (("search/trajectories.jsonl", ("reward", "visual")), ("questions.jsonl", ("value",))):
            yield _case(file, f"{place[-1]} is {shown(text)}", partial(_first, partial(literal, place, text)), None)
    contradictions: tuple[tuple[str, tuple[str, ...], Any], ...] = (
        ("questions.jsonl", ("scene_id",), "nowhere"),
        ("questions.jsonl", ("region_ids",), ["region99"]),
        ("questions.jsonl", ("region_ids",), []),
        ("questions.jsonl", ("category",), "colour_data"),
        ("questions.jsonl", ("unit",), "furlong"),
        ("responses.jsonl", ("question_id",), "moon-0"),
        ("search/trajectories.jsonl", ("question_id",), "moon-0"),
        ("search/trajectories.jsonl", ("origin",), "dream"),
        ("search/trees.jsonl", ("nodes",), []),
        ("search/trees.jsonl", ("outcome",), "lost"),
        ("predictions.jsonl", ("qa_info",), {"type": "qualitative", "category": "width_data"}),
        ("predictions.jsonl", ("qa_info",), {"type": "quantitative", "category": "colour_data"}),
    )
    for file, place, value in contradictions:
        yield _case(file, f"{place[-1]} is {value!r}", partial(_first, partial(put, place, value)), None)
    for name, parent in (("itself", 0), ("one after it", 2), ("none", None), ("one below zero", -1)):
        change = partial(put, ("nodes", 1, "parent"), parent) if name != "itself" else partial(put, ("nodes", 0, "parent"), 0)
        yield _case("search/trees.jsonl", f"a node whose parent is {name}", partial(_first, change), None)


def _of_two_rows(file: str) -> Read | None:
    """Answers and candidates may come twice; scenes, questions and predictions may not; of trees the last one counts."""
    return Read() if file in {"responses.jsonl", "search/trajectories.jsonl", "search/trees.jsonl"} else None


def _case(file: str, name: str, damage: Damage, expected: Read | None, *, slow: bool = False) -> Case:
    prepare = partial(_damaged, file, damage)
    refused: type[SpatialReasonerError] | Read = InputError if expected is None else expected
    return Case(group="JSON lines", name=f"{Path(file).name}: {name}", prepare=prepare, expected=refused, slow=slow)


def _damaged(file: str, damage: Damage, folder: Path) -> Act:
    room = made.copy_to(folder)
    path = room / file
    path.write_bytes(damage(path.read_bytes()))
    return command(*(part.format(room=room, out=folder / "out") for part in STAGES[file]))


def _first(change: Callable[[dict[str, Any]], Any], data: bytes) -> bytes:
    """The first row changed."""
    first, _, others = data.partition(b"\n")
    return dumps(change(json.loads(first))).encode() + b"\n" + others
