"""A third look at images, outputs, addresses and disks: every command and every option that takes one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from strange.case import MEGABYTES, SMALL_SEARCH, Bench, Case, need
from strange.images import png
from strange.places import COMMANDS, PLAIN, command, small_disk
from strange.server import Request, Server, completion, healthy, respond
from strange.trainings import train
from strange.visits import Visitor, refused, start

LEAN = f"answered, or refused in a sentence; less than {MEGABYTES} MB"


def cases() -> Iterator[Case]:
    """Images that are long and large, outputs, addresses, an app without room, regions without end."""
    for name, size in (("110,000 x 560", (110_000, 560)), ("560 x 110,000", (560, 110_000)), ("7,990 x 7,990", (7_990, 7_990))):
        for how in ("ask the nano", "ask a model", "generate by a model", "generate", "train", "the app"):
            yield Case(kind="odd images", done=f"{how}: {name}", expected=LEAN, run=partial(_large, how, size))
    for name in COMMANDS:
        for out in ("-", "''", "a file", "a pipe"):
            yield Case(kind="places", done=f"{name} --out {out}", expected=PLAIN, run=partial(_out, name, out))
    for where in ("search --policy", "reward --judge", "score --judge", "ask --model", "app --model"):
        for name, address in ADDRESSES.items():
            yield Case(
                kind="addresses", done=f"{where}: {name}", expected="exit 1 or 2 with the address's own fault; no traceback",
                run=partial(_address, where, address),
            )  # fmt: skip
    yield Case(kind="file modes", done="a session saved by the app with umask 077", expected="modes 600 and 700", run=_saved)
    yield Case(
        kind="full disk", done="the app where visitors' files have no room", expected="told; the next is answered", run=_no_room
    )
    for count in (1_000, 60_000):
        yield Case(kind="odd captures", done=f"scenes rgbd: {count:,} regions", expected=LEAN, run=partial(_regions, count))
    yield Case(kind="hostile replies", done="20,000 choices of 300 characters", expected="one is read", run=_choices)


def _large(how: str, size: tuple[int, int], bench: Bench) -> str:
    photo = bench.folder / "a.png"
    photo.write_bytes(png(*size, depth=8, colour=0))
    model = bench.inputs / "model"
    with Server(handler=healthy) as server:
        if how == "the app":
            return _opened(photo, server)
        if how == "train":
            row = json.loads((bench.inputs / "pairs" / "sft.jsonl").read_text().splitlines()[0])
            (bench.folder / "pairs").mkdir()
            data = bench.folder / "pairs" / "sft.jsonl"
            data.write_text(json.dumps({**row, "images": [str(photo)], "regions": []}) + "\n")
            return _told(bench, *train(bench, bench.folder / "out", "max_steps=1", data=data))
        box = f"{size[0] // 4},{size[1] // 4},{size[0] // 2},{size[1] // 2}"
        if how.startswith("ask"):
            name = "nano" if how == "ask the nano" else model
            return _told(bench, "ask", photo, "How wide is <region1>?", "--region", box, "--model", name, "--max-new-tokens", 4)
        scenes = bench.folder / "scenes"
        shutil.copytree(bench.inputs / "scenes", scenes)
        shutil.copy(bench.questions, bench.folder / "questions.jsonl")
        for path in (scenes / "images").iterdir():
            shutil.copy(photo, path)
        name = model if how == "generate by a model" else server.model
        given = ("--scenes", scenes, "--model", name, "--max-new-tokens", 4, "--out", bench.folder / "out.jsonl")
        return _told(bench, "generate", bench.folder / "questions.jsonl", *given)


def _told(bench: Bench, *arguments: object) -> str:
    end = bench.spatial(*arguments).expect(0, 1, 2, within=300)
    return f"exit {end.code}, {end.megabytes:.0f} MB: {end.error[:130]}"


def _opened(photo: Path, server: Server) -> str:
    one = start(server=server)
    try:
        visitor = Visitor(one).begin()
        status, told = visitor.upload(("a.png", photo.read_bytes()))
        came = "opened" if status == 200 else refused(status, told)
        need(one.megabytes < MEGABYTES, f"{one.megabytes:.0f} MB of memory")
        return f"{came}; {one.megabytes:.0f} MB"
    finally:
        with suppress(OSError):
            one.stop()


def _out(name: str, out: str, bench: Bench) -> str:
    if name in {"ask", "score"} and out == "''":
        return "an option that may be left out"
    target: object = {"-": "-", "''": "", "a file": bench.folder / "file" / "out", "a pipe": bench.folder / "pipe"}[out]
    (bench.folder / "file").write_text("x")
    os.mkfifo(bench.folder / "pipe")
    with Server(handler=healthy) as server:
        given = command(name, bench, bench.folder / "x", server.model)
        given[next(place for place, each in enumerate(given) if str(each).startswith(str(bench.folder / "x")))] = target
        end = bench.spatial(*given).expect(1, 2, within=120)
    left = sorted(path.name for path in bench.folder.iterdir() if not path.name.startswith("."))
    need(left == ["file", "pipe"], f"left behind: {left}")
    need(stat.S_ISFIFO((bench.folder / "pipe").lstat().st_mode), "the pipe was replaced")
    return f"exit {end.code}: {end.error[:130]}"


ADDRESSES: Mapping[str, str] = {
    "half an IPv6 address": "api:m@http://[::1/v1",
    "port 99999": "api:m@http://127.0.0.1:99999/v1",
    "a host that there is not": "api:m@http://no-such-host.invalid/v1",
    "a port where nobody listens": "api:m@http://127.0.0.1:9/v1",
    "no scheme": "api:m@127.0.0.1:8000/v1",
    "no address": "api:m@",
    "a password in it": "api:m@http://user:secret-word@127.0.0.1:9/v1",
}


def _address(where: str, address: str, bench: Bench) -> str:
    name, option = where.split()
    given: dict[str, list[object]] = {
        "search": [bench.questions, "--yes", "--timeout", 5, "--out", bench.folder / "out"],
        "reward": [
            bench.questions,
            bench.inputs / "responses.jsonl",
            "--judge-all",
            "--yes",
            "--out",
            bench.folder / "out.jsonl",
        ],
        "score": [bench.inputs / "healthy.jsonl"],
        "ask": [bench.image, "How wide is <region1>?", "--region", "9,9,40,40"],
        "app": ["--port", 0],
    }
    plain = "no-such" in address or ":9/" in address
    if name == "app" and plain and "secret" not in address:
        return "an app may start before its model does"
    end = bench.spatial(name, *given[name], option, address).expect(1, 2, within=120)
    need("secret-word" not in end.out + end.err, "the password is printed")
    return f"exit {end.code}: {end.error[:160]}"


def _saved(bench: Bench) -> str:
    folder, before = bench.folder / "saved", os.umask(0o077)
    try:
        with Server(handler=healthy) as server:
            one = start("--saved", str(folder), server=server)
            try:
                status, told = Visitor(one).ready().post("/api/save", {})
                need(status == 200, str(told))
            finally:
                one.stop()
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}
    wrong = {path.name: oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)}
    need(not wrong, str(wrong))
    return f"{len(modes)} files and folders"


def _no_room(bench: Bench) -> str:
    with small_disk(bench.folder / "disk", 300) as disk, Server(handler=healthy) as server:
        before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = str(disk)
        try:
            one = start(server=server)
        finally:
            os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)
        try:
            visitor = Visitor(one).begin()
            status, told = visitor.upload(("a.png", png(64, 48)), ("b.png", os.urandom(400_000)))
            need(status != 200 and "Traceback" not in str(told), f"{status}: {told}")
            need(
                "space" in str(told).lower() or "room" in str(told).lower() or "full" in str(told).lower(), f"{status}: {told}"
            )
            need(Visitor(one).send("GET", "/")[0] == 200, "the next visitor is not answered")
            need(Visitor(one).begin().upload(("a.png", png(64, 48)))[0] == 200, "nothing was freed")
            return f"{status}: {str(told)[:110]}"
        finally:
            one.stop()


def _regions(count: int, bench: Bench) -> str:
    folder = bench.folder / "photo"
    folder.mkdir()
    (folder / "image.png").write_bytes(png(64, 48))
    regions = [{"label": f"thing {n}", "box": [n % 60, n % 40, n % 60 + 4, n % 40 + 4]} for n in range(count)]
    (folder / "scene.json").write_text(json.dumps({"image": "image.png", "regions": regions}))
    end = bench.spatial("scenes", "rgbd", folder, "--out", bench.folder / "scenes").expect(0, 1, 2, within=60)
    return f"exit {end.code}, {end.seconds:.0f} s, {end.megabytes:.0f} MB: {end.error[:110]}"


def _choices(bench: Bench) -> str:
    def many(connection: socket.socket, request: Request) -> None:
        body = completion(request)
        respond(connection, {**body, "choices": body["choices"] * 20_000})

    with Server(handler=many) as server:
        given = "--policy", server.model, "--rounds", 2, *SMALL_SEARCH
        end = bench.spatial("search", bench.questions, *given, "--out", bench.folder / "out").expect(0, within=60)
    return f"{end.megabytes:.0f} MB"
