"""A photo of 62 million pixels with measured depth and two regions of nearly all of it, and answers that name colours."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from strange.case import MEGABYTES, SMALL_SEARCH, Bench, Case, need
from strange.server import Request, Server, completion, respond
from strange.visits import Visitor, refused, start

WIDTH, HEIGHT = 9_000, 6_900
LEFT, RIGHT = (60, 60, 4_460, 6_840), (4_540, 60, 8_940, 6_840)
"""Each region has 29.8 million pixels."""

SAID = (
    "<description><region1> is a red box. <region2> is a blue box. <region1> is red and wide, <region2> is blue and far."
    "</description>\n<reasoning>### Rationale\nI compare both.\n### Let's think step by step\n### Step 1\n"
    "<region1> is 1.20 m wide.\n### Step 2\n<region2> is 1.30 m wide. The distance between <region1> and <region2> is 1.10 m."
    "</reasoning>\n### In Conclusion\n<region1> is 1.20 m wide."
)


def cases() -> Iterator[Case]:
    """Each command that looks at an image, and the app."""
    for name, run in (("ask", _ask), ("generate", _generate), ("search", _search), ("reward", _reward), ("the app", _app)):
        yield Case(
            kind="large photos", done=f"{name}: 62 million pixels with depth, two regions of half of it, colours in the answer",
            expected=f"answered, or refused by the app, in less than {MEGABYTES} MB", run=partial(_measured, run),
        )  # fmt: skip


def colours(connection: socket.socket, request: Request) -> None:
    """Answer with colours and lengths of two regions."""
    respond(connection, completion(request, text=SAID))


def _photo(folder: Path) -> Path:
    """An RGB-D folder."""
    folder.mkdir()
    rows = np.linspace(1_800, 2_600, HEIGHT).astype(np.uint16)
    depth = np.repeat(rows[:, None], WIDTH, axis=1)
    depth[:, 4_500:] += 900
    Image.fromarray(depth).save(folder / "depth.png", compress_level=1)
    photo = Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 150))
    photo.paste((190, 40, 40), LEFT)
    photo.paste((40, 60, 190), RIGHT)
    photo.save(folder / "image.jpg")
    regions = [{"label": "red box", "box": LEFT}, {"label": "blue box", "box": RIGHT}]
    camera = {"fx": 7000.0, "fy": 7000.0, "cx": 4499.5, "cy": 3449.5}
    given = {"image": "image.jpg", "depth": "depth.png", "depth_units_per_metre": 1000, "intrinsics": camera}
    (folder / "scene.json").write_text(json.dumps({**given, "regions": regions}))
    return folder


def _measured(run: object, bench: Bench) -> str:
    assert callable(run)
    with Server(handler=colours) as server:
        return run(bench, _photo(bench.folder / "photo"), server)


def _ask(bench: Bench, photo: Path, server: Server) -> str:
    regions = [part for box in (LEFT, RIGHT) for part in ("--region", ",".join(map(str, box)))]
    given = ("--depth", photo / "depth.png", "--intrinsics", "7000,7000,4499.5,3449.5", "--model", server.model)
    end = bench.spatial("ask", photo / "image.jpg", "How wide is <region1>, and how far is <region2>?", *regions, *given)
    return f"{end.expect(0).megabytes:.0f} MB"


def _questions(bench: Bench, photo: Path) -> Path:
    scenes, questions = bench.folder / "scenes", bench.folder / "questions.jsonl"
    end = bench.spatial("scenes", "rgbd", photo, "--out", scenes).expect(0)
    made = bench.spatial("questions", scenes, "--per-scene", 3, "--seed", 0, "--out", questions).expect(0)
    print(f"    scenes rgbd {end.megabytes:.0f} MB, questions {made.megabytes:.0f} MB", flush=True)
    return questions


def _generate(bench: Bench, photo: Path, server: Server) -> str:
    questions = _questions(bench, photo)
    end = bench.spatial("generate", questions, "--model", server.model, "--out", bench.folder / "out.jsonl").expect(0)
    return f"{end.megabytes:.0f} MB"


def _search(bench: Bench, photo: Path, server: Server) -> str:
    options = "--policy", server.model, "--rounds", 2, *SMALL_SEARCH, "--out", bench.folder / "out"
    return f"{bench.spatial('search', _questions(bench, photo), *options).expect(0).megabytes:.0f} MB"


def _reward(bench: Bench, photo: Path, server: Server) -> str:
    questions, responses = _questions(bench, photo), bench.folder / "responses.jsonl"
    ids = [json.loads(line)["id"] for line in questions.read_text().splitlines()]
    responses.write_text("".join(json.dumps({"question_id": name, "text": SAID}) + "\n" for name in ids))
    end = bench.spatial("reward", questions, responses, "--out", bench.folder / "rewards.jsonl").expect(0)
    return f"{end.megabytes:.0f} MB"


def _app(bench: Bench, photo: Path, server: Server) -> str:
    one = start(server=server)
    try:
        visitor = Visitor(one).begin()
        files = [(f"photo/{path.name}", path.read_bytes()) for path in sorted(photo.iterdir())]
        status, told = visitor.upload(*files)
        bench.note("app", one.megabytes)
        if status != 200:  # visitors' images may have fewer pixels
            need(one.megabytes < MEGABYTES, f"{one.megabytes:.0f} MB of memory")
            return f"{refused(status, told)}; {one.megabytes:.0f} MB"
        for path in ("/api/image", "/api/measures", "/api/depth.png", "/api/space"):
            status, body, _ = visitor.send("GET", path, timeout=300)
            need(status == 200, f"{path}: {status} {body[:100]!r}")
        status, answer = visitor.ask("How wide is <region1>, and how far is <region2>?", timeout=300)
        need(status == 200 and "Statement by statement" in answer, f"{status}: {answer[-200:]}")
        bench.note("app", one.megabytes)
        need(one.megabytes < MEGABYTES, f"{one.megabytes:.0f} MB of memory")
        return f"{one.megabytes:.0f} MB"
    finally:
        with suppress(OSError):
            one.stop()
