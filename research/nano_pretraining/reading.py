"""Phase 2, read: the decoder learns to say what the frozen vision part believes; to copy, to calculate, and to compare."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from research.nano_pretraining.beliefs import believe, invent, invent_words, name
from research.nano_pretraining.corpus import Corpus
from research.nano_pretraining.lessons import NOWHERE, LessonEncoder, LessonRow, ShownRegions, batches
from research.nano_pretraining.optimizing import Optimization, Rates, autocast
from research.nano_pretraining.seeing import images
from research.nano_pretraining.skills import REQUESTS, ask, calculate, comprehend, look_for, reason, regions_of, state
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import pad_sequence

from spatialreasoner.core.progress import Advance
from spatialreasoner.core.types import CATEGORIES, QUALITATIVE, QUANTITATIVE, RELATIONS, Category
from spatialreasoner.nano.modeling import NanoForConditionalGeneration
from spatialreasoner.nano.processing import NanoProcessor
from spatialreasoner.nano.tokenizer import leading_numbers
from spatialreasoner.nano.vision import EMBEDDING, EncodedRegions

Lesson = Literal["statements", "steps", "calculations", "comprehension", "relations", "looking", "answers"]

SHARES: Mapping[Lesson, float] = {
    "statements": 0.27,
    "steps": 0.08,
    "calculations": 0.14,
    "comprehension": 0.25,
    "looking": 0.23,
    "answers": 0.03,
}
"""The mixture: the share of rows of each lesson. Statements about what is seen; the same about rooms that nobody has seen, of
which only what follows counts; calculations; questions that the statements beside them answer; what must be known to answer a
question, by what is seen; and short answers, few: whoever learns to answer learns it after this."""

RELATIONS_FIRST: Mapping[Lesson, float] = {"relations": 0.95, "statements": 0.05}
"""The mixture of the curriculum's first steps. Whether the relation that is stated is the one that is asked for is not learned
in the full mixture of lessons, however long: either may be turned round, and only both together decide. Alone, with one
statement per question, it is learned within 150 steps, and is kept."""

ELSEWHERE = 0.6
"""How many of the rows about rooms that nobody has seen show another room: there what was said counts, and a number that is
read from the image again is wrong. Without them half of the lengths in conclusions were."""

_VISIBLE = 24
"""Pixels of a region that texts are about."""


class Numbers:
    """Which tokens are numbers, and how near they are to each other.

    Args:
        processor: Whose tokens.
        left_out: Tokens that no lesson has. They are masked in the loss, so that fine-tuning on them need not undo anything.
    """

    def __init__(self, processor: NanoProcessor, left_out: Collection[int] = ()) -> None:
        numbers = leading_numbers(processor.tokenizer.get_vocab())
        self.ids, self.values = torch.tensor(list(numbers)), torch.tensor(list(numbers.values()))
        self.place = torch.full((len(processor.tokenizer),), -1)
        self.place[self.ids] = torch.arange(len(self.ids))
        distances = (self.values[None] - self.values[:, None]) / (_NEAR_SHARE * self.values[:, None] + _NEAR)
        self.nearness = torch.softmax(-0.5 * distances**2, dim=-1)
        self.left_out = torch.tensor(sorted(left_out), dtype=torch.long)

    def losses(
        self, logits: Float[Tensor, "tokens vocabulary"], labels: Int[Tensor, " tokens"], read: Tensor
    ) -> Float[Tensor, " tokens"]:
        """Loss of each token; half of it, of a number that is read off, is spread over the number's neighbours."""
        logps = logits.float().index_fill(1, self.left_out, UNSAID).log_softmax(-1)
        losses = -logps.gather(1, labels[:, None])[:, 0]
        spread = read & (self.place[labels] >= 0)
        near = -(logps[spread][:, self.ids] * self.nearness[self.place[labels[spread]]]).sum(-1)
        return losses.masked_scatter(spread, (losses[spread] + near) / 2)


UNSAID = -30.0
"""Logit of a token that is left out."""

_NEAR_SHARE, _NEAR = 0.02, 0.006
"""How far a number may be off and still count as nearly right: this share of it and these metres."""

PERIODS = tuple(0.1 * 2**octave for octave in range(11))
LOG_PERIODS = tuple(0.02 * 2**octave for octave in range(9))
"""Periods of the waves of a number's value, and of its decimal logarithm, which turns products into sums."""


class NumberTable(nn.Module):
    """Embeddings of numbers: what each learns for itself, and what all learn of waves of their values and logarithms.

    A parametrization of the embeddings, in and out; after training it is folded into them.

    Args:
        numbers: Which tokens are numbers.
        width: Of the embeddings.
        settled: Whether they were trained before: then nothing is added at first.
    """

    waves: Tensor
    ids: Tensor

    def __init__(self, numbers: Numbers, width: int, *, settled: bool = False) -> None:
        super().__init__()
        values = numbers.values.double()[:, None].clamp(min=0.001)
        logs = values.log10()
        angles = 2 * math.pi * torch.cat([values / torch.tensor(PERIODS), logs / torch.tensor(LOG_PERIODS)], dim=1)
        self.register_buffer("waves", torch.cat([angles.sin(), angles.cos(), logs], dim=1).float(), persistent=False)
        self.register_buffer("ids", numbers.ids, persistent=False)
        count = self.waves.shape[1]
        size = 0.0 if settled else EMBEDDING / math.sqrt(count / 2)
        self.shared = nn.Parameter(torch.randn(count, width) * size)

    def forward(self, weight: Float[Tensor, "vocabulary width"]) -> Float[Tensor, "vocabulary width"]:
        """The embeddings with the waves added."""
        with torch.autocast("cpu", enabled=False):  # bfloat16 would not tell 0.50 from 0.51
            return weight.index_add(0, self.ids, self.waves @ self.shared)


class SeenRooms:
    """What the vision part, fixed for now, sees in every room.

    Args:
        model: The nano.
        corpus: The rooms.
        processor: Its processor.
    """

    def __init__(self, model: NanoForConditionalGeneration, corpus: Corpus, processor: NanoProcessor) -> None:
        self._encoder = model.model.vision_regions
        tokens: list[Tensor] = []
        regions: list[tuple[Tensor, ...]] = []
        with torch.no_grad(), autocast():
            for start in range(0, len(corpus.image), 125):
                values, masks = images(corpus, np.arange(start, min(start + 125, len(corpus.image))), processor)
                seen, found = model.model.look(values, masks)
                tokens.append(seen.bfloat16())
                there = masks.flatten(2).sum(-1) >= _VISIBLE
                regions.append((found.features.bfloat16(), found.estimates.float(), found.kinds, found.colours, there))
        self._tokens = torch.cat(tokens)
        *self._regions, there = (torch.cat(part) for part in zip(*regions, strict=True))
        self._words: list[list[tuple[int, int]]] = corpus.words.tolist()
        self._visible = [torch.nonzero(row)[:, 0].tolist() for row in there]
        self._rooms = [room for room, visible in enumerate(self._visible) if len(visible) > 1]

    def pick(self, rng: Random) -> ShownRegions:
        """Two regions of a room."""
        room = rng.choice(self._rooms)
        first, second = rng.sample(self._visible[room], 2)
        return ShownRegions(room, (first, second))

    def look(self, place: ShownRegions) -> SeenPair:
        """What is believed of two regions."""
        room, (first, second) = place
        features, estimates = self._regions[0][room].float(), self._regions[1][room]
        with torch.no_grad():
            offsets = self._encoder.relate(features[first], estimates[first], features[second], estimates[second])
        words = self._words[room]
        return SeenPair([words[first], words[second]], estimates[[first, second]].tolist(), offsets.tolist())

    def __call__(self, rows: Sequence[LessonRow]) -> tuple[Tensor, EncodedRegions]:
        """What is seen in the rooms of some rows, their own regions first; kept in half the space, read as float32."""
        rooms, numbers = torch.tensor([row.room for row in rows]), torch.tensor([row.regions for row in rows])
        features, estimates, kinds, colours = (part[rooms[:, None], numbers].float() for part in self._regions)
        with torch.no_grad():
            offsets = self._encoder.relate(features[:, :1], estimates[:, :1], features, estimates)
        return self._tokens[rooms].float(), EncodedRegions(features, estimates, offsets, kinds, colours)


class SeenPair(NamedTuple):
    """Two regions of a room: kinds and colours, estimates, and the offsets of the second from the first."""

    words: list[tuple[int, int]]
    estimates: list[list[float]]
    offsets: list[float]


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """The curriculum of the decoder: which lessons it reads, in which shares, and when.

    Attributes:
        rates: Optimization.
        shares: The mixture: the share of rows of each lesson.
        first: The mixture of the first steps.
        first_steps: Number of these steps.
    """

    rates: Rates = field(default_factory=lambda: Rates(steps=2700, batch=3000, rate=1.2e-3))
    shares: Mapping[Lesson, float] = field(default_factory=lambda: SHARES)
    first: Mapping[Lesson, float] = field(default_factory=dict[Lesson, float])
    first_steps: int = 0


def make_rows(memory: SeenRooms, encoder: LessonEncoder, shares: Mapping[Lesson, float], rng: Random) -> Iterator[LessonRow]:
    """An endless stream of rows, whose lessons are drawn by their shares."""
    while True:
        (lesson,) = rng.choices(list(shares), list(shares.values()))
        yield make_row(lesson, memory, encoder, rng)


def make_row(lesson: Lesson, memory: SeenRooms, encoder: LessonEncoder, rng: Random) -> LessonRow:
    """One row of a lesson."""
    if lesson == "calculations":
        return encoder.calculated(calculate(rng))
    if lesson == "relations":
        category = choose_relation(rng)
        return tell(*comprehend(category, name(invent_words(rng)), invent(rng), rng, others=0), encoder, rng)
    place = memory.pick(rng)
    elsewhere = place if rng.random() < ELSEWHERE else NOWHERE
    if lesson == "steps":
        return encoder.unseen(rng.choice(REQUESTS), state(name(invent_words(rng)), invent(rng), rng), elsewhere)
    if lesson == "comprehension":
        category = choose_evenly(rng)
        return tell(*comprehend(category, name(invent_words(rng)), invent(rng), rng), encoder, rng, elsewhere)
    seen = memory.look(place)
    view = believe(seen.estimates, seen.offsets)
    if lesson == "statements":
        text = state(name(seen.words), view, rng)
        return encoder.shown(place, rng.choice(REQUESTS), text)
    category = rng.choice(CATEGORIES) if lesson == "answers" else choose_evenly(rng)
    if regions_of(category) == 1:
        place = ShownRegions(place.room, (place.regions[0], place.regions[0]))
    text = look_for(category, name(seen.words), view, rng) if lesson == "looking" else ask(category, view, rng)
    return encoder.shown(place, *text)


def choose_evenly(rng: Random) -> Category:
    """A category; each relation is as likely, whether questions of one form ask for it or of two, and half are quantities."""
    return rng.choice(QUANTITATIVE) if rng.random() < 0.5 else choose_relation(rng)


def choose_relation(rng: Random) -> Category:
    """A category of questions about a relation."""
    relation = rng.choice(RELATIONS)
    return rng.choice([category for category in QUALITATIVE if category.startswith(f"{relation}_")])


def tell(
    question: str, told: str, answer: str, encoder: LessonEncoder, rng: Random, place: ShownRegions = NOWHERE
) -> LessonRow:
    """A question with what answers it before it, after it, or where the answer begins."""
    order = rng.random()
    if order < 0.5:
        return encoder.told(question, answer, told + rng.choice(" \n"), place)
    return encoder.told(f"{question} {told}" if order < 0.8 else f"{told} {question}", answer, place=place)


def unsaid(encoder: LessonEncoder, count: int = 1500) -> set[int]:
    """Tokens of whole answers in the LongCoT form that no lesson has."""
    rng = Random("unsaid")
    said, reasoned = set[int](), set[int]()
    for _ in range(count):
        view, words, category = invent(rng), invent_words(rng), rng.choice(CATEGORIES)
        question, answer = ask(category, view, rng)
        facts = name(words[: regions_of(category)])
        said |= {*encoder.told(question, answer).ids, *encoder.told("", state(name(words), view, rng)).ids}
        said |= {*encoder.calculated(calculate(rng)).ids}
        reasoned |= {*encoder.told(question, reason(question, facts, view, rng)).ids}
    return reasoned - said


def read_loss(
    model: NanoForConditionalGeneration, rows: Sequence[LessonRow], memory: SeenRooms, numbers: Numbers
) -> Float[Tensor, ""]:
    """The weighted mean loss of answers, given what is seen; all rows have an image, or none has."""
    ids, weights, read = (
        pad_sequence([torch.tensor(getattr(row, part)) for row in rows], batch_first=True)
        for part in ("ids", "weights", "read")
    )
    if rows[0].room >= 0:
        embeds, _ = model.model.embed(ids, *model.model.tell(*memory(rows)))
    else:
        embeds = model.get_input_embeddings()(ids)
    hidden = model.model.language_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
    counts = weights[:, 1:] > 0
    embeddings: Any = model.get_input_embeddings()
    logits = functional.linear(hidden[:, :-1][counts], embeddings.weight)
    weighted = numbers.losses(logits, ids[:, 1:][counts], read[:, 1:][counts]) * weights[:, 1:][counts]
    return weighted.sum() / weights.sum()


def learn_to_read(
    model: NanoForConditionalGeneration,
    processor: NanoProcessor,
    corpus: Corpus,
    config: ReadConfig,
    *,
    seed: int,
    log: Any,
    advance: Advance,
    checkpoint: Path | None = None,
    phase: Literal["read", "understand"] = "read",
) -> None:
    """Phases 2 and 3; the vision part is frozen."""
    for module in (model.model.vision_tower, model.model.vision_regions):
        module.requires_grad_(False)
    memory, encoder = SeenRooms(model, corpus, processor), LessonEncoder(processor)
    numbers = Numbers(processor, unsaid(encoder))
    embeddings = model.get_input_embeddings()
    table = NumberTable(numbers, model.config.text_config.hidden_size, settled=phase == "understand")
    parametrize.register_parametrization(embeddings, "weight", table)
    optimization = Optimization(model, config.rates, checkpoint)
    for number, steps in optimization.stretches():
        rng = Random(f"{phase} {seed} {number}")
        shares = config.first if steps.start < config.first_steps else config.shares
        feed = batches(make_rows(memory, encoder, shares, rng), config.rates.batch, rng)
        for step, rows in zip(steps, feed, strict=False):
            with autocast(), parametrize.cached():
                loss = read_loss(model, rows, memory, numbers)
                optimization.step(loss)
            log(phase, step, {"loss": loss.item()})
            advance(step + 1)
    parametrize.remove_parametrizations(embeddings, "weight", leave_parametrized=True)
    model.tie_weights()
