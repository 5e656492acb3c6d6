"""Responses scored per second on one core, as a search makes them, and memory over 100,000 rows.

    python benchmarks/rewards.py                    # all answers of searches by three simulated teachers about 24 rooms
    python benchmarks/rewards.py --rows 100000      # also run the stage over this many rows and watch its memory

Every answer is another text, and each is scored once per round, in the order of the questions. Scenes are loaded beforehand, as
in a search; every round begins with no sentence remembered. What is timed is reading and scoring, in processor time of one
process, the best of several rounds.
With `--against REF` the build of an earlier commit scores the same responses in turn with this one, each in a process of its
own, and the ratio is printed. The limit is 1,500 responses per second; memory may grow by 30 MB from the first tenth of the
rows to the last. Exits with 1 where a limit is missed. Also printed: the share of sentences whose form an answer before had,
and the speed where none is remembered.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from unittest.mock import patch

from earlier import SOURCE, check_out, running
from spatialreasoner.core import records
from spatialreasoner.core.types import Question
from spatialreasoner.language import arithmetic, grammar
from spatialreasoner.language.sentences import sentences
from spatialreasoner.language.tokens import Reading
from spatialreasoner.pipeline.inputs import succeeds
from spatialreasoner.pipeline.scoring import ResponseRow, RewardConfig, run_reward
from spatialreasoner.questions.files import prompt, read_questions
from spatialreasoner.questions.generate import QuestionsConfig, write_questions
from spatialreasoner.rewards import GeometricReward, conclusion, description, grade, memory
from spatialreasoner.rewards.known import Known, KnownScenes
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.scenes.synthetic import SyntheticConfig, write_synthetic
from spatialreasoner.search.m3cts import SearchConfig
from spatialreasoner.search.solve import solve
from spatialreasoner.teachers import scripted

LIMIT = 1500
GROWTH_MB = 30
TEACHERS = ("careful", "vague", "hasty")

Row = tuple[Known, Question, str]


def main() -> None:
    """Make scenes, questions and responses; time the rewards; compare with the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--per-scene", type=int, default=12, help="questions per scene")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=0, help="rows of the memory test; 0 leaves it out")
    parser.add_argument(
        "--against", metavar="REF", help="a commit whose build scores the same responses, in turn with this one"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_synthetic(SyntheticConfig(count=args.scenes, seed=5), folder, workers=1)
        write_questions(QuestionsConfig(scenes=name, per_scene=args.per_scene, seed=1), folder / "questions.jsonl")
        if args.against:
            compare_builds(folder, args.against, args.rounds)
            return
        ok = time_rewards(folder, args.rounds)
        if args.rows:
            ok = watch_memory(folder, args.rows) and ok
    sys.exit(0 if ok else 1)


def responses(folder: Path) -> list[Row]:
    """Every distinct answer that a search finds to every question, with the question's loaded scene."""
    scenes = scene_index(folder)
    known = KnownScenes(scenes, kept=len(scenes))
    questions = read_questions(folder / "questions.jsonl", scenes)
    teachers = [scripted(name, scenes) for name in TEACHERS]
    reward = GeometricReward(scenes, succeeds=succeeds, kept=len(scenes))
    found: list[Row] = []
    for question in questions:
        asked = prompt(question, scenes[question.scene_id])
        searching = solve(question, asked, teachers, reward, SearchConfig(), samples_per_policy=2, candidates=8)
        texts = {trajectory.text for trajectory in asyncio.run(searching).trajectories}
        found += [(known.get(question.scene_id), question, text) for text in sorted(texts)]
    return found


def time_rewards(folder: Path, rounds: int) -> bool:
    """Print responses per second against the limit; whether it is kept."""
    rows = responses(folder)
    score(rows)  # every scene is measured once
    seconds = best(lambda: score(rows), rounds) / len(rows)
    characters = sum(len(text) for _, _, text in rows) / len(rows)
    share = len(rows) / len({question.id for _, question, _ in rows})
    print(f"{len(rows)} distinct responses of {characters:.0f} characters, {share:.1f} per question")
    before = 1 - sum(map(len, grammar.remembered_forms)) / sum(map(num_sentences, rows))
    with patch.object(grammar, "MAX_REMEMBERED", 0):
        anew = best(lambda: score(rows), 1) / len(rows)
    print(f"sentences of a form read before: {before:.0%}; without: {1 / anew:.0f}/s")
    print(f"one response: {seconds * 1e3:.3f} ms")
    print(f"responses per second: {1 / seconds:.0f}; limit {LIMIT}; ratio {1 / seconds / LIMIT:.2f}")
    return 1 / seconds >= LIMIT


RUNNER = """
import json, sys, time
from importlib import import_module
from pathlib import Path

def first(*names):
    for name in names:
        try:
            return import_module("spatialreasoner." + name)
        except ModuleNotFoundError:
            pass
    raise SystemExit(f"none of {names} in this build")

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
scenes = first("scenes.files", "scene.files").scene_index(folder)
questions = first("questions.files", "scene.questions").read_questions(folder / "questions.jsonl", scenes)
asked = {question.id: question for question in questions}
loaded = first("rewards.known").KnownScenes(scenes, kept=len(scenes))
rows = [json.loads(line) for line in (folder / "timed.jsonl").read_text("utf-8").splitlines()]
rows = [(loaded.get(asked[row["question_id"]].scene_id), asked[row["question_id"]], row["text"]) for row in rows]
combine, grammar = first("rewards.combine"), first("language.grammar", "rewards.grammar")
description = first("rewards.description")
memory, arithmetic = first("rewards.memory", "rewards.combine"), first("language.arithmetic", "rewards.arithmetic")

def score():
    for forms in getattr(grammar, "remembered_forms", ()):
        forms.clear()
    getattr(grammar.read_sentence, "cache_clear", int)()
    getattr(getattr(arithmetic, "evaluated", None), "cache_clear", int)()
    getattr(getattr(combine, "cannot_tell", None), "cache_clear", int)()
    for name in ("parse", "parse_sentence", "sentence_shape", "described_sentence"):  # as builds called it
        getattr(getattr(description, name, None), "cache_clear", int)()
    for module, name in ((description, "remembered"), (description, "remembered_sentences"), (memory, "remembered")):
        getattr(module, name, {}).clear()
    begin = time.process_time()
    for known, question, text in rows:
        combine.grade(known, question, text)
    return time.process_time() - begin

score()
print(min(score() for _ in range(rounds)) / len(rows))
"""


def compare_builds(folder: Path, ref: str, rounds: int) -> None:
    """Print how many responses per second this build and that of a commit score, and the ratio, in one run."""
    texts = [ResponseRow(question_id=question.id, text=text) for _, question, text in responses(folder)]
    records.write_jsonl(folder / "timed.jsonl", texts)
    runner = folder / "runner.py"
    runner.write_text(RUNNER, encoding="utf-8")
    builds = {"this build": SOURCE, ref: check_out(ref, folder / "earlier")}
    seconds: dict[str, list[float]] = {name: [] for name in builds}
    for _ in range(3):
        for name, source in builds.items():
            command = [sys.executable, str(runner), str(folder), str(rounds)]
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=running(source))
            if done.returncode:
                sys.exit(f"{name} cannot score the responses: {done.stderr[-2000:]}")
            seconds[name].append(float(done.stdout))
    rates = {name: 1 / min(found) for name, found in seconds.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:.0f} responses per second")
    print(f"ratio {rates['this build'] / rates[ref]:.2f} on {len(texts)} responses")


def score(rows: Sequence[Row]) -> None:
    """Score every row, with nothing remembered at the start."""
    for forms in grammar.remembered_forms:
        forms.clear()
    description.sentence_shape.cache_clear()
    description.described_sentence.cache_clear()
    conclusion.cannot_tell.cache_clear()
    description.remembered_sentences.clear()
    arithmetic.evaluated.cache_clear()
    memory.remembered.clear()
    for known, question, text in rows:
        grade(known, question, text)


def num_sentences(row: Row) -> int:
    """How many sentences of a response are looked up by their form."""
    known, question, text = row
    named = memory.what_was_said(known, question)
    return len(sentences(Reading(text, named.labels, others=named.others)))


def best(work: Callable[[], None], rounds: int) -> float:
    """Processor seconds of the fastest round."""
    taken: list[float] = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return min(taken)


def watch_memory(folder: Path, rows: int) -> bool:
    """Run the stage over many rows; print by how much its peak memory grows after the first tenth, and whether that is flat."""
    texts = [ResponseRow(question_id=question.id, text=text) for _, question, text in responses(folder)]
    Random(0).shuffle(texts)
    path = folder / "responses.jsonl"
    records.write_jsonl(path, itertools.islice(itertools.cycle(texts), rows))
    peaks: dict[int, float] = {}

    def watch(done: int) -> None:
        if done % (rows // 10) == 0 and done not in peaks:
            peaks[done] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    begin = time.perf_counter()
    config = RewardConfig(questions=str(folder / "questions.jsonl"), responses=str(path), scenes=str(folder))
    run_reward(config, folder / "rewards.jsonl", progress=watch)
    growth = peaks[rows] - peaks[rows // 10]
    print(f"peak memory after each tenth, MB: {[round(peak) for peak in peaks.values()]}")
    print(f"{rows} rows in {time.perf_counter() - begin:.0f} s; memory grew by {growth:.1f} MB; limit {GROWTH_MB} MB")
    return growth <= GROWTH_MB


if __name__ == "__main__":
    main()
