"""Answers of every extreme, which `reward`, `score`, `pairs` and `explain` read: long ones, and many of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import cycle, islice

from strange.case import MEGABYTES, Bench, Case

KIND = "extreme answers"
LENGTH = 100_000
"""Characters that a response may have."""

FORM = (
    "<description>{0}</description>\n<reasoning>### Rationale\n{0}\n### Let's think step by step\n### Step 1\n{0}</reasoning>\n"
    "### In Conclusion\n{0}"
)


def _repeated(text: str) -> str:
    """A text again and again, in all four parts, up to the length that a response may have."""
    part = (LENGTH - len(FORM)) // 4
    return FORM.format("".join(islice(cycle(text), part - part % len(text))))


def _numbered(pattern: str) -> str:
    """A pattern with the numbers from 0 in it, in all four parts, up to the same length."""
    part = (LENGTH - len(FORM)) // 4
    made = "".join(pattern.format(number, number % 9 + 1, number * 7 % 9 + 1) for number in range(part // len(pattern) * 2))
    return FORM.format(made[:part])


ANSWERS: Mapping[str, Callable[[], str]] = {
    "one sentence again and again": lambda: _repeated("<region1> is 2.5 m wide. "),
    "another number in each sentence": lambda: _numbered("<region1> is {0}.5 m wide. "),
    "pairs of nine regions": lambda: _numbered("<region{1}> is {0} cm to the left of <region{2}>. "),
    "a hundred thousand regions": lambda: _numbered("<region{0}> "),
    "numbers alone": lambda: _numbered("{0} "),
    "one number of a hundred thousand digits": lambda: _repeated("7"),
    "a chain of a sum": lambda: _repeated("2 + 3 * "),
    "equations": lambda: _numbered("{0} / 7 = {1} m, "),
    "sentences of one word": lambda: _repeated("No. "),
    "no sentence ends": lambda: _repeated("<region1> and "),
    "nothing is what it is": lambda: _repeated("not "),
    "conjunctions of colours": lambda: _repeated("red, blue and "),
    "steps alone": lambda: _numbered("### Step {0}\n"),
    "headings of all kinds": lambda: _repeated("### Rationale\n### In Conclusion\n<description>"),
    "brackets": lambda: _repeated("("),
    "blank lines": lambda: _repeated("\n"),
    "one line of points": lambda: _repeated("."),
    "characters beyond 16 bits": lambda: _repeated("\U0001f600"),
    "combining marks": lambda: _repeated("a\u0301\u0301\u0301"),
    "feet and inches": lambda: _numbered("{0}'{1}\" or "),
    "hours": lambda: _numbered("<region1> is at {1} o'clock of <region2>, or {2} o'clock; "),
    "ranges": lambda: _numbered("<region1> is between {1} and {0} m wide. "),
    "comparisons": lambda: _numbered("<region{1}> is taller than <region{2}>, which is wider than it, "),
    "questions": lambda: _repeated("Is <region1> wider? "),
    "quotations": lambda: _repeated("\"'`"),
    "thoughts": lambda: _repeated("<think>"),
    "a table": lambda: _numbered("| <region{1}> | {0} m |\n"),
    "formulas": lambda: _numbered("$\\frac{{{0}}}{{{1}}}$ "),
}
MIXED = (
    "<region1> is {0}.{1} m wide and <region2> is {1}.{2} m tall, so <region1> is about {0} cm from <region2>, which is red; "
    "it is not to the left of <region1>, and at {1} o'clock. "
)


def cases() -> Iterator[Case]:
    """Each answer read by each command; then many answers."""
    bounded = f"scored, or told why not; less than {MEGABYTES} MB and 60 s"
    for name, make in ANSWERS.items():
        yield Case(kind=KIND, done=f"reward, score, pairs: {name}", expected=bounded, run=partial(_one, make))
    for command in ("reward", "score", "pairs"):
        yield Case(
            kind=KIND, done=f"{command}: 300 answers of 100,000 characters, all different",
            expected=f"less than {MEGABYTES} MB", run=partial(_many, command, 300, LENGTH),
        )  # fmt: skip
        yield Case(
            kind=KIND, done=f"{command}: 200,000 short answers", expected=f"less than {MEGABYTES} MB",
            run=partial(_many, command, 200_000, 60),
        )  # fmt: skip


def _row(question: Mapping[str, object], text: str) -> str:
    qa = {"type": "quantitative", "category": "width_data"}
    row = {
        "question_id": question["id"],
        "image": "a.png",
        "question": question["text"],
        "pred": text,
        "gt": question["answer"],
    }
    return json.dumps({**row, "model_id": "m", "qa_info": qa}) + "\n"


def _commands(bench: Bench, texts: Iterator[str], commands: tuple[str, ...]) -> Iterator[tuple[str, list[object]]]:
    questions = [json.loads(line) for line in bench.questions.read_text().splitlines()]
    responses, predictions, out = (bench.folder / name for name in ("responses.jsonl", "predictions.jsonl", "out"))
    with responses.open("w") as first, predictions.open("w") as second:
        for number, text in enumerate(texts):
            question = questions[number % len(questions)]
            first.write(json.dumps({"question_id": question["id"], "text": text}) + "\n")
            second.write(_row({**question, "id": f"{question['id']}-{number}"}, text))
    every: dict[str, list[object]] = {
        "reward": ["reward", bench.questions, responses, "--out", bench.folder / "rewards.jsonl"],
        "score": ["score", predictions, "--out", bench.folder / "score.json"],
        "pairs": ["pairs", "--questions", bench.questions, "--answers", responses, "--out", out],
    }
    return iter([(name, every[name]) for name in commands])


def _one(make: Callable[[], str], bench: Bench) -> str:
    ended = list[str]()
    for name, command in _commands(bench, iter([make()] * 8), ("reward", "score", "pairs")):
        end = bench.spatial(*command).expect(0, 1, 2, within=60)
        ended.append(f"{name} exit {end.code}, {end.seconds:.1f} s, {end.megabytes:.0f} MB")
    return "; ".join(ended)


def _many(command: str, count: int, length: int, bench: Bench) -> str:
    def texts() -> Iterator[str]:
        for number in range(count):
            words = MIXED.format(number, number % 9 + 1, number % 7 + 1)
            yield (
                FORM.format((words * (1 + length // 4 // len(words)))[: (length - len(FORM)) // 4])
                if length > 200
                else words[:length]
            )

    for _, arguments in _commands(bench, texts(), (command,)):
        end = bench.spatial(*arguments).expect(0, 1, 2)
        return f"exit {end.code}, {end.seconds:.0f} s, {end.megabytes:.0f} MB {end.error[:100]}"
    raise AssertionError
