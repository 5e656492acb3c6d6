"""How fast the search is, each number beside its limit or a peer.

    python benchmarks/search.py [engine|memory|core|all]

- engine: requests per second with simulated latency (log-normal, mean 200 ms) and 64 requests allowed in flight, beside the
  ideal, which is the sum of all latencies over 64; and the engine's own CPU time per request.
- memory: peak memory while 1,000 and while 10,000 questions are searched; flat means that the difference is the questions.
- core: node insertions per second of the tree alone, beside treequest's StandardMCTS where it is installed
  (`pip install treequest`; it is not a dependency of this package).
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from spatialreasoner.core.types import Completion, Prompt, Question, Region, Response, RewardBreakdown, Scene
from spatialreasoner.inference.endpoint import Limits
from spatialreasoner.language.responses import render
from spatialreasoner.scenes.masks import encode, from_box
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.run import RunConfig, run_search
from spatialreasoner.search.tree import Node, add, close, select, ucb

IN_FLIGHT = 64
MEAN_LATENCY = 0.2
ANSWER = render(
    Response(
        description="<region1> is a box. " * 10,
        reasoning="### Rationale\nI measure.\n### Let's think step by step\n"
        + "\n".join(f"### Step {number}\n{'The box is wide. ' * 6}" for number in range(1, 5)),
        answer="<region1> is 2.00 meters wide.",
    )
)


class Teacher:
    """Answers after a log-normal wait; every answer differs in its last digits."""

    def __init__(self, name: str, *, mean_latency: float) -> None:
        self.name = name
        self.replied: list[tuple[float, float]] = []  # when, and after what wait
        self._mean = mean_latency
        self._rng = random.Random(name)

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> list[Completion]:
        """What is left of one answer, with another number at its end."""
        sigma = 0.5
        wait = self._rng.lognormvariate(math.log(self._mean) - sigma**2 / 2, sigma) if self._mean else 0.0
        await asyncio.sleep(wait)
        self.replied.append((time.perf_counter(), wait))
        text = ANSWER[len(prompt.prefix) :]
        return [Completion(text=f"{text} {seed % 10**9}{k}", prompt_tokens=500, completion_tokens=300) for k in range(n)]


class Reward:
    """Every step is fair; one answer in four is right."""

    async def rate(self, question: Question, prefix: str, step: str) -> dict[str, float]:
        """The same for all."""
        return {"spatial": 0.2}

    async def score(self, question: Question, text: str) -> RewardBreakdown:
        """The same for all."""
        return RewardBreakdown(visual=1.0, spatial_description=1.0, spatial_reasoning=1.0, logical=1.0)

    def succeeds(self, question: Question, text: str) -> bool:
        """By the number at the end."""
        return int(text[-6:]) % 4 == 0


def run(num_questions: int, folder: Path, *, mean_latency: float) -> dict[str, Any]:
    """One run of a number of questions; its wall time, CPU time, and when each request was replied to after what wait."""
    image = folder / "image.png"
    Image.new("RGB", (64, 64)).save(image)
    region = Region(id="region1", label="box", mask=encode(from_box((8, 8, 40, 40), (64, 64))))
    scenes = {"s": Scene(id="s", image=str(image), regions=(region,))}
    questions = [
        Question(
            id=f"q{number}", scene_id="s", category="width_data", text="How wide is <region1>?", region_ids=("region1",),
            answer="2 m", value=2.0, unit="m",
        )
        for number in range(num_questions)
    ]  # fmt: skip
    teachers = [Teacher(name, mean_latency=mean_latency) for name in ("a", "b")]
    limits = {teacher.name: Limits(concurrency=IN_FLIGHT // 2) for teacher in teachers}
    wall, cpu = time.perf_counter(), time.process_time()
    run_search(
        questions=questions, scenes=scenes, policies=teachers, reward=Reward(),
        config=RunConfig(limits=limits, search=SearchConfig()), out=folder / "out", inputs={},
    )  # fmt: skip
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "replied": sorted(reply for teacher in teachers for reply in teacher.replied),
    }


def engine() -> None:
    """Requests per second against the ideal."""
    with tempfile.TemporaryDirectory() as folder:
        ran = run(2000, Path(folder), mean_latency=MEAN_LATENCY)
    replied = ran["replied"]
    steady = replied[len(replied) // 20 : -len(replied) // 10]
    print(f"engine: {len(replied)} requests in {ran['wall']:.1f} s")
    for name, part, seconds in (
        ("steady state", steady, steady[-1][0] - steady[0][0]),
        ("whole run, with the last trees alone", replied, ran["wall"]),
    ):
        best = sum(wait for _, wait in part) / IN_FLIGHT
        rates = f"{len(part) / seconds:.0f} per second (ideal {len(part) / best:.0f})"
        print(f"engine: {rates}: {best / seconds:.1%} of the ideal, {name} (limit: at least 95%)")
    print(f"engine: {1e3 * ran['cpu'] / len(replied):.2f} ms of CPU a request, simulated teacher included (limit: below 1)")


def memory() -> None:
    """Peak memory of runs of two sizes, each in a process of its own."""
    peaks = {}
    for num_questions in (1_000, 10_000):
        command = [sys.executable, __file__, "peak", str(num_questions)]
        peaks[num_questions] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    growth = peaks[10_000] - peaks[1_000]
    print(f"memory: peak {peaks[1_000]:.0f} MiB at 1,000 questions, {peaks[10_000]:.0f} MiB at 10,000")
    print(f"memory: {1024 * growth / 9_000:.1f} KiB a question more (the questions themselves; limit: below 5)")


def peak(num_questions: int) -> None:
    """Peak memory of one run, MiB."""
    with tempfile.TemporaryDirectory() as folder:
        run(num_questions, Path(folder), mean_latency=0.0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def core(num_nodes: int = 2_000) -> None:
    """Insertions per second: select, add four rated children, back up, close; the same scores for both."""
    ours = max(_insertions(num_nodes) for _ in range(3))
    print(f"core: {ours:,.0f} node insertions per second")
    try:
        import treequest
    except ImportError:
        print("core: treequest is not installed; no peer to compare with")
        return
    theirs = max(_insertions_of(treequest, num_nodes) for _ in range(3))
    print(f"core: treequest StandardMCTS {theirs:,.0f} per second; ratio {ours / theirs:.1f} (limit: at least 3)")


def _insertions(num_nodes: int) -> float:
    rng, root, begin = random.Random(0), Node(), time.perf_counter()
    for round_index in range(num_nodes // 4):
        node = select(root, exploration=0.5)
        for passed in node.path():
            passed.selections.append((round_index, ucb(passed, exploration=0.5)))
        node.expansions += 1
        for number in range(4):
            add(node, step="step 1", text=str(number), policy="a", ratings={"spatial": rng.random()}, pruned=None)
        close(node, max_expansions=2)
    return num_nodes / (time.perf_counter() - begin)


def _insertions_of(treequest: ModuleType, num_nodes: int) -> float:
    rng = random.Random(0)
    algorithm = treequest.StandardMCTS(samples_per_action=2, exploration_weight=0.5)
    actions = {name: lambda state: ("text", rng.random()) for name in "ab"}
    tree, begin = algorithm.init_tree(), time.perf_counter()
    for _ in range(num_nodes):
        tree = algorithm.step(tree, actions, inplace=True)
    return num_nodes / (time.perf_counter() - begin)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    which = sys.argv[1] if len(sys.argv) > 1 else "all"
    if which == "peak":
        peak(int(sys.argv[2]))
    else:
        for name, measure in (("engine", engine), ("memory", memory), ("core", core)):
            if which in {name, "all"}:
                measure()
