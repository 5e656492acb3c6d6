"""A search through endpoints that fail in every way of a table, killed again and again, against one that nobody disturbs.

    python benchmarks/endpoints.py [--kills 20] [--questions 12] [--faults 0.3] [--seed 0]

Two policies are served by a real HTTP server on the loopback address, which plays the behaviours of `tests/inference/server`: a
share of the requests is answered by one of them. Which request meets which fault is decided by its content and by how often
it has been sent, so two runs meet the same (at least 22 kinds). One run is left alone; the other is killed by SIGKILL at
moments from a seed, and continued by the same call. At the end trees, trajectories and summary must have the same bytes, no
answer may have been paid for twice but those in flight at a kill, and no more requests sent than `--max-calls` allows. Exits
with 1 where that fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from builders import build_scene
from inference.server.behaviours import EMPTIES, MOMENTS, PROMPTS, REPLIES, Behaviour
from inference.server.server import Ask, Reply, Server, completion
from spatialreasoner.core.types import Question, RewardBreakdown, Scene
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy
from spatialreasoner.inference.limits import Limits
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.search.run import RunConfig, run_search

FILES = ("trajectories.jsonl", "trees.jsonl", "summary.json", "config.json")
SLOW = frozenset({"says nothing", "one byte now and then", "30 MB", "gigabytes, packed", "sends on within the host"})
"""Behaviours that take long to play, or look at the number of a request: a campaign has enough of the others."""

PASSING = [behaviour for behaviour in MOMENTS if behaviour.name not in SLOW]
"""What a request may meet, and not meet when it is sent again."""

LASTING = [behaviour for behaviour in (*EMPTIES, *REPLIES) if behaviour.name not in SLOW]
"""What a request meets whenever it is sent."""

LEAST_KINDS = 22
"""A campaign that met fewer kinds of faults says little."""

REFUSING = PROMPTS[:9]
"""What a prompt meets, whatever its seed."""

CONCURRENCY = 4


class ByLength:
    """Rates by nothing but the text, so that trees branch and some questions find no right path."""

    async def rate(self, question: Question, prefix: str, step: str) -> dict[str, float]:
        """A stage of a length that three divides is poor."""
        return {"spatial": 0.5 if len(step) % 3 else -0.5}

    async def score(self, question: Question, text: str) -> RewardBreakdown:
        """Fair, but for the logic, which is measured by length too."""
        return RewardBreakdown(visual=1.0, spatial_description=1.0, spatial_reasoning=1.0, logical=len(text) % 5 / 2)

    def succeeds(self, question: Question, text: str) -> bool:
        """One answer in five is right."""
        return len(text) % 5 == 0


class Faulty:
    """Decides what a request meets by its content, and passing faults also by how often it came.

    A tenth of the share is refused prompts and four tenths are lasting faults of replies; the rest passes.
    """

    def __init__(self, share: float, seconds: float) -> None:
        self.share, self.seconds = share, seconds
        self.met: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()

    def __call__(self, asked: Ask) -> Reply:
        """The reply to one request."""
        prompt = [asked.body["model"], asked.body["messages"]]
        content = [*prompt, asked.body.get("seed")]
        behaviour = (
            self._chosen(REFUSING, 0.1, *prompt)
            or self._chosen(PASSING, 0.5, *content, asked.again)
            or self._chosen(LASTING, 0.4, *content)
        )
        rng = seeded(*content)
        written = Asked(asked, f"{rng.randrange(10**6)} " + "so " * rng.randrange(6))
        reply = completion(written) if behaviour is None else behaviour.respond(written)
        reply.delay = self.seconds * rng.random()
        if reply.status == 200 and reply.drop is None and isinstance(reply.value, dict) and reply.value.get("choices"):
            self.answered[json.dumps(content)] += 1
        return reply

    def _chosen(self, behaviours: list[Behaviour], part: float, *content: Any) -> Behaviour | None:
        rng = seeded("fault", len(behaviours), *content)
        if rng.random() >= self.share * part:
            return None
        behaviour = rng.choice(behaviours)
        self.met[behaviour.name] += 1
        return behaviour


def seeded(*content: Any) -> Random:
    """Chance that depends on nothing but the content."""
    return Random(hashlib.sha256(json.dumps(content).encode()).hexdigest())


class Asked(Ask):
    """A request whose answer differs from others in its last words."""

    def __init__(self, asked: Ask, words: str) -> None:
        super().__init__(body=asked.body, headers=asked.headers, again=0, number=1)  # what happens to it happens now
        self._words = words

    def rest(self) -> str:
        """The answer after what is written already, with words of its own."""
        return f"{super().rest()} I am sure, {self._words}."


def job(server: Server, scene: Scene, questions: list[Question], max_calls: int) -> dict[str, Any]:
    """All that `run_search` needs."""
    policies = [ApiPolicy(f"api:{name}@{server.url}", ApiConfig(timeout=5.0, prefill=True)) for name in "ab"]
    limits = {policy.name: Limits(attempts=12, backoff=0.01, concurrency=CONCURRENCY, park_after=50) for policy in policies}
    config = RunConfig(limits=limits, trees_in_flight=6, max_calls=max_calls)
    return {
        "questions": questions, "scenes": {scene.id: scene}, "policies": policies, "reward": ByLength(), "config": config,
        "inputs": {},
    }  # fmt: skip


def search_in_child(work: Callable[[], dict[str, Any]], out: Path) -> int:
    """Start a search in a process of its own."""
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            try:
                run_search(**work(), out=out, progress=lambda progress: None)
                os._exit(0)
            finally:
                os._exit(1)
    return child


def serve(share: float, seconds: float) -> tuple[Server, Faulty]:
    """A server that fails so often and takes up to so long."""
    faulty = Faulty(share, seconds)
    return Server(faulty).start(), faulty


def main() -> int:
    """Run both, and compare; 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--questions", type=int, default=12)
    parser.add_argument("--faults", type=float, default=0.3, help="share of requests that meet one")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="endpoints-") as folder:
        problems = campaign(Path(folder), options)
    print("\n".join(problems) or "the same bytes")
    return int(bool(problems))


def campaign(folder: Path, options: argparse.Namespace) -> list[str]:
    """One undisturbed run, one that is killed; what does not hold."""
    scene = build_scene(folder / "scenes")
    questions = ask_about(Measured(scene), Random(1), options.questions)
    server, faulty = serve(options.faults, 0.0)
    max_calls = 200 * options.questions
    run_search(**job(server, scene, questions, max_calls), out=folder / "whole")
    whole, port, sent = Counter(faulty.answered), server.server_port, len(server.asks)
    server.stop()
    print(f"undisturbed: {sent} requests, {faulty.met.total()} met {len(faulty.met)} kinds of faults, {whole.total()} replies")
    server, faulty = serve_at(port, options.faults)
    kills = kill(lambda: job(server, scene, questions, max_calls), folder / "killed", server, options)
    server.stop()
    return [*compare(folder), *paid_twice(whole, faulty, kills), *too_many(server, max_calls), *too_few_kinds(faulty)]


def serve_at(port: int, share: float) -> tuple[Server, Faulty]:
    """The same server anew, slower, so that there is something to kill."""
    faulty = Faulty(share, 0.05)
    return Server(faulty, port=port).start(), faulty


def kill(work: Callable[[], dict[str, Any]], out: Path, server: Server, options: argparse.Namespace) -> int:
    """Begin, kill and continue so often, then let it end; how often it was killed at work."""
    rng, at_work = Random(options.seed), 0
    for _ in range(options.kills):
        before, child = len(server.asks), search_in_child(work, out)
        begun = time.monotonic()
        while len(server.asks) == before and time.monotonic() - begun < 10 and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.4))
        try:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            continue
        at_work += len(server.asks) > before
    child = search_in_child(work, out)
    code = os.waitpid(child, 0)[1]
    print(f"killed {options.kills} times, {at_work} at work; {len(server.asks)} requests; ended with {code}")
    return at_work


def compare(folder: Path) -> list[str]:
    """Files that differ."""
    return [
        f"{name} differs" for name in FILES if (folder / "whole" / name).read_bytes() != (folder / "killed" / name).read_bytes()
    ]


def paid_twice(whole: Counter[str], faulty: Faulty, kills: int) -> list[str]:
    """Replies beyond those of the undisturbed run; each kill may cost those in flight."""
    more = faulty.answered.total() - whole.total()
    print(
        f"replies paid for: {faulty.answered.total()}, {more} more than undisturbed; {kills * 2 * CONCURRENCY} may be in flight"
    )
    return [f"{more} replies paid for twice"] if more > kills * 2 * CONCURRENCY else []


def too_many(server: Server, max_calls: int) -> list[str]:
    """Requests beyond the limit."""
    print(f"requests: {len(server.asks)} of at most {max_calls}")
    return [f"{len(server.asks)} requests, {max_calls} allowed"] if len(server.asks) > max_calls else []


def too_few_kinds(faulty: Faulty) -> list[str]:
    """Whether the killed run met enough kinds of faults."""
    print(f"kinds of faults met: {len(faulty.met)} of at least {LEAST_KINDS}")
    return [f"{len(faulty.met)} kinds of faults, {LEAST_KINDS} wanted"] if len(faulty.met) < LEAST_KINDS else []


if __name__ == "__main__":
    sys.exit(main())
