"""Many answers at once, each at its own pace: one that ends makes room for the next, and what two begin with is read once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.errors import SceneError
from spatialreasoner.nano.native.kernel import Panels, RowsDecoder, ToldRegions, Words
from spatialreasoner.nano.native.seeing import Glimpse, Seeing
from spatialreasoner.vlm.writing import Manner, Take, WantedAnswer, Written

if TYPE_CHECKING:
    from spatialreasoner.nano.modeling import NanoForConditionalGeneration

AT_ONCE = 12
"""Most answers that are written side by side. What more of them have read no longer fits into the cache that a processor's
cores share, and is read from memory at every step; with fewer, the weights are read more often per token."""

_REMEMBERED = 12
"""Answers that have ended and are kept, for those that begin as they do: each takes a megabyte, and memory that nobody has used
yet costs as much time as a tenth of writing an answer into it."""

_STRIDE = 16
"""Most tokens that are written before an answer that has its full length, or is not wanted any more, is looked for."""


@dataclass(eq=False)
class _Row:
    """An answer that is being written.

    Attributes:
        wanted: What was asked.
        names: What was read: tokens by their numbers, images and regions by names that nothing else has.
        named: The names of the regions that tokens name.
        sight: The image as the decoder reads it.
        told: What its regions add to their names.
        random: Gives the numbers that decide the samples, one per token.
        lots: Those of them that are not used yet.
        slot: Where the decoder keeps it.
        prompt: How many of the names are the prompt's.
        written: The answer so far.
    """

    wanted: WantedAnswer
    names: list[int]
    named: dict[int, int]
    sight: Glimpse | None
    told: ToldRegions
    random: Callable[[], float]
    lots: list[float] = field(default_factory=list[float])
    slot: int = -1
    prompt: int = 0
    written: list[int] = field(default_factory=list[int])


class RowsWriter:
    """Writes answers.

    An answer depends on its own request alone, to the last bit: not on what is written beside it.

    Args:
        model: The nano.
        panels: The weights of its decoder.
        seeing: Looks at images for it.
        ends: Tokens that end an answer.
        rows: Most answers that it writes at once; never more than `AT_ONCE`.
    """

    def __init__(
        self,
        model: NanoForConditionalGeneration,
        panels: Panels,
        seeing: Seeing,
        *,
        ends: Sequence[int],
        rows: int,
    ) -> None:
        config = model.config
        self._most = min(rows, AT_ONCE)
        slots = self._most + _REMEMBERED
        self._decoder, self._seeing = RowsDecoder(panels, slots), seeing
        table = model.model.language_model.embed_tokens.weight.detach().numpy()
        self._words = Words(self._decoder, table, config.region_token_ids, ends)
        self._table, self._number = self._words.table, self._words.number.tolist()
        self._no_regions = ToldRegions(np.empty((0, self._table.shape[1]), np.float32))
        self._region_tokens: list[int] = config.region_token_ids
        self._image, self._image_tokens = config.image_token_id, config.num_image_tokens
        self._ends, self._how = frozenset(ends), Manner(temperature=0.0, most=1)
        self._rows: list[_Row] = []
        self._known: list[list[int]] = [[] for _ in range(slots)]
        self._free = deque(range(slots))

    def write(self, take: Take, how: Manner) -> Generator[Written]:
        """Write answers in whatever order they end, until none is wanted.

        Args:
            take: Asked for more whenever there is room for them.
            how: How they are written.
        """
        self._how = how
        try:
            while True:
                if len(self._rows) < self._most:
                    yield from self._begin(take(self._most - len(self._rows)))
                if not self._rows:
                    return
                yield from self._write_on(self._rows)
        finally:  # of one who no longer listens, too
            for row in list(self._rows):
                self._let_go(row)

    def _begin(self, wanted: Sequence[WantedAnswer]) -> Generator[Written]:
        """Read what answers begin with; of several that begin alike, the first is read before the others."""
        rows: list[_Row] = []
        for each in wanted:
            try:
                rows.append(self._row(each))
            except SceneError as error:
                yield Written(wanted=each, refusal=error)
        while rows:
            wave, rows = self._wave(rows)
            yield from self._read_first(wave)

    def _row(self, wanted: WantedAnswer) -> _Row:
        sight = self._seeing(wanted.image, wanted.masks) if wanted.image is not None else None
        if wanted.ids.count(self._image) != (sight is not None):
            raise SceneError("a question cannot hold the placeholder of images; leave it out")
        if not wanted.ids:
            raise SceneError("expected a prompt of a token at least")
        named = dict(zip(self._region_tokens, sight.names, strict=False)) if sight is not None else {}
        names = list(map(named.get, wanted.ids, wanted.ids))
        told = self._no_regions
        if sight is not None:
            at = wanted.ids.index(self._image)
            names[at : at + 1] = [sight.name] * self._image_tokens
            told = ToldRegions(sight.regions)
        return _Row(wanted, names, named, sight, told, Random(wanted.seed).random, prompt=len(names))

    def _wave(self, rows: list[_Row]) -> tuple[list[tuple[_Row, int]], list[_Row]]:
        """Rows to read now, each with how much of it is known already; and those that will know more once these are read."""
        wave: list[tuple[_Row, int]] = []
        later: list[_Row] = []
        for row in rows:
            slot, known = self._most_alike(row.names, self._known)
            if self._most_alike(row.names, [each.names for each, _ in wave])[1] > known:
                later.append(row)
            else:
                wave.append((row, known))
                self._place(row, slot, known)
        return wave, later

    def _most_alike(self, names: list[int], others: Sequence[list[int]]) -> tuple[int, int]:
        """The row whose prefix in common with this one is longest, and its length; the last token is always read again."""
        best, most = -1, 0
        for index, other in enumerate(others):
            if most < len(other) and names[: most + 1] == other[: most + 1]:
                alike = _common(names, other)
                best, most = (index, alike) if alike > most else (best, most)
        return best, min(most, len(names) - 1)

    def _place(self, row: _Row, origin: int, known: int) -> None:
        if origin in self._free:
            self._free.remove(origin)
            row.slot = origin
        else:
            row.slot = self._free.popleft()
        self._decoder.begin_as(row.slot, max(origin, 0), known)
        self._decoder.make_room(row.slot, row.prompt)
        self._known[row.slot] = []  # until it is read

    def _read_first(self, wave: Sequence[tuple[_Row, int]]) -> Generator[Written]:
        embeds = [self._embedded(row)[known:] for row, known in wave]
        slots = [row.slot for row, known in wave for _ in range(known, row.prompt)]
        places = [place for row, known in wave for place in range(known, row.prompt)]
        read = self._decoder.read(np.concatenate(embeds) if len(wave) > 1 else embeds[0], slots, places)
        last = np.cumsum([len(each) for each in embeds]) - 1
        for row, _ in wave:
            self._known[row.slot] = row.names
            self._rows.append(row)
        yield from self._choose([row for row, _ in wave], read[last])

    def _embedded(self, row: _Row) -> Float[np.ndarray, "tokens hidden"]:
        if row.sight is None:
            return self._table[list(row.wanted.ids)]
        at = row.wanted.ids.index(self._image)
        ids = np.array([*row.wanted.ids[:at], *[self._image] * self._image_tokens, *row.wanted.ids[at + 1 :]])
        embeds = self._table[ids]
        embeds[at : at + self._image_tokens] = row.sight.tokens
        for place, token in enumerate(ids.tolist()):
            if place > at and 0 <= self._number[token] < len(row.sight.regions):  # a region is one of the image before it
                embeds[place] += row.sight.regions[self._number[token]]
        return embeds

    def _write_on(self, rows: Sequence[_Row]) -> Generator[Written]:
        """More tokens of every row: until one of them ends, or may."""
        rows = list(rows)
        steps = min(_STRIDE, *(self._how.most - len(row.written) for row in rows))
        if any(row.wanted.goes_on for row in rows):
            steps = 1
        places = [row.prompt + len(row.written) - 1 for row in rows]
        for row, place in zip(rows, places, strict=True):
            self._decoder.make_room(row.slot, place + steps)
        slots, before, told = [row.slot for row in rows], [row.written[-1] for row in rows], [row.told for row in rows]
        chance = self._chance(rows, steps)
        written = self._decoder.write(self._words, slots, places, before, told, self._how.temperature, chance)
        for row, last, tokens in zip(rows, before, written, strict=True):
            read = [last, *tokens[:-1]]
            row.names += map(row.named.get, read, read)
            del row.lots[: len(tokens)]
            row.written += tokens
        yield from self._ended(rows)

    def _chance(self, rows: Sequence[_Row], steps: int) -> Float[np.ndarray, "steps rows"]:
        if self._how.temperature <= 0:
            return np.zeros((steps, len(rows)))
        for row in rows:
            row.lots += [row.random() for _ in range(steps - len(row.lots))]
        return np.array([row.lots[:steps] for row in rows]).T

    def _choose(self, rows: Sequence[_Row], hidden: Float[np.ndarray, "rows hidden"]) -> Generator[Written]:
        (chance,) = self._chance(rows, 1)
        for row, token in zip(rows, self._decoder.choose(hidden, self._how.temperature, chance), strict=True):
            del row.lots[:1]
            row.written.append(token)
        yield from self._ended(rows)

    def _ended(self, rows: Sequence[_Row]) -> Generator[Written]:
        for row in rows:
            token = row.written[-1]
            goes_on = row.wanted.goes_on is None or row.wanted.goes_on(token)
            if token in self._ends or len(row.written) >= self._how.most or not goes_on:
                self._let_go(row)
                yield Written(wanted=row.wanted, ids=row.written, read=row.prompt)

    def _let_go(self, row: _Row) -> None:
        self._rows.remove(row)
        self._free.append(row.slot)


def _common(one: list[int], other: list[int]) -> int:
    """How many tokens two rows begin with that are the same."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(index for index in range(length) if one[index] != other[index])
