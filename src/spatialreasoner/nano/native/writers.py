"""The nano's writers, one for each thread, with the same weights."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from spatialreasoner.nano.native.kernel import Panels, is_suited, native_library
from spatialreasoner.nano.native.seeing import Seeing
from spatialreasoner.nano.native.writer import RowsWriter
from spatialreasoner.nano.steps import is_plain

if TYPE_CHECKING:
    from spatialreasoner.nano.modeling import NanoForConditionalGeneration
    from spatialreasoner.nano.processing import NanoProcessor


class Writers:
    """Lends writers to threads; they write with the weights that the model has when they are lent.

    Args:
        model: The nano.
        processor: Its processor.
        ends: Tokens that end an answer.
        rows: Maximum number of answers that one of them writes at once.
    """

    def __init__(
        self, model: NanoForConditionalGeneration, processor: NanoProcessor, *, ends: Sequence[int], rows: int
    ) -> None:
        self.rows = rows
        self._model, self._processor, self._ends = model, processor, ends
        self._idle: list[RowsWriter] = []
        self._weights: list[tuple[int, int]] = []
        self._lock = Lock()

    @contextmanager
    def lent(self) -> Generator[RowsWriter]:
        """A writer for exclusive use until it is given back."""
        with self._lock:
            self._renew()
            seeing = self._seeing
            writer = self._idle.pop() if self._idle else self._made()
        yield writer
        with self._lock:  # not of one that failed
            if seeing is self._seeing:
                self._idle.append(writer)

    def _renew(self) -> None:
        """Take the model's weights, where they are not those that were taken before."""
        weights = [(each.data_ptr(), each._version) for each in self._model.parameters()]
        if weights != self._weights:
            library = native_library()
            assert library is not None
            self._panels = Panels(library, self._model.model.language_model, self._model.lm_head.weight)
            self._seeing, self._idle, self._weights = Seeing(self._model.model, self._processor, library), [], weights

    def _made(self) -> RowsWriter:
        return RowsWriter(self._model, self._panels, self._seeing, ends=self._ends, rows=self.rows)


def can_write(model: NanoForConditionalGeneration) -> bool:
    """Whether the library is there, and reads what this model's decoder and head are."""
    decoder = model.model.language_model
    return native_library() is not None and is_plain(decoder) and is_suited(decoder)
