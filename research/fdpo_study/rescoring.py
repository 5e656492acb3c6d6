"""Controls of the rewards: what an answer would earn under another rule, from what geometry said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from research.fdpo_study.arms import PairSet

from spatialreasoner.core.types import RewardBreakdown
from spatialreasoner.rewards import spatial
from spatialreasoner.rewards.combine import Graded
from spatialreasoner.rewards.spatial import StatementVerdict

Aspect = Literal["visual", "spatial", "logical"]

ASPECTS: Mapping[PairSet, Aspect] = {"visual": "visual", "spatial": "spatial", "logical": "logical"}
"""The sets of pairs that one reward alone ranks."""

_EXACT, _WRONG = math.log(1 + spatial.EXACT), math.log(2.0)
"""By factor, a length is right within 1.1 of the truth, and earns nothing from twice or half of it on."""


def keep(aspect: Aspect, reward: RewardBreakdown) -> RewardBreakdown:
    """One reward alone: the others are 0, and so neither rank answers nor make gaps; what is unscored stays so.

    >>> kept = keep("spatial", RewardBreakdown(visual=3.0, spatial_description=1.0, spatial_reasoning=2.0, logical=4.0))
    >>> kept.description, kept.reasoning
    (1.0, 2.0)
    """
    spatially = aspect == "spatial"
    return replace(
        reward,
        visual=reward.visual if aspect == "visual" else 0.0,
        spatial_description=reward.spatial_description if spatially else 0.0,
        spatial_reasoning=reward.spatial_reasoning if spatially else 0.0,
        logical=reward.logical if aspect == "logical" else 0.0,
    )


def by_factor(graded: Graded) -> RewardBreakdown:
    """The reward, its lengths scored by the factor between answer and truth.

    The reward scores a length by its relative error (`spatial.value_score`), which is unequal: half of the truth loses 50 %,
    twice the truth 100 %, and who is unsure earns more by saying less. A factor weighs both sides alike.
    """
    return replace(
        graded.reward,
        spatial_description=_spatial(graded.description),
        spatial_reasoning=_spatial(graded.reasoning),
    )


def _spatial(verdicts: Sequence[StatementVerdict]) -> float | None:
    return spatial.spatial_reward([_by_factor(verdict) for verdict in verdicts]).value


def _by_factor(verdict: StatementVerdict) -> StatementVerdict:
    said, truth = verdict.assertion, verdict.truth
    plain = said.high is None and not said.negated and said.unit != "hour"
    if verdict.score is None or not plain or said.value is None or truth is None or min(said.value, truth) <= 0:
        return verdict
    return replace(verdict, score=factor_score(said.value, truth))


def factor_score(claim: float, truth: float) -> float:
    """Correctness of a positive length: 1 within a factor of 1.1, falling with the factor's logarithm to 0 at 2.

    >>> [round(factor_score(claim, 1.0), 3) for claim in (1.1, 1.25, 0.8, 2.0, 0.5)]
    [1.0, 0.786, 0.786, 0.0, 0.0]
    """
    off = abs(math.log(claim / truth))
    return min(1.0, max(0.0, (_WRONG - off) / (_WRONG - _EXACT)))
