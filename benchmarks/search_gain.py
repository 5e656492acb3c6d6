"""Does it pay to let several models search one tree? Success with all, with each alone, and by sampling at equal calls.

    python benchmarks/search_gain.py [--teachers shallow habitual vague] [--seeds 5] [--scenes 30] [--max-calls 6]

Every seed makes rooms, questions and searches of its own. Success is that of the paper: the search finds a path that is
kept and right within its calls. Sampling draws as many whole answers as the search of all teachers took calls on the same
question, each teacher in turn, and succeeds if one of them is right; it needs no rating, so its rate bounds best-of-n by any
reward from above. Intervals are those of Student's t over the seeds, 95 %.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from scipy.stats import t as student

from spatialreasoner.core.protocols import Policy
from spatialreasoner.core.types import Question, Scene
from spatialreasoner.pipeline.inputs import succeeds
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import QuestionsConfig, generate_questions
from spatialreasoner.rewards import GeometricReward
from spatialreasoner.scenes.files import load_scenes, scene_index
from spatialreasoner.scenes.synthetic import SyntheticConfig, write_synthetic
from spatialreasoner.search.m3cts import SearchConfig, search, stable_seed
from spatialreasoner.teachers import PROFILES, scripted

Counts = list[tuple[bool, int]]
"""Success and calls, a question."""


def measure(seed: int, teachers: Sequence[str], *, num_scenes: int, max_calls: int, folder: Path) -> dict[str, Counts]:
    """All ways of answering the questions of one seed."""
    write_synthetic(SyntheticConfig(count=num_scenes, seed=1000 + seed), folder, workers=1)
    scenes = scene_index(folder)
    questions = list(generate_questions(load_scenes(folder), QuestionsConfig(scenes=str(folder), per_scene=4, seed=seed)))
    reward = GeometricReward(scenes, succeeds=succeeds, kept=num_scenes)
    policies = [scripted(name, scenes) for name in teachers]
    config = SearchConfig(seed=seed, max_model_rounds=max_calls)

    async def searched(used: Sequence[Policy]) -> Counts:
        trees = [await search(q, prompt(q, scenes[q.scene_id]), used, reward, config) for q in questions]
        return [(tree.outcome == "found", tree.model_rounds) for tree in trees]

    results = {"all, one tree": asyncio.run(searched(policies))}
    calls = [count for _, count in results["all, one tree"]]
    results["all, sampling at equal calls"] = asyncio.run(_sampled(questions, scenes, policies, calls, seed))
    for name, policy in zip(teachers, policies, strict=True):
        results[f"{name} alone"] = asyncio.run(searched([policy]))
    return results


async def _sampled(
    questions: Sequence[Question], scenes: Mapping[str, Scene], policies: Sequence[Policy], calls: Sequence[int], seed: int
) -> Counts:
    results: Counts = []
    for question, count in zip(questions, calls, strict=True):
        shown, right = prompt(question, scenes[question.scene_id]), False
        for turn in range(count):
            policy = policies[turn % len(policies)]
            (reply,) = await policy.complete(shown, n=1, seed=stable_seed(seed, "sampling", question.id, turn))
            right = right or succeeds(question, reply.text) is True
        results.append((right, count))
    return results


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan
    return mean, float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", nargs="+", default=["shallow", "habitual", "vague"], choices=list(PROFILES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scenes", type=int, default=30)
    parser.add_argument("--max-calls", type=int, default=6)
    options = parser.parse_args()
    runs: list[dict[str, Counts]] = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(
                measure(
                    seed, options.teachers, num_scenes=options.scenes, max_calls=options.max_calls, folder=Path(folder) / "s"
                )
            )
    questions = sum(len(run["all, one tree"]) for run in runs)
    print(f"{questions} questions, {options.seeds} seeds, at most {options.max_calls} calls per question\n")
    print("| way | success, % | calls per question |\n|---|---|---|")
    for way in runs[0]:
        mean, half = interval([100 * statistics.fmean(right for right, _ in run[way]) for run in runs])
        calls = statistics.fmean(count for run in runs for _, count in run[way])
        print(f"| {way} | {mean:.1f} ± {half:.1f} | {calls:.1f} |")


if __name__ == "__main__":
    main()
