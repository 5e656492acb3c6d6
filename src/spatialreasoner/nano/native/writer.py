"""Many answers at once, each at its own pace: one that ends makes room for the next, and what two begin with is read once."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.errors import SceneError
from spatialreasoner.nano.native.kernel import Panels, RowsDecoder, ToldImage, Unread, Words
from spatialreasoner.nano.native.seeing import Seeing
from spatialreasoner.vlm.writing import Manner, Take, WantedAnswer, Written

if TYPE_CHECKING:
    from spatialreasoner.nano.modeling import NanoForConditionalGeneration

AT_ONCE = 8
"""Most answers that are written side by side. What more of them have read of a layer no longer fits into a core's own cache;
with fewer, the weights are read more often per token."""

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
        unread: What is read next: of the prompt, all that is not known; then the last token of the answer.
        names: The prompt, and the answer without its last token: tokens by their numbers, images and regions by names that
            nothing else has.
        named: The names of the regions that tokens name.
        chances: Numbers that decide the samples, one per token.
        lots: Those of them that were taken, and are not used yet.
        prompt: How many of the names are the prompt's.
        written: The answer so far.
    """

    wanted: WantedAnswer
    unread: Unread
    names: list[int]
    named: dict[int, int]
    chances: Iterator[float]
    lots: list[float] = field(default_factory=list[float])
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
        self._nothing = np.empty((0, table.shape[1]), np.float32)
        self._region_tokens: list[int] = config.region_token_ids
        self._image, self._image_tokens = config.image_token_id, config.num_image_tokens
        self._ends, self._how = frozenset(ends), Manner(temperature=0.0, most=1)
        self._rows: list[_Row] = []
        self._later: list[_Row] = []
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
                room = self._most - len(self._rows) - len(self._later)
                if room:
                    yield from self._take_in(take(room))
                self._begin()
                if not self._rows:
                    return
                yield from self._write_on(self._rows)
        finally:  # of one who no longer listens, too
            self._later.clear()
            for row in list(self._rows):
                self._let_go(row)

    def _take_in(self, wanted: Sequence[WantedAnswer]) -> Generator[Written]:
        """Let those answers join that can be written."""
        for each in wanted:
            try:
                self._later.append(self._row(each))
            except SceneError as error:
                yield Written(wanted=each, refusal=error)

    def _row(self, wanted: WantedAnswer) -> _Row:
        sight = self._seeing(wanted.image, wanted.masks) if wanted.image is not None else None
        if wanted.ids.count(self._image) != (sight is not None):
            raise SceneError("a question cannot hold the placeholder of images; leave it out")
        if not wanted.ids:
            raise SceneError("expected a prompt of a token at least")
        tokens, names, named = list(wanted.ids), list(wanted.ids), dict[int, int]()
        told = [ToldImage(self._nothing, self._nothing if sight is None else sight.regions)] * len(tokens)
        if sight is not None:
            named = dict(zip(self._region_tokens, sight.names, strict=False))
            names = list(map(named.get, names, names))
            at, count = tokens.index(self._image), self._image_tokens
            names[at : at + 1] = [sight.name] * count
            tokens[at : at + 1] = range(-1, -1 - count, -1)
            told[: at + 1] = [ToldImage(sight.tokens, self._nothing)] * (at + count)  # a region is one of the image before it
        return _Row(wanted, Unread(-1, 0, tokens, told), names, named, _chances(wanted.seed), prompt=len(names))

    def _begin(self) -> None:
        """Let answers join; of several that begin alike, those after the first once that one has read its prompt."""
        begun: list[list[int]] = []
        for row in list(self._later):
            slot, known = self._most_alike(row.names, self._known)
            if self._most_alike(row.names, begun)[1] <= known:
                begun.append(row.names)
                self._later.remove(row)
                self._rows.append(row)
                self._place(row, slot, known)

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
            slot = origin
        else:
            slot = self._free.popleft()
        self._decoder.begin_as(slot, max(origin, 0), known)
        row.unread = Unread(slot, known, row.unread.tokens[known:], row.unread.told[known:])
        self._known[slot] = []  # until it is read

    def _write_on(self, rows: Sequence[_Row]) -> Generator[Written]:
        """More tokens of every row: until one of them ends, or may, or others wait for what it has read."""
        rows = list(rows)
        one = self._later or any(row.wanted.goes_on for row in rows)
        steps = 1 if one else min(_STRIDE, *(self._how.most - len(row.written) for row in rows))
        for row in rows:
            self._decoder.make_room(row.unread.slot, len(row.names) + steps)
        chance, pieces = self._chance(rows, steps), [row.unread for row in rows]
        written = self._decoder.write(self._words, pieces, self._how.temperature, chance)
        for row, tokens in zip(rows, written, strict=True):
            del row.lots[: len(tokens)]
            row.written += tokens
            read = row.written[len(row.names) - row.prompt : -1]
            row.names += map(row.named.get, read, read)
            self._known[row.unread.slot] = row.names
            row.unread = Unread(row.unread.slot, len(row.names), row.written[-1:], row.unread.told[-1:])
        yield from self._ended(rows)

    def _chance(self, rows: Sequence[_Row], steps: int) -> Float[np.ndarray, "steps rows"]:
        if self._how.temperature <= 0:
            return np.zeros((steps, len(rows)))
        for row in rows:
            row.lots += islice(row.chances, max(0, steps - len(row.lots)))
        return np.array([row.lots[:steps] for row in rows]).T

    def _ended(self, rows: Sequence[_Row]) -> Generator[Written]:
        for row in rows:
            token = row.written[-1]
            goes_on = row.wanted.goes_on is None or row.wanted.goes_on(token)
            if token in self._ends or len(row.written) >= self._how.most or not goes_on:
                self._let_go(row)
                yield Written(wanted=row.wanted, ids=row.written, read=row.prompt)

    def _let_go(self, row: _Row) -> None:
        self._rows.remove(row)
        self._free.append(row.unread.slot)


def _chances(seed: int) -> Iterator[float]:
    """Numbers in [0, 1); those who are never asked for one are spared the making."""
    random = Random(seed).random
    while True:
        yield random()


def _common(one: list[int], other: list[int]) -> int:
    """How many tokens two rows begin with that are the same."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(index for index in range(length) if one[index] != other[index])
