"""What a model may offer beside `generate`: its own batching, which writes many answers at once, each at its own pace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from PIL import Image

    from spatialreasoner.core.types import Rle


@dataclass(frozen=True, kw_only=True, eq=False)
class WantedAnswer:
    """A requested answer.

    Attributes:
        ids: The tokens that it continues, one placeholder for an image.
        image: The image, which is left as it is; None for text alone.
        masks: Regions on it, of its size.
        seed: Sampling seed of the answer.
        of: Whatever the one who asks knows it by.
        goes_on: Called with each token of the answer; False ends it there. None for one that is wanted as a whole.
    """

    ids: Sequence[int]
    image: Image.Image | None
    masks: Sequence[Rle] = ()
    seed: int
    of: Any = None
    goes_on: Callable[[int], bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Written:
    """The outcome of an answer.

    Attributes:
        wanted: What was wanted.
        ids: The tokens of the answer, with the one that ends it, unless it is cut off.
        read: Tokens that were read before it.
        refusal: Why there is not an answer; None if there is one.
    """

    wanted: WantedAnswer
    ids: list[int] = field(default_factory=list[int])
    read: int = 0
    refusal: Exception | None = None


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How answers are generated.

    Attributes:
        temperature: Sampling temperature; 0 is greedy.
        most: Maximum length of an answer in tokens.
    """

    temperature: float
    most: int


Take = Callable[[int], Sequence[WantedAnswer]]
"""Returns up to the given number of waiting answers; none if there are none."""


class WritesRows(Protocol):
    """Writes answers, in one thread."""

    def write(self, take: Take, how: Manner) -> Iterable[Written]:
        """Write answers in whatever order they end, until none is requested.

        Args:
            take: Asked for more whenever there is room for them.
            how: How they are written.
        """
        ...


class LendsWriters(Protocol):
    """Lends writers to threads."""

    def lent(self) -> AbstractContextManager[WritesRows]:
        """A writer for exclusive use until it is given back."""
        ...


def writers_of(model: Any, processor: Any, *, ends: Sequence[int], rows: int) -> LendsWriters | None:
    """A model's own way to write answers; None if it only has `generate`.

    Args:
        model: The model.
        processor: Its processor.
        ends: Tokens that end an answer.
        rows: Maximum number of answers that one writer writes at once.
    """
    offer = getattr(model, "writers", None)
    return None if offer is None else offer(processor, ends=ends, rows=rows)
