"""Whether a name may be said of a thing: by the table, or, where the table does not know the words, by their likeness.

The table decides alone wherever it knows both names, and always without an embedder. Else the two are the same thing if their
embeddings are alike enough. Likeness knows no kinds: to MiniLM "horse" and "donkey" (0.66) are more alike than "bed" and
"bedstead" (0.59). So the threshold is high, and what it lets through is measured (docs/rewards.md).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.protocols import Embedder
from spatialreasoner.language import vocabulary
from spatialreasoner.language.vocabulary import Vocabulary, heads

LIKENESS = 0.7
"""Inner product of two names' embeddings from which on they name the same thing: the least at which MiniLM is as precise as
the table, on the half of the labelled pairs that it was chosen on."""

_KEPT = 16_384
"""Names whose embeddings are kept, each a few kilobytes."""


class NameMatcher:
    """What things may be called.

    Args:
        table: The vocabulary; None for the curated one.
        embedder: Decides where the table knows one of two names not; None leaves them different things.
        likeness: From which inner product on it takes them for the same.
    """

    def __init__(
        self, table: Vocabulary | None = None, *, embedder: Embedder | None = None, likeness: float = LIKENESS
    ) -> None:
        self.table = vocabulary.load_vocabulary() if table is None else table
        self.embedder = embedder
        self._likeness = likeness
        self._vector = lru_cache(_KEPT)(self._embed)
        self._alike = lru_cache(_KEPT)(self._are_alike)

    def fit(self, label: str, name: str) -> bool:
        """Whether a thing with this label may be called by a name."""
        return self.in_table(self.table.fitting(label), name) or self.alike(label, name)

    def in_table(self, fitting: frozenset[str], name: str) -> bool:
        """Whether a name is among the fitting ones; a more special one ("office chair" for a chair) will do."""
        return name in fitting or any(head in fitting and head in self.table.objects for head in heads(name)[1:])

    def alike(self, label: str, name: str) -> bool:
        """Whether the embedder takes a label and a name for the same thing, where the table cannot tell."""
        return self.embedder is not None and self._alike(label, name)

    def _are_alike(self, label: str, name: str) -> bool:
        if (self._knows(label) and self._knows(name)) or self._is_modifier(label, name):
            return False
        first, second = _without_common(self._core(label), self._core(name))
        return bool(first and second) and float(self._vector(first) @ self._vector(second)) >= self._likeness

    def _knows(self, name: str) -> bool:
        return any(head in self.table for head in heads(name))

    def _is_modifier(self, label: str, name: str) -> bool:
        """Whether the name only says more of what the label names, as "wooden" of a "wooden table"."""
        return name in label.lower().split() and name not in heads(label)

    def _core(self, name: str) -> str:
        """What a name comes down to: the longest noun that the table knows, or all of it."""
        nouns = heads(name) or [name]
        return next((noun for noun in nouns if noun in self.table), nouns[0])

    def _embed(self, name: str) -> Float[np.ndarray, " d"]:
        assert self.embedder is not None
        return self.embedder.embed([name])[0]


def _without_common(first: str, second: str) -> tuple[str, str]:
    """Two names without what both begin with; empty if that is all of one, for the end of a compound says what it is.

    >>> _without_common("water cooler", "water bottle"), _without_common("curtain", "curtain rod")
    (('cooler', 'bottle'), ('', 'rod'))
    >>> _without_common("bird", "birdcage"), _without_common("coffee maker", "espresso maker")
    (('', 'cage'), ('coffee maker', 'espresso maker'))
    """
    words = first.split(), second.split()
    same = 0
    while same < min(map(len, words)) and words[0][same] == words[1][same]:
        same += 1
    if same == 0 and (first.startswith(second) or second.startswith(first)):
        least = min(len(first), len(second))
        return first[least:], second[least:]
    return " ".join(words[0][same:]), " ".join(words[1][same:])
