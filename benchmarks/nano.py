"""How fast the nano answers, beside what its arithmetic allows.

    python benchmarks/nano.py [--model nano] [--threads 2] [--rooms 32] [--batch 64]

Asks six questions about each of some synthetic rooms, with LongCoT answers, in two ways: `generate` of transformers, and
`HfPolicy`, by which searches, predictions and the app ask. Prints answers a second, in wall and in processor time, and the
ratio to the limit: the time that the same additions and multiplications take in large matrix products. Exits with 1 where
`HfPolicy` stays under 40 answers a second; on a busy machine compare processor time with the limit's.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch

from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.scenes import synthetic
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.scenes.measure import Measured

LIMIT = 40.0
ROOMS = 2**42
PER_ROOM = 6


def main() -> int:
    """Measure and print; 1 where the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rooms", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    policy = HfPolicy(given.model, temperature=0, max_new_tokens=400, batch_size=given.batch)
    with tempfile.TemporaryDirectory() as folder:
        prompts = prompts_about(given.rooms, Path(folder))
        run(policy, prompts[: given.batch])  # warms up
        policy_time, completions = timed(lambda: run(policy, prompts))
        raw_time, _ = timed(lambda: raw(policy, prompts, given.batch))
        lengths = [completion.completion_tokens for completion in completions]
        flops = work(policy, prompts[0], sum(lengths) / len(lengths))
    speed = matrix_speed()
    best = given.threads * speed / flops
    print(
        f"{len(prompts)} answers of {sum(lengths) / len(lengths):.0f} tokens, batches of {given.batch}, {given.threads} threads"
    )
    print(f"limit: {flops / 1e9:.2f} GFLOP an answer at {speed / 1e9:.0f} GFLOP/s a core: {best:.0f} answers/s")
    for name, (wall, processor) in (("HfPolicy", policy_time), ("generate", raw_time)):
        rate, of_processor = len(prompts) / wall, len(prompts) / processor
        print(f"{name:9} {rate:6.1f} answers/s, {100 * rate / best:.0f} % of the limit; {of_processor:.1f} a second of a core")
    return int(len(prompts) / policy_time[0] < LIMIT)


def prompts_about(rooms: int, folder: Path) -> list[Prompt]:
    """Questions of all kinds about rooms that the nano has not seen."""
    synthetic.write_synthetic(synthetic.SyntheticConfig(count=rooms, seed=ROOMS), folder)
    scenes = scene_index(folder).values()
    return [prompt(question, scene) for scene in scenes for question in ask_about(Measured(scene), Random(0), PER_ROOM)]


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
        images = [[policy._picture(each)] for each in part]
        inputs = processor(images=images, text=[policy._text(each) for each in part], padding=True)
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
    inputs = processor(images=[[policy._picture(example)]], text=[policy._text(example)])
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
    """The most operations a second of one core in a large matrix product."""
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
