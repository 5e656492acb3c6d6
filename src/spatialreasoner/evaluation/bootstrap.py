"""Uncertainty of shares when several questions ask about one image: intervals and tests that resample whole images."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import comb, sqrt

import numpy as np
from jaxtyping import Float, Int

from spatialreasoner.core.types import Record

RESAMPLES = 2000
"""Resamples behind an interval: its ends then repeat, from seed to seed, to about a tenth of their distance."""


@dataclass(frozen=True, kw_only=True)
class Interval(Record):
    """A 95 % interval."""

    low: float
    high: float


def cluster_sums(clusters: Sequence[Hashable], values: Float[np.ndarray, "n columns"]) -> Float[np.ndarray, "c columns"]:
    """Sum rows by cluster; clusters come in the order of their first row."""
    index: dict[Hashable, int] = {}
    labels = np.array([index.setdefault(cluster, len(index)) for cluster in clusters], dtype=np.intp)
    sums = np.zeros((len(index), values.shape[1]))
    np.add.at(sums, labels, values)
    return sums


def resample_weights(num_clusters: int, *, seed: int, resamples: int = RESAMPLES) -> Int[np.ndarray, "resamples c"]:
    """How often each cluster is drawn in each resample of as many clusters, with replacement."""
    drawn = np.random.default_rng(seed).integers(num_clusters, size=(resamples, num_clusters))
    drawn += num_clusters * np.arange(resamples)[:, None]  # so that one count serves all resamples
    return np.bincount(drawn.ravel(), minlength=resamples * num_clusters).reshape(resamples, num_clusters)


def share_intervals(
    right: Float[np.ndarray, "c groups"], items: Float[np.ndarray, "c groups"], *, seed: int
) -> list[Interval | None]:
    """Percentile intervals of shares of right answers, resampling clusters.

    A bootstrap cannot see beyond its sample: where every cluster that has items has the same share, its interval would have no
    width. There, Wilson's interval with clusters for items takes its place.

    Args:
        right: Right answers by cluster and group.
        items: All answers by cluster and group.
        seed: Seed of the resampling.

    Returns:
        One interval per group, 0..1; None for a group without items.
    """
    weights = resample_weights(len(items), seed=seed).astype(float)
    totals, hits = weights @ items, weights @ right
    return [_share_interval(hits[:, g], totals[:, g], right[:, g], items[:, g]) for g in range(items.shape[1])]


def _share_interval(
    hits: Float[np.ndarray, " resamples"],
    totals: Float[np.ndarray, " resamples"],
    right: Float[np.ndarray, " c"],
    items: Float[np.ndarray, " c"],
) -> Interval | None:
    if not items.any():
        return None
    present = items > 0
    shares = right[present] / items[present]
    if np.ptp(shares) == 0:
        return wilson(float(shares[0]), int(present.sum()))
    drawn = totals > 0  # a rare group may be missing from a resample
    low, high = np.percentile(hits[drawn] / totals[drawn], (2.5, 97.5))
    return Interval(low=float(low), high=float(high))


def wilson(share: float, n: int) -> Interval:
    """Wilson's 95 % score interval of a share of `n` independent trials.

    >>> wilson(1.0, 10)  # 1 / (1 + 1.96^2 / 10)
    Interval(low=0.7224672, high=1.0)
    """
    z = 1.959964
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(low=round(max(0.0, centre - half), 7), high=round(min(1.0, centre + half), 7))


def difference_interval(difference: Float[np.ndarray, " c"], items: Float[np.ndarray, " c"], *, seed: int) -> Interval | None:
    """Percentile interval of a mean paired difference, resampling clusters; None if nothing varies."""
    if len(items) == 0 or np.ptp(difference / items) == 0:
        return None
    weights = resample_weights(len(items), seed=seed).astype(float)
    low, high = np.percentile((weights @ difference) / (weights @ items), (2.5, 97.5))
    return Interval(low=float(low), high=float(high))


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided p-value of McNemar's test: discordant items fall either way with probability 1/2.

    >>> mcnemar(9, 1)  # 2 (1 + 10) / 2^10
    0.021484375
    >>> mcnemar(3, 3)
    1.0
    """
    n = gained + lost
    tail = sum(comb(n, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / 2**n)
