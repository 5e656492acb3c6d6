"""What the nano reads in pretraining: rows of the corpus as tokens, in batches of about one length."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from research.nano_pretraining.corpus import Corpus, Row

from spatialreasoner.nano.processing import NanoProcessor
from spatialreasoner.nano.tokenizer import DECIDED, IMAGE, leading_numbers

Lesson = Literal["statements", "reasoned", "verdicts", "drills"]
"""The corpus' statements, dense in numbers, and its LongCoT answers; those of these that answer yes or no; and their ends, from
the line on that decides."""

Shares = Mapping[Lesson, float]


COURSES: Mapping[str, Sequence[tuple[float, Shares]]] = {
    "read": (
        (0.55, {"statements": 0.6, "reasoned": 0.25, "drills": 0.15}),
        (1.0, {"statements": 0.2, "reasoned": 0.55, "drills": 0.1, "verdicts": 0.15}),
    ),
    "judge": (
        (0.55, {"drills": 0.75, "reasoned": 0.25}),
        (1.0, {"statements": 0.2, "reasoned": 0.5, "verdicts": 0.3}),
    ),
}
"""Which lessons the stages read, until which share of the steps. Whether two words mean the same is learned all of a sudden,
after some ten thousand drills."""

_DECIDED = re.compile(DECIDED)
"""Words that the image decides, together with hours, and with the regions of a conclusion."""

_CONCLUSION = "### In Conclusion\n"
_VERDICT = re.compile(r"Yes|No|Indeed|That is \w+")
_FACTOR = (" / ", " × ")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A row of text as tokens.

    Attributes:
        scene: Number of the room.
        regions: Numbers of its two regions, `<region1>` first; twice the same where there is but one.
        ids: Tokens of prompt and answer.
        prompt: How many of them are the prompt's.
        shown: Which of them are to be exact: words that the image decides, and numbers said before.
        verdict: Which of them are a verdict's.
    """

    scene: int
    regions: tuple[int, int]
    ids: list[int]
    prompt: int
    shown: list[bool]
    verdict: list[bool]


def encode_rows(corpus: Corpus, processor: NanoProcessor) -> dict[Lesson, list[Reading]]:
    """The statements and LongCoT answers of the corpus as tokens, by lesson."""
    readings: dict[Lesson, list[Reading]] = {"statements": [], "reasoned": [], "verdicts": [], "drills": []}
    encoded = partial(_encoded, processor, leading_numbers(processor.tokenizer.get_vocab()).keys())
    for scene, rows in enumerate(corpus.rows):
        told: list[tuple[Lesson, Row]] = [(row.kind, row) for row in rows if row.kind != "short"]
        judged: list[Row] = []
        for (kind, row), reading in zip(told, encoded(scene, [row for _, row in told]), strict=True):
            readings[kind].append(reading)
            if any(reading.verdict):
                readings["verdicts"].append(reading)
                judged.append(row._replace(answer=_end(row.answer)))
        readings["drills"] += encoded(scene, judged)
    return readings


def _encoded(processor: NanoProcessor, numbers: Collection[int], scene: int, rows: Sequence[Row]) -> Iterator[Reading]:
    if not rows:
        return
    image = IMAGE * processor.num_image_tokens
    prompts = processor.tokenizer([f"<|user|>{image}{row.request}<|end|><|assistant|>" for row in rows])["input_ids"]
    answers = processor.tokenizer([f"{row.answer}<|end|>" for row in rows], return_offsets_mapping=True)
    for row, prompt, ids, spans in zip(rows, prompts, answers["input_ids"], answers["offset_mapping"], strict=True):
        first, last = _verdict(row)
        yield Reading(
            scene=scene, regions=(row.regions[0], row.regions[-1]), ids=prompt + ids, prompt=len(prompt),
            shown=[False] * len(prompt) + _shown(row, ids, spans, numbers),
            verdict=[False] * len(prompt) + [start < last and end > first for start, end in spans],
        )  # fmt: skip


def _shown(row: Row, ids: Sequence[int], spans: Sequence[tuple[int, int]], numbers: Collection[int]) -> list[bool]:
    """Which tokens are to be exact: words and hours that the image decides, numbers said before, and constants."""
    return [
        _is_shown(row, start, end) or (token in numbers and (token in ids[:place] or row.answer[start - 3 : start] in _FACTOR))
        for place, (token, (start, end)) in enumerate(zip(ids, spans, strict=True))
    ]


def _is_shown(row: Row, start: int, end: int) -> bool:
    word = row.answer[start:end].strip()
    if row.answer[end : end + 8] == " o'clock" or _DECIDED.fullmatch(word):
        return True
    return word.startswith("<region") and _CONCLUSION in row.answer[:start]


def _verdict(row: Row) -> tuple[int, int]:
    """Where the verdict of a yes-or-no answer lies; nowhere where there is none."""
    before, head, _ = row.answer.rpartition(_CONCLUSION)
    said = _VERDICT.match(row.answer, len(before + head)) if head else None
    return said.span() if said else (0, 0)


def _end(answer: str) -> str:
    """A reasoned answer from its last line on that names both regions before the conclusion."""
    reasoning, head, conclusion = answer.rpartition(_CONCLUSION)
    lines = reasoning.splitlines()
    named = [number for number, line in enumerate(lines) if "<region1>" in line and "<region2>" in line]
    return "\n".join([lines[named[-1]] if named else "", "</reasoning>", head + conclusion])


def batches(
    readings: Mapping[Lesson, Sequence[Reading]],
    phases: Sequence[tuple[float, Shares]],
    steps: int,
    batch: int,
    rng: np.random.Generator,
) -> Iterator[list[Reading]]:
    """Batches of rows of about one length, for all steps."""
    streams = {lesson: map(rows.__getitem__, endless(len(rows), rng)) for lesson, rows in readings.items()}
    pool = 16
    for first in range(0, steps, pool):
        shares = next(shares for until, shares in phases if first < until * steps)
        lessons = rng.choice(list(shares), size=pool * batch, p=list(shares.values()))
        rows = sorted((next(streams[lesson]) for lesson in lessons), key=lambda row: len(row.ids))
        for start in rng.permutation(pool)[: steps - first]:
            yield rows[start * batch : (start + 1) * batch]


def endless(count: int, rng: np.random.Generator) -> Iterator[int]:
    """Numbers below `count` in random order, again and again."""
    while True:
        yield from rng.permutation(count).tolist()
