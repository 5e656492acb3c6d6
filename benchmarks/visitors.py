"""Forty visitors of the app at once, on two cores: what each of them sees, and how long an answer takes.

    python benchmarks/visitors.py [--visitors 40] [--questions 3] [--against REF] [--rounds 2]

Each visitor begins a visit, chooses an example, draws a box, and asks, all at the same time. The model is an endpoint on this
machine that answers after 0.2 s, so that what is measured is the app. None may see an error but a queue that tells it is one.
With `--against`, a commit whose app was made with gradio (48cd62f; in a venv that has gradio 6 beside this package), both are
visited in turn, with the same endpoint, and the medians are compared. Whom the earlier build turns away does not slow down its
answers to the others; so fewer visitors come after that, until it answers all. Exits with 1 where a visitor saw an error, or
an answer took longer than before when both builds answered everyone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from earlier import SOURCE, check_out
from strange.server import Request, Server, healthy

QUESTION = "How wide is <region1>?"
QUEUE = re.compile(r"wait|queue|busy|minute|many", re.IGNORECASE)
READY = 20
"""An app that answers so often in a row is ready."""

Asking = Callable[[], str]
"""Asks once; what was shown."""


def slowly(connection: socket.socket, request: Request) -> None:
    """A model that takes a fifth of a second."""
    time.sleep(0.2)
    healthy(connection, request)


@contextmanager
def serving(source: Path, model: str) -> Iterator[tuple[int, int]]:
    """The app of a checkout; its port and process id."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "spatialreasoner", "app", "--model", model, "--port", str(port := free_port())],
            env={**os.environ, "PYTHONPATH": str(source / "src"), "OMP_NUM_THREADS": "1"}, stdout=log, stderr=log, cwd=source,
        )  # fmt: skip
        try:
            answered = 0
            for _ in range(1200):
                try:
                    answered = answered + 1 if send(port, "GET", "/")[0] == 200 else 0
                except (OSError, HTTPException):  # gradio opens its port once to try it, and again to serve
                    answered = 0
                if answered == READY:
                    break
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(f"the app of {source} did not start: {log.read().decode()[-500:]}")
                time.sleep(0.1)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(30)


def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def send(port: int, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, str]:
    """A request of JSON; status and text."""
    connection = HTTPConnection("127.0.0.1", port, timeout=300)
    headers = {"Content-Type": "application/json", "X-Session": token}
    connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
    reply = connection.getresponse()
    return reply.status, reply.read().decode(errors="replace")


def expect(told: tuple[int, str]) -> str:
    """The text of a reply that is not an error."""
    if told[0] >= 300:
        raise RuntimeError(f"{told[0]}: {told[1][:200]}")
    return told[1]


def today(port: int, model: str) -> Asking:
    """A visit of today's app, up to its question."""
    token = json.loads(expect(send(port, "POST", "/api/begin", {"saved": ""})))["token"]
    expect(send(port, "POST", "/api/example", {"number": 0}, token))
    shape = {"tool": "box", "points": [[20, 20], [60, 60]]}
    expect(send(port, "POST", "/api/edit", {"action": "add", "shape": shape, "cut": False}, token))

    def ask() -> str:
        lines = expect(send(port, "POST", "/api/ask", {"question": QUESTION, "models": [model]}, token)).splitlines()
        return str(next(iter(json.loads(lines[-1]).values())))

    return ask


def earlier(port: int, model: str) -> Asking:
    """A visit of the app that was made with gradio, as its page makes it."""
    visit = secrets.token_hex(6)
    config = json.loads(expect(send(port, "GET", "/config")))
    named = {part["id"]: part["props"] for part in config["components"]}
    load, choose, add, asking = (
        find(config["dependencies"], named, *which)
        for which in (("load", None), ("select", "sr-gallery"), ("click", "Add region"), ("click", "sr-ask"))
    )
    call(port, visit, load, [None])
    call(port, visit, choose, [None], {"index": 0, "value": None, "selected": True})
    shown = call(port, visit, add, [None, "20,20,60,60"])
    if "sr-error" in str(shown):
        raise RuntimeError(str(shown)[:300])
    return lambda: str(call(port, visit, asking, [None, QUESTION, model, "no other"])[0])


def find(dependencies: list[Any], named: dict[int, Any], event: str, part: str | None) -> int:
    """The number of what happens at an event of a part of a gradio page."""
    for each in dependencies:
        for target, name in each["targets"]:
            props = named.get(target, {})
            if name == event and (part is None or part in [props.get("elem_id"), props.get("value")]):
                return each["id"]
    raise SystemExit(f"the earlier page has no {event} of {part}")


def call(port: int, visit: str, number: int, data: list[Any], event: Any = None) -> list[Any]:
    """Join gradio's queue, and read its events until the call is done."""
    joined = {"data": data, "fn_index": number, "session_hash": visit, "event_data": event, "trigger_id": None}
    expect(send(port, "POST", "/gradio_api/queue/join", joined))
    connection = HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("GET", f"/gradio_api/queue/data?session_hash={visit}")
    reply, output = connection.getresponse(), list[Any]()
    for line in reply:
        told = json.loads(line[6:]) if line.startswith(b"data: ") else {}
        if told.get("msg") in {"process_generating", "process_completed"}:
            if not told.get("success", True):
                raise RuntimeError(str(told["output"])[:300])
            output = told["output"].get("data") or output
        if told.get("msg") == "process_completed":
            return output
    raise RuntimeError("the queue ended")


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """What the visitors of one app saw: seconds of the answers, how the visits ended, the app's memory and processor time."""

    seconds: list[float]
    ends: Counter[str]
    megabytes: float
    work: float

    @property
    def median(self) -> float:
        """Seconds that an answer took in the middle."""
        return statistics.median(self.seconds)


def crowd(source: Path, begin: Callable[[int, str], Asking], server: Server, visitors: int, questions: int) -> Crowd:
    """All visit at once."""
    seconds, ends = list[float](), Counter[str]()

    def visit(port: int) -> None:
        try:
            ask = begin(port, server.model)
            for _ in range(questions):
                begun = time.monotonic()
                shown = ask()
                kind = (
                    "answered" if "m wide" in shown else "told to wait" if QUEUE.search(shown) else f"an error: {shown[:200]}"
                )
                ends[kind] += 1
                if kind == "answered":
                    seconds.append(time.monotonic() - begun)
        except (OSError, RuntimeError, ValueError, HTTPException) as error:
            ends["told to wait" if QUEUE.search(str(error)) else f"an error: {error}"[:200]] += 1

    with serving(source, server.model) as (port, process), ThreadPoolExecutor(visitors) as pool:
        before = processor_seconds(process)
        list(pool.map(visit, [port] * visitors))
        work = processor_seconds(process) - before
        peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
        if peak is None:
            ends["an error: the app ended"] += 1
    return Crowd(seconds=seconds, ends=ends, megabytes=int(peak[1]) / 1024 if peak else 0.0, work=work)


def processor_seconds(process: int) -> float:
    """Processor time that a process has used, which does not depend on what else the machine does."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Let them come; 1 where one saw an error, or waits longer than before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=40)
    parser.add_argument("--questions", type=int, default=3, help="questions of each visitor")
    parser.add_argument("--against", metavar="REF", help="a commit whose app was made with gradio")
    parser.add_argument("--rounds", type=int, default=2, help="how often each app is visited")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="visitors-") as folder:
        apps = {"today": (SOURCE.parent, today)}
        if options.against is not None:
            apps["earlier"] = (check_out(options.against, Path(folder)).parent, earlier)
        titles = (
            f"{'build':<8} {'visitors':>8} {'round':>5} {'answers':>7} {'median s':>8} {'longest s':>9} {'work s':>6} {'MB':>5}"
        )
        print(f"{titles}  how visits ended")
        visitors = options.visitors
        while True:
            crowds = came(apps, visitors, options)
            problems = sum(any(end.startswith("an error") for end in each.ends) for each in crowds["today"])
            if "earlier" not in crowds:
                return int(problems > 0)
            served = min(len(each.seconds) for each in crowds["earlier"]) // options.questions
            slower = told(crowds)
            if served == visitors or visitors == 1:
                return int(problems > 0 or slower)
            print(f"the earlier build answered only {served} of them: fewer are let in now, until it answers all")
            visitors = max(1, min(served or visitors // 2, visitors - 1))


def came(
    apps: dict[str, tuple[Path, Callable[[int, str], Asking]]], visitors: int, options: argparse.Namespace
) -> dict[str, list[Crowd]]:
    """Let them come to each app in turn; prints what they saw."""
    crowds: dict[str, list[Crowd]] = {name: [] for name in apps}
    for number in range(options.rounds):
        for name, (source, begin) in apps.items():
            with Server(handler=slowly) as server:
                seen = crowd(source, begin, server, visitors, options.questions)
            crowds[name].append(seen)
            ends = ", ".join(f"{count} {end}" for end, count in seen.ends.most_common(4))
            times = (f"{seen.median:>8.2f} {max(seen.seconds):>9.2f}") if seen.seconds else f"{'none':>8} {'none':>9}"
            figures = f"{len(seen.seconds):>7} {times} {seen.work:>6.2f} {seen.megabytes:>5.0f}"
            print(f"{name:<8} {visitors:>8} {number + 1:>5} {figures}  {ends}", flush=True)
    return crowds


def told(crowds: dict[str, list[Crowd]]) -> bool:
    """Whether an answer takes longer than before, in the middle of all that were given; prints by how much."""
    today, before = ([second for each in crowds[name] for second in each.seconds] for name in ("today", "earlier"))
    if not today or not before:
        print("a build answered nobody, so there is nothing to compare")
        return not today
    ratio = statistics.median(today) / statistics.median(before)
    print(f"today's median answer takes {ratio:.2f} of the earlier build's: {len(today)} answers, {len(before)} of the earlier")
    spent = [sum(each.work for each in crowds[name]) / len(given) for name, given in (("today", today), ("earlier", before))]
    print(f"processor time for an answer: {spent[0]:.3f} s, the earlier build {spent[1]:.3f} s")
    return ratio > 1


if __name__ == "__main__":
    sys.exit(main())
