"""Time to score SpatialRGPT-Bench: `spatialreasoner score` on 1,406 long answers, start of Python included.

    python benchmarks/scoring.py
    python benchmarks/scoring.py --predictions FILE --against REF     # real answers, in turn with the build of a commit

Answers are whole chains of thought of the simulated teachers' length, no two alike; groups have the benchmark's sizes. Prints
the best of five runs beside the limit, in wall and in processor time; on a busy machine only the second means something, so it
decides: exits with 1 where the limit is missed.
With `--against` both builds judge the same file in turn, each run in a process of its own, in processor time with the import of
the reader, which is compiled to bytecode as in an installed package; printed are the ratio of the best runs, and how many
verdicts differ.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from earlier import SOURCE, check_out, running
from spatialreasoner.core.types import GROUPS, QUALITATIVE, Category, Response
from spatialreasoner.evaluation.predictions import Prediction, QaInfo, type_of, write_predictions
from spatialreasoner.language import responses
from spatialreasoner.report.published import published

LIMIT = 1.5
RUNS = 5


RUNNER = """
import json, sys, time
from spatialreasoner.evaluation.predictions import read_predictions
from spatialreasoner.evaluation.score import judge_all
rows = read_predictions(sys.argv[1])
begin = time.process_time()
verdicts = judge_all(rows)
print(json.dumps([time.process_time() - begin, [verdict.success for verdict in verdicts]]))
"""


def main() -> int:
    """Measure and print; 1 where the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", metavar="FILE", help="answers to score instead of made ones")
    parser.add_argument("--against", metavar="REF", help="a commit whose build scores them, in turn with this one")
    args = parser.parse_args()
    if args.against:
        return compare_builds(Path(args.predictions).resolve(), args.against)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.jsonl"
        count = write_predictions(path, predictions(random.Random(0)))
        runs = [seconds("-m", "spatialreasoner", "score", str(path)) for _ in range(RUNS)]
    wall, processor = (min(times) for times in zip(*runs, strict=True))
    print(f"{count} predictions scored in {wall:.2f} s, {processor:.2f} s of them on a processor; limit {LIMIT} s")
    return int(processor > LIMIT)


def compare_builds(path: Path, ref: str) -> int:
    """Print how fast this build and that of a commit judge a file, and how many verdicts differ."""
    with tempfile.TemporaryDirectory() as folder:
        builds = {"this build": SOURCE, ref: check_out(ref, Path(folder))}
        runs: dict[str, list[tuple[float, list[bool | None]]]] = {name: [] for name in builds}
        for _ in range(RUNS):
            for name, source in builds.items():
                command = [sys.executable, "-c", RUNNER, str(path)]
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=installed(source, Path(folder)))
                runs[name].append(tuple(json.loads(done.stdout)))
    best = {name: min(taken for taken, _ in found) for name, found in runs.items()}
    ours, theirs = (found[0][1] for found in runs.values())
    for name, taken in best.items():
        print(f"{name}: {len(ours)} answers in {taken:.2f} s")
    differ = sum(one != other for one, other in zip(ours, theirs, strict=True))
    print(f"{best[ref] / best['this build']:.2f} times as fast; {differ} verdicts differ")
    return 0


def installed(source: Path, folder: Path) -> dict[str, str]:
    """The environment of a process that runs the build of some sources, with bytecode, written in the first run."""
    kept = {name: value for name, value in running(source).items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def seconds(*arguments: str) -> tuple[float, float]:
    """Wall and processor time of one run of Python."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def predictions(rng: random.Random) -> list[Prediction]:
    """As many predictions per group as the benchmark has questions."""
    rows: list[Prediction] = []
    for group, items in published().items.items():
        for _ in range(items):
            rows.append(prediction(rng, len(rows), rng.choice(GROUPS[group])))
    return rows


def prediction(rng: random.Random, number: int, category: Category) -> Prediction:
    """One long answer, right or wrong by chance."""
    truth, said = (round(rng.uniform(0.2, 9.0), 2) for _ in range(2))
    steps = "\n".join(
        f"### Step {step}\n<region1> is {rng.uniform(0.2, 9):.2f} m from the camera, and {rng.uniform(10, 90):.1f} cm from "
        f"<region2>, which stands behind it. {rng.uniform(0.2, 9):.2f} / 0.3048 = {rng.uniform(1, 29):.2f}."
        for step in range(1, 5)
    )
    answer = rng.choice(("Yes, it is.", "No, it is not.")) if category in QUALITATIVE else f"It is {said} meters."
    gt = rng.choice(("Yes.", "No.")) if category in QUALITATIVE else f"It is {truth} meters."
    if category.endswith("_choice"):
        answer, gt = (f"{rng.choice(('<region1>', '<region2>'))} is." for _ in range(2))
    if category == "direction":
        answer, gt = (f"It is at {rng.randint(1, 12)} o'clock." for _ in range(2))
    text = Response(description=f"Picture {number} shows a room.", reasoning=f"### Rationale\nA plan.\n{steps}", answer=answer)
    return Prediction(
        question_id=f"q{number}", image=f"{number // 2}.png", question="Is <region1> so, or <region2>?",
        pred=responses.render(text), gt=gt, model_id="benchmark", qa_info=QaInfo(type=type_of(category), category=category),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
