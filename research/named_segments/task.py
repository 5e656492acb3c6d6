"""Word problems whose answers have a plan and a result, both of which can be checked, and pairs of answers with known gaps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

NAMED_SEGMENTS = ("plan", "answer")

_POINTS: Mapping[str, float] = {"plan": 4.0, "answer": 8.0}
"""What a right segment earns: the answer counts twice as much as the plan."""

SYSTEM = "Plan, then answer."

_NAMES = ("Ann", "Ben", "Cara", "Dan", "Eve", "Finn", "Gus", "Hana")
_THINGS = ("pens", "coins", "shells", "books", "cards", "stones")

_SIGNS: Mapping[str, tuple[str, Callable[[int, int], int]]] = {
    "{name} has {a} {things} and finds {b} more. How many are there?": ("+", lambda a, b: a + b),
    "{name} has {a} {things} and loses {b}. How many are left?": ("-", lambda a, b: a - b),
    "{name} has {b} boxes with {a} {things} in each. How many are there?": ("*", lambda a, b: a * b),
}

PairKind = Literal["both", "answer", "conflict"]
"""Which segments of the chosen answer are better: both; the answer alone, the plans being equal; or the answer, though its plan
is worse than the rejected one's."""


@dataclass(frozen=True, kw_only=True)
class WordProblem:
    """A word problem: its text, the right plan and result, and wrong ones that look alike."""

    text: str
    plan: str
    answer: str
    wrong_plan: str
    wrong_answer: str

    @property
    def prompt(self) -> list[dict[str, str]]:
        """The conversation that asks it."""
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": self.text}]

    def say(self, *, plan: bool = True, answer: bool = True) -> str:
        """A text with a right or wrong plan, and a right or wrong answer."""
        said = self.plan if plan else self.wrong_plan, self.answer if answer else self.wrong_answer
        return f"<plan>{said[0]}</plan><answer>{said[1]}</answer>"


def problems(count: int, seed: int) -> list[WordProblem]:
    """Different problems, drawn by the seed."""
    rng, found = Random(f"problems {seed}"), dict[str, WordProblem]()
    while len(found) < count:
        problem = _problem(rng)
        found[problem.text] = problem
    return list(found.values())


def _problem(rng: Random) -> WordProblem:
    template, (sign, function) = rng.choice(list(_SIGNS.items()))
    a, b = rng.randint(11, 19), rng.randint(2, 9)
    wrong_sign, other = rng.choice([each for each in _SIGNS.values() if each[0] != sign])
    wrong = rng.choice([other(a, b), function(a, b) + rng.choice((-2, -1, 1, 2, 10))])
    text = template.format(name=rng.choice(_NAMES), things=rng.choice(_THINGS), a=a, b=b)
    return WordProblem(
        text=text,
        plan=f"{a} {sign} {b}",
        answer=str(function(a, b)),
        wrong_plan=f"{a} {wrong_sign} {b}",
        wrong_answer=str(wrong),
    )


def score(problem: WordProblem, text: str) -> dict[str, float]:
    """The points of each segment: full where it is right, else none."""
    said = {
        name: match[1].strip() if (match := re.search(rf"<{name}>(.*?)</{name}>", text, re.S)) else ""
        for name in NAMED_SEGMENTS
    }
    right = {"plan": said["plan"] == problem.plan, "answer": said["answer"] == problem.answer}
    return {name: _POINTS[name] * right[name] for name in NAMED_SEGMENTS}


def pair(problem: WordProblem, kind: PairKind) -> dict[str, Any]:
    """A row for TRL, with the gap of each segment."""
    chosen = problem.say(plan=kind != "conflict")
    rejected = problem.say(plan=kind != "both", answer=False)
    better, worse = score(problem, chosen), score(problem, rejected)
    return {
        "prompt": problem.prompt,
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        **{f"gap_{name}": better[name] - worse[name] for name in NAMED_SEGMENTS},
    }


def pairs(count: int, seed: int, kinds: Mapping[PairKind, float]) -> list[dict[str, Any]]:
    """Pairs about different problems; of each kind its share, in an order drawn by the seed."""
    chosen: list[PairKind] = [kind for kind, share in kinds.items() for _ in range(round(share * count))]
    Random(f"kinds {seed}").shuffle(chosen)
    return [pair(problem, kind) for problem, kind in zip(problems(len(chosen), seed), chosen, strict=True)]
