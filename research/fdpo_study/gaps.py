"""Controls of fDPO as changes of its data: what the gaps of a set of pairs would be under another rule.

The trainer takes a pair's gaps as they are in its row, so that each rule of weighting the segments is a function from the
gaps of all pairs to other gaps, and no control needs a trainer of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

Gap = tuple[float, float]
"""Reward of the chosen minus the rejected answer: of the description, of the reasoning."""

Rule = Callable[[Sequence[Gap], Random], list[Gap]]

_LAM = 0.6
"""The sensitivity to gaps (the paper's) at which `fixed` has the mean weight of fDPO."""


def as_scored(gaps: Sequence[Gap], rng: Random) -> list[Gap]:
    """The gaps as the reward gives them: fDPO itself."""
    return list(gaps)


def shuffled(gaps: Sequence[Gap], rng: Random) -> list[Gap]:
    """The gaps of other pairs: the same weights over all, without their information on each pair."""
    return rng.sample(list(gaps), len(gaps))


def inverse(gaps: Sequence[Gap], rng: Random) -> list[Gap]:
    """The two gaps of a pair change places: the segment with the larger gap gets the smaller beta.

    >>> inverse([(1.0, 4.0)], Random(0))
    [(4.0, 1.0)]
    """
    return [(reasoning, description) for description, reasoning in gaps]


def description_only(gaps: Sequence[Gap], rng: Random) -> list[Gap]:
    """Only the description's gap counts; the reasoning's is 0.

    >>> description_only([(1.0, 4.0)], Random(0))
    [(1.0, 0.0)]
    """
    return [(description, 0.0) for description, _ in gaps]


def reasoning_only(gaps: Sequence[Gap], rng: Random) -> list[Gap]:
    """Only the reasoning's gap counts; the description's is 0."""
    return [(0.0, reasoning) for _, reasoning in gaps]


def fixed(gaps: Sequence[Gap], rng: Random) -> list[Gap]:
    """The same gaps in every pair: the reasoning's weight is the mean of what fDPO gives it; unequal, and not adaptive."""
    mean = sum(1 / (1 + math.exp(_LAM * (description - reasoning))) for description, reasoning in gaps) / len(gaps)
    return [(0.0, math.log(mean / (1 - mean)) / _LAM)] * len(gaps)


def fixed_opposite(gaps: Sequence[Gap], rng: Random) -> list[Gap]:
    """The same as `fixed`, the segments exchanged."""
    return inverse(fixed(gaps, rng), rng)
