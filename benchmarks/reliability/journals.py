"""What a run left on disk and continues from: journals, hidden rows and settings that were torn or tampered with."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from reliability import made
from reliability.trial import Act, Case, Read, command
from spatialreasoner.core.errors import InputError, SpatialReasonerError, WorkError

Damage = Callable[[Path], object]


def _sql(statement: str) -> Damage:
    def damage(path: Path) -> None:
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.commit()
        connection.close()

    return damage


def _bytes(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def _as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


JOURNALS: tuple[tuple[str, Damage, type[SpatialReasonerError] | Read], ...] = (
    ("empty", _bytes(lambda data: b""), Read()),
    ("text", _bytes(lambda data: b"not a database at all, but long enough to be taken for one\n" * 50), WorkError),
    ("zeros", _bytes(lambda data: b"\0" * len(data)), WorkError),
    ("cut to its header", _bytes(lambda data: data[:100]), WorkError),
    ("cut in the middle of a page", _bytes(lambda data: data[: len(data) // 2 + 7]), WorkError),
    ("pages of rubbish", _bytes(lambda data: data[:4096] + b"\xa5" * (len(data) - 4096)), WorkError),
    ("a wrong version", _bytes(lambda data: data[:18] + b"\x09\x09" + data[20:]), WorkError),
    ("a folder", _as_folder, WorkError),
    ("values that are not JSON", _sql("UPDATE replies SET value = 'torn'"), Read()),
    ("values cut in half", _sql("UPDATE replies SET value = substr(value, 1, length(value) / 2)"), Read()),
    ("values of another kind", _sql("UPDATE replies SET value = '[{\"text\": 3}]'"), Read()),
    ("empty values", _sql("UPDATE replies SET value = ''"), Read()),
    ("values that are null", _sql("UPDATE replies SET value = 'null'"), Read()),
    ("values that are bytes", _sql("UPDATE replies SET value = x'ff00fe'"), Read()),
    ("values of brackets", _sql(f"UPDATE replies SET value = '{'[' * 50_000}'"), Read()),
    ("values with a NUL", _sql("UPDATE replies SET value = value || char(0)"), Read()),
    ("numbers that are text", _sql("UPDATE replies SET prompt_tokens = 'many'"), Read()),
    ("no table of replies", _sql("DROP TABLE replies"), Read()),
    ("a table of other columns", _sql("ALTER TABLE replies RENAME COLUMN value TO price"), WorkError),
)

UNFINISHED: tuple[tuple[str, bytes], ...] = (
    ("a torn line", b'{"question_id": "half'),
    ("a NUL", b"\0"),
    ("half a character", b"\xe3\x81"),
    ("a megabyte without a line end", b"x" * 2**20),
)

SETTINGS: tuple[tuple[str, bytes], ...] = (
    ("empty", b""),
    ("no JSON", b"stage: scenes"),
    ("a list", b"[]"),
    ("a text", b'"scenes"'),
    ("cut in half", b'{"stage": "scenes synthetic", "con'),
    ("null", b"null"),
    ("UTF-16", '{"stage": 1}'.encode("utf-16")),
    ("100000 brackets", b"[" * 100_000),
)


def cases() -> Iterator[Case]:
    """Journals of `generate`, hidden rows of `reward`, and the settings that stages find in their folders."""
    for name, damage, expected in JOURNALS:
        yield Case(group="journals", name=name, prepare=partial(_journal, damage), expected=expected, writes=True)
    for name, tail in UNFINISHED:
        yield Case(group="journals", name=f"hidden rows with {name}", prepare=partial(_hidden, tail), expected=Read(_same))
    for name, text in SETTINGS:
        for place, act in _SETTINGS.items():
            prepare = partial(_settings, place, act, text)
            yield Case(group="settings", name=f"{place} is {name}", prepare=prepare, expected=InputError)


def _journal(damage: Damage, folder: Path) -> Act:
    """Predictions are gone, and what is left of their journal is damaged."""
    room = made.copy_to(folder)
    journal = room / ".predictions.journal"
    (room / "predictions.jsonl").unlink()
    damage(journal)
    generate = command("generate", room / "questions.jsonl", "--model", "scripted:careful", "--out", room / "predictions.jsonl")

    def act() -> object:
        generate()
        assert (room / "predictions.jsonl").read_bytes() == (made.room() / "predictions.jsonl").read_bytes()
        return "the same predictions"

    return act


def _hidden(tail: bytes, folder: Path) -> Act:
    """Rewards whose process died within a row."""
    room = made.copy_to(folder)
    out = room / "rewards.jsonl"
    reward = command("reward", room / "questions.jsonl", room / "responses.jsonl", "--out", out)

    def act() -> tuple[bytes, bytes]:
        reward()
        whole = out.read_bytes()
        first = whole.splitlines(keepends=True)[0]
        out.unlink()
        (room / f".rewards.jsonl.{_key(room)[:16]}.unfinished").write_bytes(first + tail)
        reward()
        return whole, out.read_bytes()

    return act


def _key(room: Path) -> str:
    """The digest by which the stage knows its own hidden rows."""
    from spatialreasoner.pipeline import scoring as stage

    config = stage.RewardConfig(questions=str(room / "questions.jsonl"), responses=str(room / "responses.jsonl"))
    return stage._Work(config, stage.open_scorer(config), None, 1, lambda done: None).key


def _same(result: tuple[bytes, bytes]) -> bool:
    return result[0] == result[1]


_SETTINGS: dict[str, tuple[str, ...]] = {
    "scenes/config.json": ("scenes", "synthetic", "--count", "2", "--width", "64", "--height", "64", "--out", "{room}/scenes"),
    "search/config.json": ("pairs", "{room}/search", "--out", "{out}"),
    "questions.config.json": ("generate", "{room}/questions.jsonl", "--model", "scripted:careful", "--out", "{out}/p.jsonl"),
    "training.json": ("train", "sft", "--model", "tiny", "--data", "{room}/pairs/sft.jsonl", "--out", "{room}"),
    "report/config.json": ("report", "{room}/report", "--out", "{out}/report.html"),
}
"""The file of settings, and the command that continues from it."""


def _settings(place: str, act: tuple[str, ...], text: bytes, folder: Path) -> Act:
    room = made.copy_to(folder)
    (room / place).parent.mkdir(exist_ok=True)
    (room / place).write_bytes(text)
    return command(*(part.format(room=room, out=folder / "out") for part in act))
