"""A search through endpoints that fail in every way of a table, killed again and again, against one that nobody disturbs.

    python benchmarks/endpoints.py [--kills 20] [--questions 12] [--faults 0.3] [--seed 0] [--batch]

Two policies are served by a real HTTP server on the loopback address, which plays the behaviours of `tests/inference/server`: a
share of the requests is answered by one of them. Which request meets which fault is decided by its content and by how often
it has been sent, so two runs meet the same (at least 22 kinds). One run is left alone; the other is killed by SIGKILL at
moments from a seed, and continued by the same call. At the end trees, trajectories and summary must have the same bytes, no
answer may have been paid for twice but those in flight at a kill, and no more requests sent than `--max-calls` allows. Exits
with 1 where that fails. With `--batch` the policies are asked through a batch API, where faults are those of single requests
in a batch, and no answer at all may be paid for twice.
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
from inference.server.batches import BatchServer
from inference.server.behaviours import EMPTIES, MOMENTS, PROMPTS, REPLIES, Behaviour
from inference.server.server import Ask, Reply, Server, completion
from spatialreasoner.core.types import Question, RewardBreakdown, Scene
from spatialreasoner.inference.backends.api import ApiConfig, ApiPolicy
from spatialreasoner.inference.limits import Limits
from spatialreasoner.inference.submitting import BatchConfig
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
        """A step of a length that three divides is poor."""
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

    def __init__(self, share: float, seconds: float, *, batch: bool = False) -> None:
        self.share, self.seconds, self.batch = share, seconds, batch
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
        return _in_a_batch(reply) if self.batch else reply

    def _chosen(self, behaviours: list[Behaviour], part: float, *content: Any) -> Behaviour | None:
        rng = seeded("fault", len(behaviours), *content)
        if rng.random() >= self.share * part:
            return None
        behaviour = rng.choice(behaviours)
        self.met[behaviour.name] += 1
        return behaviour


def _in_a_batch(reply: Reply) -> Reply:
    """What becomes of a reply in the output file of a batch: one that is not JSON, or breaks off, is an error of the server."""
    whole = reply.data is None and reply.drop is None
    return Reply(status=reply.status, value=reply.value) if whole else Reply(status=500, value={"error": {"message": "broken"}})


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


QUICK = BatchConfig(quiet=0.1, first_look=0.01, slowest_look=0.01, listed_after=0.0, patience=60.0)
"""A batch is looked at as often as a test needs."""


def job(server: Server, scene: Scene, questions: list[Question], max_calls: int) -> dict[str, Any]:
    """All that `run_search` needs."""
    policies = [ApiPolicy(f"api:{name}@{server.url}", ApiConfig(timeout=5.0, prefill=True)) for name in "ab"]
    limits = {
        policy.name: Limits(attempts=12, backoff=0.01, concurrency=CONCURRENCY, failure_threshold=50) for policy in policies
    }
    batch = QUICK if isinstance(server, BatchServer) else False
    config = RunConfig(limits=limits, trees_in_flight=6, max_calls=max_calls, batch=batch)
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


def serve(options: argparse.Namespace, seconds: float, port: int = 0) -> tuple[Server, Faulty]:
    """A server with a given share of failures and a given maximum latency."""
    faulty = Faulty(options.faults, seconds, batch=options.batch)
    server = BatchServer(faulty, port=port) if options.batch else Server(faulty, port=port)
    return server.start(), faulty


def sent(server: Server) -> int:
    """Requests for answers, alone or in batches."""
    return len(server.asks) + (sum(len(batch.rows) for batch in server.made) if isinstance(server, BatchServer) else 0)


def main() -> int:
    """Run both, and compare; 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--questions", type=int, default=12)
    parser.add_argument("--faults", type=float, default=0.3, help="share of requests that meet one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", action="store_true", help="through a batch API")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="endpoints-") as folder:
        problems = campaign(Path(folder), options)
    print("\n".join(problems) or "the same bytes")
    return int(bool(problems))


def campaign(folder: Path, options: argparse.Namespace) -> list[str]:
    """One undisturbed run, one that is killed; what does not hold."""
    scene = build_scene(folder / "scenes")
    questions = ask_about(Measured(scene), Random(1), options.questions)
    server, faulty = serve(options, 0.0)
    max_calls = 200 * options.questions
    run_search(**job(server, scene, questions, max_calls), out=folder / "whole")
    whole, port = Counter(faulty.answered), server.server_port
    server.stop()
    met = f"{faulty.met.total()} met {len(faulty.met)} kinds of faults"
    print(f"undisturbed: {sent(server)} requests, {met}, {whole.total()} replies", flush=True)
    server, faulty = serve(options, 0.05, port)  # slower, so that there is something to kill
    kills = kill(lambda: job(server, scene, questions, max_calls), folder / "killed", server, options)
    server.stop()
    return [*compare(folder), *paid_twice(whole, faulty, kills), *too_many(server, max_calls), *too_few_kinds(faulty)]


def kill(work: Callable[[], dict[str, Any]], out: Path, server: Server, options: argparse.Namespace) -> int:
    """Begin, kill and continue so often, then let it end; how often it was killed at work."""
    rng, at_work = Random(options.seed), 0
    for _ in range(options.kills):
        before, child = sent(server), search_in_child(work, out)
        begun = time.monotonic()
        while sent(server) == before and time.monotonic() - begun < 10 and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.4))
        try:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            continue
        at_work += sent(server) > before
    child = search_in_child(work, out)
    code = os.waitpid(child, 0)[1]
    print(f"killed {options.kills} times, {at_work} at work; {sent(server)} requests; ended with {code}")
    return at_work


def compare(folder: Path) -> list[str]:
    """Files that differ."""
    return [
        f"{name} differs" for name in FILES if (folder / "whole" / name).read_bytes() != (folder / "killed" / name).read_bytes()
    ]


def paid_twice(whole: Counter[str], faulty: Faulty, kills: int) -> list[str]:
    """Replies beyond those of the undisturbed run; each kill may cost those in flight."""
    more, most = faulty.answered.total() - whole.total(), 0 if faulty.batch else kills * 2 * CONCURRENCY
    print(f"replies paid for: {faulty.answered.total()}, {more} more than undisturbed; {most} may be in flight")
    return [f"{more} replies paid for twice"] if more > most else []


def too_many(server: Server, max_calls: int) -> list[str]:
    """Requests beyond the limit."""
    print(f"requests: {sent(server)} of at most {max_calls}")
    return [f"{sent(server)} requests, {max_calls} allowed"] if sent(server) > max_calls else []


def too_few_kinds(faulty: Faulty) -> list[str]:
    """Whether the killed run met enough kinds of faults."""
    print(f"kinds of faults met: {len(faulty.met)} of at least {LEAST_KINDS}")
    return [f"{len(faulty.met)} kinds of faults, {LEAST_KINDS} wanted"] if len(faulty.met) < LEAST_KINDS else []


if __name__ == "__main__":
    sys.exit(main())
