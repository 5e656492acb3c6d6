"""How fast the nano answers, beside what its arithmetic allows.

    python benchmarks/nano.py [--model nano] [--threads 2] [--rooms 32] [--batch 64] [--parts]
    python benchmarks/nano.py --against REF [--weights REF] [--threads 1] [--rounds 1]

Asks six questions about each of some synthetic rooms, with LongCoT answers, in two ways: `generate` of transformers, and
`HfPolicy`, by which searches, predictions and the app ask. Prints answers per second, in wall and in processor time, and the
ratio to the limit: the time that the same additions and multiplications take in large matrix products. Exits with 1 where
`HfPolicy` stays under 40 answers per second; on a busy machine compare processor time with the limit's. `--parts` adds how much
processor time each function of the library takes, and all else.

With `--against` this build and that of the commit REF answer the same questions with the same weights, greedily and by samples
at temperature 1, in turn, each in a process of its own. Prints milliseconds of processor time per answer, without loading and
the first answers, the best of the rounds, the ratios, and how many greedy texts are the same. Builds before the present weights
cannot load them: `--weights` takes those of a commit, which this build reads with zeros for what it has more. Exits with 1
where the greedy ratio is below 4, or fewer than 99.5 % of the texts are the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

import torch

from earlier import SOURCE, check_out, conversing, nano_of
from spatialreasoner.core.types import Prompt, Question, Scene
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.nano.native.kernel import native_library
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.scenes import synthetic
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.vlm.sources import source_of

LIMIT = 40.0
TARGET, SAME = 4.0, 0.995
ROOMS = 2**42
PER_ROOM = 6
PARTS = ("nano_write", "nano_see", "nano_look", "nano_name")
"""Functions of the library that take long enough to be seen."""


def main() -> int:
    """Measure and print; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rooms", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--parts", action="store_true", help="print the processor time of each function of the library, too")
    parser.add_argument("--rounds", type=int, default=1, help="of either build with --against; the fastest counts")
    parser.add_argument("--against", metavar="REF", help="a commit whose build answers the same questions")
    parser.add_argument("--weights", metavar="REF", help="a commit whose nano answers, in place of --model; with --against")
    given = parser.parse_args()
    if given.against:
        return compare_builds(given)
    torch.set_num_threads(given.threads)
    policy = HfPolicy(given.model, temperature=0, max_new_tokens=400, batch_size=given.batch)
    with tempfile.TemporaryDirectory() as folder:
        prompts = prompts_about(given.rooms, Path(folder))
        run(policy, prompts[: given.batch])  # warms up
        policy_time, completions = timed(lambda: run(policy, prompts))
        parts = parts_of(given.model, given.batch, prompts) if given.parts else {}
        raw_time, _ = timed(lambda: raw(policy, prompts, given.batch))
        lengths = [completion.completion_tokens for completion in completions]
        flops = work(policy, prompts[0], sum(lengths) / len(lengths))
    speed = matrix_speed()
    best = given.threads * speed / flops
    print(
        f"{len(prompts)} answers of {sum(lengths) / len(lengths):.0f} tokens, batches of {given.batch}, {given.threads} threads"
    )
    print(f"limit: {flops / 1e9:.2f} GFLOP per answer at {speed / 1e9:.0f} GFLOP/s per core: {best:.0f} answers/s")
    for name, (wall, processor) in (("HfPolicy", policy_time), ("generate", raw_time)):
        rate, of_processor = len(prompts) / wall, len(prompts) / processor
        print(f"{name:9} {rate:6.1f} answers/s, {100 * rate / best:.0f} % of the limit; {of_processor:.1f} per core-second")
    for part, seconds in sorted(parts.items(), key=itemgetter(1), reverse=True):
        print(f"{part:11} {1e3 * seconds / len(prompts):5.2f} ms per answer")
    return int(len(prompts) / policy_time[0] < LIMIT)


def parts_of(model: str, batch: int, prompts: Sequence[Prompt]) -> dict[str, float]:
    """Seconds of processor time of each function of the library, and of all else, while a new policy answers."""
    library, found = native_library(), dict.fromkeys(PARTS, 0.0)
    policy = HfPolicy(model, temperature=0, max_new_tokens=400, batch_size=batch)
    run(policy, prompts[-PER_ROOM:])

    def watched(name: str, function: Any, *given: Any) -> Any:
        start = time.thread_time()
        try:
            return function(*given)
        finally:
            found[name] += time.thread_time() - start

    kept = {name: getattr(library, name) for name in PARTS}
    for name, function in kept.items():
        setattr(library, name, partial(watched, name, function))
    (_, total), _ = timed(lambda: run(policy, prompts))
    for name, function in kept.items():
        setattr(library, name, function)
    return {**found, "all else": total - sum(found.values())}


RUNNER = """
import asyncio, json, sys, time
from pathlib import Path
import torch
try:
    from spatialreasoner.core.types import Prompt, Region, Rle
    from spatialreasoner.inference.backends.hf import HfPolicy
except ModuleNotFoundError:  # of an earlier layout
    from spatialreasoner.models.hf import HfPolicy
    from spatialreasoner.types import Prompt, Region, Rle

def read(row):
    regions = [Region(id=r["id"], label=r["label"], mask=Rle(**r["mask"])) for r in row["regions"]]
    return Prompt(image=row["image"], regions=tuple(regions), request=row["request"], prefix=row["prefix"])

async def ask(policy, prompts):
    return await asyncio.gather(*(policy.complete(each, n=1, seed=0) for each in prompts))

if __name__ == "__main__":
    folder, model, batch, threads = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
    torch.set_num_threads(threads)
    prompts = [read(json.loads(line)) for line in (folder / "prompts.jsonl").read_text("utf-8").splitlines()]
    for line in sys.stdin:
        policy = HfPolicy(model, temperature=float(line), max_new_tokens=400, batch_size=batch)
        asyncio.run(ask(policy, prompts[-6:]))
        begin = time.process_time()
        answers = asyncio.run(ask(policy, prompts))
        taken = (time.process_time() - begin) / len(prompts)
        print(json.dumps({"seconds": taken, "texts": [each[0].text for each in answers]}), flush=True)
"""
MANNERS = {"greedy": 0, "sampled": 1}
"""Temperatures that are compared."""


def compare_builds(given: argparse.Namespace) -> int:
    """Print what this build and that of a commit take; 1 where a target is missed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prompts = prompts_about(given.rooms, folder / "rooms")
        rows = [json.dumps(asdict(each), default=str) + "\n" for each in prompts]
        (folder / "prompts.jsonl").write_text("".join(rows), encoding="utf-8")
        (folder / "runner.py").write_text(RUNNER, encoding="utf-8")
        models = nano_of(given.weights, folder / "weights") if given.weights else [source_of(given.model)] * 2
        builds = [(SOURCE, models[1]), (check_out(given.against, folder / "earlier"), models[0])]
        with ExitStack() as stack:
            asked = [stack.enter_context(answering(folder, *build, given.batch, given.threads)) for build in builds]
            found = {
                manner: [[ask(temperature) for ask in asked] for _ in range(given.rounds)]
                for manner, temperature in MANNERS.items()
            }
    new, old = found["greedy"][0]
    same = sum(a == b for a, b in zip(new["texts"], old["texts"], strict=True)) / len(prompts)
    print(f"{len(prompts)} questions, batches of {given.batch}, {given.threads} threads, {given.rounds} rounds; processor time")
    ratios: dict[str, float] = {}
    for manner, rounds in found.items():
        now, before = (1e3 * min(each[build]["seconds"] for each in rounds) for build in (0, 1))
        ratios[manner] = before / now
        print(f"{manner}: {before:.1f} ms per answer by {given.against}, {now:.1f} ms now; ratio {before / now:.2f}")
    print(f"{same:.1%} of the greedy texts are the same")
    return int(ratios["greedy"] < TARGET or same < SAME)


@contextmanager
def answering(
    folder: Path, source: Path, model: Path | str, batch: int, threads: int
) -> Generator[Callable[[float], dict[str, Any]]]:
    """A build that answers all questions at one temperature after the other, and tells its processor time and the texts."""
    with conversing(source, folder / "runner.py", folder, model, batch, threads) as tell:

        def answer(temperature: float) -> dict[str, Any]:
            line = next((each for each in tell(temperature) if each.startswith("{")), None)
            if line is None:
                sys.exit(f"the build in {source} cannot answer")
            return json.loads(line)

        yield answer


def prompts_about(rooms: int, folder: Path) -> list[Prompt]:
    """Questions of all kinds about rooms that the nano has not seen, as they are asked."""
    return [prompt(question, scene) for question, scene in asked_about(rooms, folder)]


def asked_about(rooms: int, folder: Path, *, seed: int = ROOMS) -> list[tuple[Question, Scene]]:
    """Questions of all kinds about rooms that the nano has not seen, each with its room."""
    synthetic.write_synthetic(synthetic.SyntheticConfig(count=rooms, seed=seed), folder)
    scenes = scene_index(folder).values()
    return [(question, scene) for scene in scenes for question in ask_about(Measured(scene), Random(0), PER_ROOM)]


def run(policy: HfPolicy, prompts: Sequence[Prompt]) -> list[Any]:
    """All answers by our own way."""

    async def answer() -> list[Any]:
        return await asyncio.gather(*(policy.complete(each, n=1, seed=0) for each in prompts))

    return [completions[0] for completions in asyncio.run(answer())]


@torch.inference_mode()
def raw(policy: HfPolicy, prompts: Sequence[Prompt], batch: int) -> None:
    """All answers by the processor and `generate` of transformers."""
    model, processor = policy._model, policy._processor
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        calls = [policy._call(each) for each in part]
        inputs = processor(images=[[call.shown] for call in calls], text=[call.opening.text for call in calls], padding=True)
        model.generate(**inputs, max_new_tokens=400, do_sample=False)


def timed(work: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Wall and processor time, and the result."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return (time.perf_counter() - wall, time.process_time() - processor), result


def work(policy: HfPolicy, example: Prompt, length: float) -> float:
    """Floating-point operations of one answer that nobody can leave out: seeing, reading, and writing with kept keys."""
    from torch.utils.flop_counter import FlopCounterMode

    model, processor = policy._model, policy._processor
    call = policy._call(example)
    inputs = processor(images=[[call.shown]], text=[call.opening.text])
    # With gradients, for without them torch sees by fused kernels, which the counter does not know
    with FlopCounterMode(display=False) as reading:
        model(**inputs, logits_to_keep=1)
    with FlopCounterMode(display=False) as seeing:
        model.model.look(inputs["pixel_values"], inputs["region_masks"])
    with FlopCounterMode(display=False) as writing:
        model(input_ids=inputs["input_ids"][:, -1:])
    seen_once = seeing.get_total_flops() * (1 - 1 / PER_ROOM)
    return reading.get_total_flops() - seen_once + length * writing.get_total_flops()


def matrix_speed() -> float:
    """The most operations per second of one core in a large matrix product."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    matrix = torch.randn(1024, 1024)
    times: list[float] = []
    for _ in range(8):
        start = time.process_time()
        matrix @ matrix
        times.append(time.process_time() - start)
    torch.set_num_threads(threads)
    return 2 * 1024**3 / min(times)


if __name__ == "__main__":
    sys.exit(main())
