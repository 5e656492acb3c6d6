"""Full disks, file modes, and places where nothing can be written."""

from __future__ import annotations

import contextlib
import os
import resource
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from strange.case import SMALL_SEARCH, Bench, Case, need
from strange.server import Server, healthy

PLAIN = "exit 1 or 2 with one message; nothing visible is left"


def cases() -> Iterator[Case]:
    """Modes, places, limits and surroundings."""
    for mask, most in ((0o077, 0o600), (0o027, 0o640), (0o022, 0o644)):
        for command in COMMANDS:
            yield Case(
                kind="file modes",
                done=f"{command} with umask {mask:03o}",
                expected=f"files and folders of mode {most:o}",
                run=partial(_umask, command, mask, most),
            )
    for command in ("questions", "generate", "search", "pairs", "train", "report", "ask"):
        yield Case(kind="full disk", done=f"{command} on a disk that is full", expected=PLAIN, run=partial(_full, command))
    for name, out in OUTS:
        yield Case(kind="places", done=f"generate --out {name}", expected=PLAIN, run=partial(_out, out))
    for name, options, codes in SURROUNDINGS:
        yield Case(
            kind="surroundings",
            done=name,
            expected=f"exit {' or '.join(map(str, codes))}, no traceback",
            run=partial(_surroundings, options, codes),
        )


COMMANDS = ("scenes", "questions", "generate", "search", "pairs", "train", "report", "ask", "reward", "score")


def command(name: str, bench: Bench, out: Path, model: str = "scripted:careful") -> list[object]:
    """A command that writes into a folder or file."""
    inputs = bench.inputs
    return {
        "scenes": ["scenes", "synthetic", "--count", 1, "--out", out / "scenes"],
        "questions": ["questions", inputs / "scenes", "--out", out / "questions.jsonl"],
        "generate": ["generate", bench.questions, "--model", model, "--out", out / "out.jsonl"],
        "search": ["search", bench.questions, "--policy", model, *SMALL_SEARCH, "--out", out / "search"],
        "pairs": ["pairs", inputs / "search", "--scenes", inputs / "scenes", "--out", out / "pairs"],
        "train": [
            "train",
            "sft",
            "--model",
            inputs / "model",
            "--data",
            inputs / "pairs" / "sft.jsonl",
            "--out",
            out / "model",
            "max_steps=1",
            "threads=1",
        ],
        "report": ["report", inputs / "search", "--out", out / "report.html"],
        "ask": [
            "ask",
            bench.image,
            "How wide is <region1>?",
            "--region",
            "5,5,40,40",
            "--model",
            model,
            "--save-marked",
            out / "a.png",
        ],
        "reward": ["reward", bench.questions, inputs / "responses.jsonl", "--out", out / "rewards.jsonl"],
        "score": ["score", inputs / "healthy.jsonl", "--out", out / "score.json"],
    }[name]


def _umask(name: str, mask: int, most: int, bench: Bench) -> str:
    with Server(handler=healthy) as server:
        bench.spatial(*command(name, bench, bench.folder, server.model), before=partial(os.umask, mask)).expect(0)
    for path in bench.folder.rglob("*"):
        mode, wanted = stat.S_IMODE(path.lstat().st_mode), most | (most & 0o444) >> 2 if path.is_dir() else most
        need(mode == wanted, f"{path.relative_to(bench.folder)} has mode {mode:o}, not {wanted:o}")
    return f"{sum(path.is_file() for path in bench.folder.rglob('*'))} files"


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A disk of its own, of the given number of kilobytes."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _full(name: str, bench: Bench) -> str:
    with small_disk(bench.folder / "disk", 8) as disk, Server(handler=healthy) as server:
        (disk / "rest").write_bytes(b"x" * (8192 if name in {"questions", "ask"} else 4096))
        end = bench.spatial(*command(name, bench, disk, server.model)).expect(1, 2, says="space|full|write|disk")
        left = [
            path.name for path in disk.iterdir() if not path.name.startswith(".") and path.name != "rest" and path.is_file()
        ]
        need(not left, f"left behind: {left}")
    return f"exit {end.code}: {end.error[:110]}"


def _dangling(folder: Path) -> Path:
    (folder / "link.jsonl").symlink_to(folder / "away" / "out.jsonl")
    return folder / "link.jsonl"


def _file(folder: Path) -> Path:
    (folder / "file").write_text("x")
    return folder / "file" / "out.jsonl"


def _folder(folder: Path) -> Path:
    (folder / "out.jsonl").mkdir()
    return folder / "out.jsonl"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "out.jsonl")
    return folder / "out.jsonl"


def _device(folder: Path, minor: int) -> Path:
    """A node of this case's own: one of the machine's would be lost if the program replaced it."""
    path = folder / "device.jsonl"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
    except PermissionError:  # only root makes devices
        os.mkfifo(path)
    return path


def _linked_device(folder: Path) -> Path:
    (folder / "link.jsonl").symlink_to(_device(folder, 3))
    return folder / "link.jsonl"


OUTS: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("-", lambda folder: "-"),
    ("''", lambda folder: ""),
    ("a device like /dev/null", lambda folder: _device(folder, 3)),
    ("a device like /dev/full", lambda folder: _device(folder, 7)),
    ("a link to a device", _linked_device),
    ("a folder", _folder),
    ("a file in a file", _file),
    ("a pipe", _pipe),
    ("a link to where nothing is", _dangling),
    ("a name of 300 letters", lambda folder: folder / ("a" * 300)),
    ("the questions themselves", lambda folder: folder / "questions.jsonl"),
)


def _out(out: Callable[[Path], object], bench: Bench) -> str:
    for name in ("questions.jsonl", "questions.config.json"):
        (bench.folder / name).write_bytes((bench.inputs / name).read_bytes())
    target = out(bench.folder)
    before = {path.name: path.lstat() for path in bench.folder.rglob("*")}
    with Server(handler=healthy) as server:
        end = bench.spatial(
            "generate",
            bench.folder / "questions.jsonl",
            "--scenes",
            bench.inputs / "scenes",
            "--model",
            server.model,
            "--out",
            target,
        ).expect(1, 2)
    after = {path.name: path.lstat() for path in bench.folder.rglob("*") if not path.name.startswith(".")}
    need(after.keys() == before.keys(), f"left behind: {sorted(after.keys() - before.keys())}")
    changed = [
        name for name, found in after.items() if (found.st_mode, found.st_ino) != (before[name].st_mode, before[name].st_ino)
    ]
    need(not changed, f"replaced: {changed}")
    return f"exit {end.code}: {end.error[:110]}"


def _limit(what: int, most: int) -> Callable[[], None]:
    return partial(resource.setrlimit, what, (most, most))


def _closed() -> None:
    os.close(1)


def _gone() -> None:
    folder = Path("gone")
    folder.mkdir()
    os.chdir(folder)
    os.rmdir(Path.cwd())


SURROUNDINGS: tuple[tuple[str, Mapping[str, Any], tuple[int, ...]], ...] = (
    ("at most 24 open files", {"before": _limit(resource.RLIMIT_NOFILE, 24)}, (0, 1, 2)),
    ("at most 4 kB a file", {"before": _limit(resource.RLIMIT_FSIZE, 4096)}, (1, 2)),
    ("at most 600 MB of addresses", {"before": _limit(resource.RLIMIT_AS, 600 * 2**20)}, (0, 1, 2)),
    ("standard output is closed", {"before": _closed}, (0, 1)),
    ("the working folder was removed", {"before": _gone}, (0, 1, 2)),
    ("no home, no folder for temporary files", {"env": {"HOME": "/nonexistent", "TMPDIR": "/nonexistent"}}, (0, 1, 2)),
    ("a home that is a file", {"env": {"HOME": "/etc/hostname"}}, (0, 1, 2)),
    ("LANG=C, ASCII only", {"env": {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}}, (0,)),
    ("a terminal of one column", {"env": {"COLUMNS": "1"}}, (0,)),
    ("the clock's zone is nonsense", {"env": {"TZ": "Mars/Olympus"}}, (0,)),
    ("standard output is a full disk", {"stdout": "/dev/full"}, (0, 1)),
)


def _surroundings(options: Mapping[str, Any], codes: tuple[int, ...], bench: Bench) -> str:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(handler=healthy))
        more = dict(options)
        if "stdout" in more:
            more["stdout"] = stack.enter_context(open(more["stdout"], "wb"))
        end = bench.spatial(*command("generate", bench, bench.folder, server.model), fresh=True, **more).expect(*codes)
    out = bench.folder / "out.jsonl"
    need(not out.exists() or out.read_bytes().count(b"\n") == 4, "half a file")
    need(end.code != 0 or out.exists(), "exit 0 without a file")
    return f"exit {end.code}: {end.error[:110]}" if end.code else "4 of 4 answers"
