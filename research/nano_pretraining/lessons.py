"""What the decoder reads in pretraining: rows of text as tokens with weights, in batches of about one length."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

from research.nano_pretraining.skills import CALCULATE

from spatialreasoner.nano.processing import NanoProcessor
from spatialreasoner.nano.tokenizer import DECIDED, IMAGE

TokenPart = Literal["frame", "read", "copy", "result", "word", "verdict"]
"""What a token is: of a frame, of which the writer took one by chance; a number that is read off; one that was said before; the
result of a calculation; a word that the image decides; or one that follows from what was said."""

PART_WEIGHTS: Mapping[TokenPart, float] = {"frame": 1.0, "read": 2.0, "copy": 3.0, "result": 4.0, "word": 3.0, "verdict": 8.0}
FOLLOWS: Mapping[TokenPart, float] = {part: PART_WEIGHTS[part] for part in ("copy", "result", "verdict")}
"""What can be known without the image."""
TOLD: Mapping[TokenPart, float] = {**PART_WEIGHTS, "verdict": 40.0}
"""Where everything is given. Whether a relation that is stated is the one that is asked for is learned only if little else
counts: with a weight of 8 nothing was learned in 20,000 questions, with 40 nine of ten verdicts were right after 8,000."""

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
_WORD = re.compile(rf"\b{DECIDED}\b")
_CONCLUSION = "### In Conclusion\n"
_VERDICT = re.compile(r"\b(?:more|less)\b(?= than \d)|(?:^|(?<=In Conclusion\n))(?:Yes|No|Indeed|That is \w+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class LessonRow:
    """A row of text as tokens.

    Attributes:
        room: Number of its room; -1 where it is text alone.
        regions: Numbers of its two regions, `<region1>` first; twice the same where there is but one.
        ids: Tokens of prompt and answer.
        weights: How much each counts; 0 for those of the prompt.
        read: Which of them are of a number that is read off.
    """

    room: int
    regions: tuple[int, int]
    ids: list[int]
    weights: list[float]
    read: list[bool]


def parts(answer: str, given: str = "") -> Iterator[tuple[int, int, TokenPart]]:
    """The parts of an answer beside its frame: first and last character (exclusive), and what it is.

    Args:
        answer: The answer.
        given: What it all follows from, if anything.
    """
    said: set[str] = set(_NUMBER.findall(given))
    for found in _NUMBER.finditer(answer):
        before, number = answer[: found.start()], found.group()
        if not before.endswith("Step "):
            yield (*found.span(), _part(before, number, answer[found.end() :], said))
        said.add(number)
    for found in _VERDICT.finditer(answer):
        yield (*found.span(), "verdict")
    for found in _WORD.finditer(answer):
        yield (*found.span(), "word")
    conclusion = 0 if given and answer.count("<region") == 1 else answer.rfind(_CONCLUSION)
    for found in re.finditer(r"<region\d>", answer[conclusion:]) if conclusion >= 0 else ():
        yield conclusion + found.start(), conclusion + found.end(), "verdict"


def _part(before: str, number: str, after: str, said: set[str]) -> TokenPart:
    if before.endswith("= "):
        return "result"
    if number in said or before.endswith("× ") or after.startswith(" ×"):
        return "copy"
    return "word" if after.startswith(" o'clock") else "read"


class ShownRegions(NamedTuple):
    """What a row shows: a room, and the numbers of two of its regions; a room of -1 is none."""

    room: int = -1
    regions: tuple[int, int] = (0, 0)


NOWHERE = ShownRegions()


class LessonEncoder:
    """Rows of text to `LessonRow`s.

    Args:
        processor: Of the nano.
    """

    def __init__(self, processor: NanoProcessor) -> None:
        self._tokenizer, self._image = processor.tokenizer, IMAGE * processor.num_image_tokens

    def shown(self, place: ShownRegions, request: str, answer: str) -> LessonRow:
        """A row about two regions of a room; all of the answer counts."""
        return self._reading(place, request, answer, PART_WEIGHTS)

    def calculated(self, answer: str) -> LessonRow:
        """A row of calculations, without an image."""
        return self._reading(NOWHERE, CALCULATE, answer, PART_WEIGHTS)

    def unseen(self, request: str, answer: str, place: ShownRegions = NOWHERE) -> LessonRow:
        """A row about regions that are not shown, whatever is: what follows from what was said counts alone."""
        return self._reading(place, request, answer, FOLLOWS)

    def told(self, request: str, answer: str, begun: str = "", place: ShownRegions = NOWHERE) -> LessonRow:
        """A row with all that the answer needs, in its request or where it begins: the verdict counts more than all else."""
        return self._reading(place, request, answer, TOLD, given=request + begun, begun=begun)

    def _reading(
        self,
        place: ShownRegions,
        request: str,
        answer: str,
        counts: Mapping[TokenPart, float],
        *,
        given: str = "",
        begun: str = "",
    ) -> LessonRow:
        seen = self._image if place.room >= 0 else ""
        prompt: list[int] = self._tokenizer(f"<|user|>{seen}{request}<|end|><|assistant|>{begun}")["input_ids"]
        encoded = self._tokenizer(f"{answer}<|end|>", return_offsets_mapping=True)
        covering: list[set[TokenPart]] = [set() for _ in encoded["input_ids"]]
        for first, last, part in parts(answer, given):
            for found, (start, end) in zip(covering, encoded["offset_mapping"], strict=True):
                if start < last and end > first:
                    found.add(part)
        weights = [max(counts.get(part, 0.0) for part in found or {"frame"}) for found in covering]
        read = ["read" in found and "read" in counts for found in covering]
        blank = len(prompt)
        return LessonRow(
            room=place.room, regions=place.regions, ids=prompt + encoded["input_ids"], weights=[0.0] * blank + weights,
            read=[False] * blank + read,
        )  # fmt: skip


_POOL = 600


def batches(rows: Iterator[LessonRow], tokens: int, rng: Random) -> Iterator[list[LessonRow]]:
    """Batches of about `tokens` tokens, of rows that all have an image or all have none, without end."""
    while True:
        pool = sorted((next(rows) for _ in range(_POOL)), key=lambda row: (row.room >= 0, len(row.ids)))
        groups: list[list[LessonRow]] = [[]]
        for row in pool:
            last = groups[-1]
            if last and (len(row.ids) * (len(last) + 1) > tokens or (row.room >= 0) != (last[0].room >= 0)):
                groups.append(last := [])
            last.append(row)
        rng.shuffle(groups)
        yield from groups
