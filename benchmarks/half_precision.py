"""Whether a model answers in half precision as it does in float32: `python benchmarks/half_precision.py [--model nano]`.

Asks questions of all kinds about synthetic rooms, greedily, in each precision. Prints how many texts are those of float32, how
many answers are the same by the rules of SpatialRGPT-Bench (right, wrong or unreadable), and how many are right. Exits with 1
where a precision keeps fewer than 95 % of the texts.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

from spatialreasoner.core.types import Prompt, Question
from spatialreasoner.evaluation.answers import judge
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.questions.files import prompt
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.scenes import synthetic
from spatialreasoner.scenes.files import scene_index
from spatialreasoner.scenes.measure import Measured

WANTED = 0.95
ROOMS, PER_ROOM = 2**42 + 1, 6
HALF = ("bfloat16", "float16")


def main() -> int:
    """Measure and print; 1 where the texts differ too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--questions", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        questions, prompts = asked(given.questions, Path(folder))
        texts = {precision: answers(given.model, precision, prompts) for precision in ("float32", *HALF)}
    found = {precision: verdicts(questions, said) for precision, said in texts.items()}
    print(f"{len(questions)} questions; float32: {share(each is True for each in found['float32'])} right")
    same = [sum(a == b for a, b in zip(texts[each], texts["float32"], strict=True)) / len(questions) for each in HALF]
    for precision, kept in zip(HALF, same, strict=True):
        alike = share(a == b for a, b in zip(found[precision], found["float32"], strict=True))
        right = share(each is True for each in found[precision])
        print(f"{precision}: {kept:.1%} of the texts are the same, {alike} of the verdicts; {right} right")
    return int(min(same) < WANTED)


def asked(count: int, folder: Path) -> tuple[list[Question], list[Prompt]]:
    """Questions about rooms that no model has seen, and how they are asked."""
    synthetic.write_synthetic(synthetic.SyntheticConfig(count=-(-count // PER_ROOM), seed=ROOMS), folder)
    found = [(q, scene) for scene in scene_index(folder).values() for q in ask_about(Measured(scene), Random(0), PER_ROOM)]
    return [question for question, _ in found[:count]], [prompt(question, scene) for question, scene in found[:count]]


def answers(model: str, precision: str, prompts: Sequence[Prompt]) -> list[str]:
    """The greedy answers in a precision."""
    policy = HfPolicy(model, temperature=0, max_new_tokens=400, batch_size=64, precision=precision)

    async def ask() -> list[str]:
        return [found[0].text for found in await asyncio.gather(*(policy.complete(each, n=1, seed=0) for each in prompts))]

    return asyncio.run(ask())


def verdicts(questions: Sequence[Question], texts: Sequence[str]) -> list[bool | None]:
    """What the answers are: right, wrong, or unreadable."""
    return [judge(q.category, q.text, q.answer, text).success for q, text in zip(questions, texts, strict=True)]


def share(hits: Iterable[bool]) -> str:
    """A share in percent."""
    found = list(hits)
    return f"{sum(found) / len(found):.1%}"


if __name__ == "__main__":
    sys.exit(main())
