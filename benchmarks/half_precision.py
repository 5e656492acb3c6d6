"""Whether a model answers in half precision as it does in float32: `python benchmarks/half_precision.py [--model nano]`.

Asks questions of all kinds about synthetic rooms, greedily, in each precision. Prints how many texts are those of float32, how
many answers are the same by the rules of SpatialRGPT-Bench (right, wrong or unreadable), and how many are right. Exits with 1
where a precision keeps fewer than 95 % of the texts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from nano import PER_ROOM, asked_about, run
from spatialreasoner.core.types import Prompt, Question
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.questions.files import prompt

WANTED = 0.95
ROOMS = 2**42 + 1
HALF = ("bfloat16", "float16")


def main() -> int:
    """Measure and print; 1 where the texts differ too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--questions", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asked_about(-(-given.questions // PER_ROOM), Path(folder), seed=ROOMS)[: given.questions]
        questions, prompts = [question for question, _ in found], [prompt(*each) for each in found]
        texts = {precision: answers(given.model, precision, prompts) for precision in ("float32", *HALF)}
    judged = {precision: verdicts(questions, said) for precision, said in texts.items()}
    print(f"{len(questions)} questions; float32: {share(each is True for each in judged['float32'])} right")
    same = [sum(a == b for a, b in zip(texts[each], texts["float32"], strict=True)) / len(questions) for each in HALF]
    for precision, kept in zip(HALF, same, strict=True):
        alike = share(a == b for a, b in zip(judged[precision], judged["float32"], strict=True))
        right = share(each is True for each in judged[precision])
        print(f"{precision}: {kept:.1%} of the texts are the same, {alike} of the verdicts; {right} right")
    return int(min(same) < WANTED)


def answers(model: str, precision: str, prompts: Sequence[Prompt]) -> list[str]:
    """The greedy answers in a precision."""
    policy = HfPolicy(model, temperature=0, max_new_tokens=400, batch_size=64, precision=precision)
    return [completion.text for completion in run(policy, prompts)]


def verdicts(questions: Sequence[Question], texts: Sequence[str]) -> list[bool | None]:
    """What the answers are: right, wrong, or unreadable."""
    return [judge(q.category, q.text, q.answer, text).success for q, text in zip(questions, texts, strict=True)]


def share(hits: Iterable[bool]) -> str:
    """A share in percent."""
    found = list(hits)
    return f"{sum(found) / len(found):.1%}"


if __name__ == "__main__":
    sys.exit(main())
