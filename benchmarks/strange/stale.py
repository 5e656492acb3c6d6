"""Results of what has changed since."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from strange.case import Bench, Case, need
from strange.server import Server, healthy

REFUSED = "refused with what differs, or done again: never the old results as if nothing had happened"


def cases() -> Iterator[Case]:
    """The same command after one thing changed under it."""
    for name, change in FOLDERS:
        yield Case(kind="stale results", done=f"generate: {name}", expected=REFUSED, run=partial(_model, change))
    for name, change in INPUTS:
        for command in ("generate", "search"):
            yield Case(kind="stale results", done=f"{command}: {name}", expected=REFUSED, run=partial(_inputs, command, change))
    for name, change in DATA:
        yield Case(kind="stale results", done=f"train: {name}", expected=REFUSED, run=partial(_data, change))
    yield Case(kind="stale results", done="pairs: the search's answers changed", expected=REFUSED, run=_pairs)


def _edit(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    settings = json.loads(path.read_text())
    change(settings)
    path.write_text(json.dumps(settings))


def _flip(path: Path) -> None:
    """Change one byte near the end, and neither size nor times."""
    data, before = bytearray(path.read_bytes()), path.stat()
    data[-20] ^= 0x40
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _touch(path: Path) -> None:
    os.utime(path, (1, 1))


FOLDERS: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("a bit of the weights, with size and times kept", lambda model: _flip(model / "model.safetensors")),
    (
        "the chat template",
        lambda model: (model / "chat_template.jinja").write_text("{{ messages[0]['content'][1]['text'] }} so"),
    ),
    (
        "the maximum of new tokens in generation_config.json",
        lambda model: _edit(model / "generation_config.json", lambda c: c.update(max_new_tokens=3, suppress_tokens=[5])),
    ),
    (
        "the size of images in processor_config.json",
        lambda model: _edit(model / "processor_config.json", lambda c: c["image_processor"].update(image_mean=[0.1, 0.2, 0.3])),
    ),  # pyright: ignore[reportAttributeAccessIssue, reportIndexIssue]
    ("a new file that the tokenizer reads", lambda model: (model / "added_tokens.json").write_text('{"<new>": 300}')),
)


def _model(change: Callable[[Path], object], bench: Bench) -> str:
    model = bench.folder / "model"
    shutil.copytree(bench.inputs / "model", model)
    command = ["generate", bench.questions, "--model", model, "--max-new-tokens", 4, "--out", bench.folder / "out.jsonl"]
    bench.spatial(*command).expect(0)
    before = (bench.folder / "out.jsonl").stat().st_mtime_ns
    change(model)
    return _noticed(bench, command, bench.folder / "out.jsonl", before)


def _noticed(bench: Bench, command: list[object], out: Path, before: int) -> str:
    """Exit 2 with what differs, or an output that is written again."""
    end = bench.spatial(*command).expect(0, 1, 2)
    anew = out.exists() and out.stat().st_mtime_ns != before
    need(end.code != 0 or anew, f"exit 0 and the old results: {end.err.strip()[-100:]}")
    return f"exit {end.code}: {end.error[:110]}" if end.code else "done again"


def _repaint(copy: Path) -> None:
    for path in (copy / "scenes" / "images").iterdir():
        image = Image.open(path).convert("RGB")
        image.putpixel((3, 3), (1, 2, 3))
        image.save(path)


def _reworded(copy: Path) -> None:
    path = copy / "questions.jsonl"
    path.write_text(path.read_text().replace("Looking at the picture", "Looking at this photo"))


def _fewer(copy: Path) -> None:
    path = copy / "questions.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))


def _moved_region(copy: Path) -> None:
    path = copy / "scenes" / "scenes.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["regions"][0]["mask"], row["regions"][1]["mask"] = row["regions"][1]["mask"], row["regions"][0]["mask"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


INPUTS: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("a pixel of the images", _repaint),
    ("the words of the questions", _reworded),
    ("a question fewer", _fewer),
    ("two regions' masks swapped", _moved_region),
)


def _inputs(command: str, change: Callable[[Path], None], bench: Bench) -> str:
    copy = bench.folder / "inputs"
    copy.mkdir()
    shutil.copytree(bench.inputs / "scenes", copy / "scenes")
    for name in ("questions.jsonl", "questions.config.json"):
        shutil.copy(bench.inputs / name, copy / name)
    out = bench.folder / "out" / "trees.jsonl" if command == "search" else bench.folder / "out.jsonl"
    with Server(handler=healthy) as server:
        option = ["--policy", server.model, "--yes", "--rounds", 2] if command == "search" else ["--model", server.model]
        arguments = [command, copy / "questions.jsonl", *option, "--out", out.parent if command == "search" else out]
        bench.spatial(*arguments).expect(0)
        before = out.stat().st_mtime_ns
        change(copy)
        return _noticed(bench, arguments, out, before)


def _row(copy: Path) -> None:
    path = copy / "sft.jsonl"
    path.write_text(path.read_text().replace(" m", " km", 1))


def _picture(copy: Path) -> None:
    for path in (copy / "images").iterdir():
        image = Image.open(path).convert("RGB")
        image.putpixel((3, 3), (1, 2, 3))
        image.save(path)


DATA: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("a word of one row", _row),
    ("a pixel of the images", _picture),
    ("a bit of the model, with size and times kept", lambda copy: _flip(copy / "model" / "model.safetensors")),
)


def _data(change: Callable[[Path], None], bench: Bench) -> str:
    copy = bench.folder / "data"
    shutil.copytree(bench.inputs / "pairs", copy)
    shutil.copytree(bench.inputs / "model", copy / "model")
    command = [
        "train",
        "sft",
        "--model",
        copy / "model",
        "--data",
        copy / "sft.jsonl",
        "--out",
        bench.folder / "out",
        "max_steps=1",
        "save_steps=1",
        "threads=1",
    ]
    bench.spatial(*command).expect(0)
    out = bench.folder / "out" / "model.safetensors"
    before = out.stat().st_mtime_ns
    change(copy)
    return _noticed(bench, command, out, before)


def _pairs(bench: Bench) -> str:
    search = bench.folder / "search"
    shutil.copytree(bench.inputs / "search", search)
    for name in ("questions.jsonl", "questions.config.json"):
        shutil.copy(bench.inputs / name, bench.folder / name)
    shutil.copytree(bench.inputs / "scenes", bench.folder / "scenes")
    command = ["pairs", search, "--out", bench.folder / "out"]
    bench.spatial(*command).expect(0)
    out = bench.folder / "out" / "sft.jsonl"
    before = out.stat().st_mtime_ns
    path = search / "trajectories.jsonl"
    path.write_text(path.read_text().replace(" m", " mm"))
    return _noticed(bench, command, out, before)
