"""What strangers did to the program, and what came: cases that were written down before anybody looked at the code they meet.

    python benchmarks/strangers.py [--kind NAME] [--case TEXT] [--inputs FOLDER] [--list]

Each case is a command, or a visit of the app, and has an end that a user may expect: an answer, a refusal in a sentence, the
same bytes as an undisturbed run; within a time, in less than 1.5 GB of memory, without a traceback. Prints a table of all of
them and the most memory that each command held; exits with 1 where something else came.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

from strange import (
    budgets,
    images,
    large,
    places,
    replies,
    second_images,
    second_places,
    second_visits,
    second_wires,
    stale,
    third_answers,
    third_models,
    third_places,
    third_trainings,
    third_visits,
    third_wires,
    trainings,
    visits,
    wires,
)
from strange.case import MEGABYTES, Bench, Case, Surprise
from strange.server import Server, healthy


def every_case() -> Iterator[Case]:
    """All cases, kind by kind."""
    first = (replies, wires, budgets, stale, images, visits, trainings, places)
    second = (second_wires, second_images, second_visits, second_places, large)
    third = (third_models, third_answers, third_wires, third_places, third_trainings, third_visits)
    for module in (*first, *second, *third):
        yield from module.cases()


def prepare(folder: Path) -> Path:
    """What the cases start from: scenes, questions, a search, pairs, a model, a training and one that was killed."""
    bench = Bench(folder=folder, inputs=folder)
    scenes, model = folder / "scenes", folder / "model"
    bench.spatial("scenes", "synthetic", "--count", 2, "--seed", 0, "--out", scenes).expect(0)
    bench.spatial("questions", scenes, "--per-scene", 2, "--seed", 0, "--out", bench.questions).expect(0)
    teachers = ("--policy", "scripted:careful", "--policy", "scripted:shallow")
    bench.spatial("search", bench.questions, *teachers, "--samples", 1, "--candidates", 2, "--out", folder / "search").expect(0)
    bench.spatial("pairs", folder / "search", "--out", folder / "pairs").expect(0)
    with Server(handler=healthy) as server:
        out = folder / "healthy.jsonl"
        bench.spatial("generate", bench.questions, "--model", server.model, "--out", out).expect(0)
    found = [json.loads(line) for line in out.read_text().splitlines()]
    lines = [json.dumps({"question_id": row["question_id"], "text": row["pred"]}) + "\n" for row in found]
    (folder / "responses.jsonl").write_text("".join(lines))
    start = ["train", "sft", "--model", "testing:qwen2_5_vl", "--data", folder / "pairs" / "sft.jsonl", "--out", model]
    bench.spatial(*start, "max_steps=1", "threads=1").expect(0)
    limits = ("max_steps=5", "save_steps=2")
    bench.spatial(*trainings.train(bench, folder / "trained", *limits)).expect(0)
    killed = folder / "killed"
    bench.spatial(*trainings.train(bench, killed, *limits), until=lambda: trainings.steps(killed) >= 5)
    return folder


def attempt(case: Case, bench: Bench) -> tuple[bool, str]:
    """Whether the end was as expected, and what came."""
    bench.case = f"{case.kind}: {case.done}"
    try:
        return True, case.run(bench)
    except (Surprise, OSError, HTTPException, ValueError) as surprise:
        return False, f"{type(surprise).__name__}: {surprise}"


def main() -> int:
    """Try them; 1 where one ended otherwise than a user may expect."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", help="one kind alone; may be given again")
    parser.add_argument("--case", default="", help="only cases whose name holds this text")
    parser.add_argument("--inputs", type=Path, help="where what the cases start from is kept, to be used again")
    parser.add_argument("--list", action="store_true", help="print the cases and their ends, and try none")
    options = parser.parse_args()
    chosen = [case for case in every_case() if case.kind in (options.kind or [case.kind]) and options.case in case.done]
    if options.list:
        for case in chosen:
            print(f"{case.kind:<22} {case.done:<75} {case.expected}")
        return 0
    try:
        return int(not tried(chosen, options.inputs))
    finally:
        visits.close()


def tried(chosen: list[Case], kept: Path | None) -> bool:
    """Whether all ended as expected; prints the tables."""
    ended: Counter[tuple[str, bool]] = Counter()
    with tempfile.TemporaryDirectory(prefix="strangers-") as folder:
        inputs = (kept or Path(folder) / "inputs").resolve()
        if not inputs.exists():
            inputs.mkdir(parents=True)
            prepare(inputs)
        peaks: dict[str, tuple[float, str]] = {}
        for case, number in zip(chosen, itertools.count()):
            place = Path(folder) / "cases" / str(number)
            place.mkdir(parents=True)
            begun = time.monotonic()
            holds, came = attempt(case, Bench(folder=place, inputs=inputs, peaks=peaks))
            ended[case.kind, holds] += 1
            told = " ".join(came.replace(folder, "").split())[:300]
            print(
                f"{'ok ' if holds else 'NOT'} {time.monotonic() - begun:5.1f} s  {case.kind}: {case.done}: {told}", flush=True
            )
    print(f"\n{'kind':<22} {'cases':>5} {'as expected':>11}")
    for kind in dict.fromkeys(case.kind for case in chosen):
        print(f"{kind:<22} {ended[kind, True] + ended[kind, False]:>5} {ended[kind, True]:>11}")
    whole = sum(count for (_, holds), count in ended.items() if holds)
    print(f"{'all':<22} {ended.total():>5} {whole:>11}\n\n{'command':<14} {'peak MB':>7}  at")
    for name, (megabytes, at) in sorted(peaks.items()):
        print(f"{name:<14} {megabytes:>7.0f}  {at}")
    return whole == ended.total() and all(megabytes < MEGABYTES for megabytes, _ in peaks.values())


if __name__ == "__main__":
    sys.exit(main())
