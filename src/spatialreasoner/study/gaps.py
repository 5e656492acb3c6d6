"""Controls of fDPO as changes of its data: what the gaps of a set of pairs would be under another rule.

The trainer takes a pair's gaps as they stand in its row, so that each rule of weighting the segments is a function from the
gaps of all pairs to other gaps, and no control needs a trainer of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Literal

from spatialreasoner.types import RewardBreakdown, Trajectory

Gap = tuple[float, float]
"""Reward of the chosen minus the rejected answer: of the description, of the reasoning."""

Rule = Callable[[Sequence[Gap], Random], list[Gap]]

LAM = 0.6
"""The sensitivity to gaps (the paper's) at which `fixed` has the mean weight of fDPO."""

Aspect = Literal["visual", "spatial", "logical"]


def as_scored(gaps: Sequence[Gap], rng: Random) -> list[Gap]:
    """The gaps as the reward gives them: fDPO itself."""
    return list(gaps)


def shuffled(gaps: Sequence[Gap], rng: Random) -> list[Gap]:
    """The gaps of other pairs: the same weights over all, without their information on each pair."""
    return rng.sample(list(gaps), len(gaps))


def inverse(gaps: Sequence[Gap], rng: Random) -> list[Gap]:
    """The two gaps of a pair change places: the segment with the larger gap gets the smaller temperature.

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
    mean = sum(1 / (1 + math.exp(LAM * (description - reasoning))) for description, reasoning in gaps) / len(gaps)
    return [(0.0, math.log(mean / (1 - mean)) / LAM)] * len(gaps)


def fixed_opposite(gaps: Sequence[Gap], rng: Random) -> list[Gap]:
    """The same as `fixed`, the segments exchanged."""
    return inverse(fixed(gaps, rng), rng)


def only(trajectory: Trajectory, aspect: Aspect) -> Trajectory:
    """The trajectory as one reward alone sees it: the others are 0, and so neither rank answers nor make gaps."""
    reward = trajectory.reward
    return replace(trajectory, reward=replace(keep(reward, aspect), parts=reward.parts, reasons=reward.reasons))


def keep(reward: RewardBreakdown, aspect: Aspect) -> RewardBreakdown:
    """One reward of the breakdown alone; what is unscored stays so.

    >>> kept = keep(RewardBreakdown(visual=3.0, spatial_description=1.0, spatial_reasoning=2.0, logical=4.0), "spatial")
    >>> kept.description, kept.reasoning
    (1.0, 2.0)
    """
    spatial = aspect == "spatial"
    return RewardBreakdown(
        visual=reward.visual if aspect == "visual" else 0.0,
        spatial_description=reward.spatial_description if spatial else 0.0,
        spatial_reasoning=reward.spatial_reasoning if spatial else 0.0,
        logical=reward.logical if aspect == "logical" else 0.0,
    )
