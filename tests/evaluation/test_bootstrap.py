"""Intervals and tests of shares: numbers worked by hand, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.evaluation.bootstrap import (
    cluster_sums,
    difference_interval,
    mcnemar,
    resample_weights,
    share_intervals,
    wilson,
)


def test_cluster_sums_by_hand() -> None:
    values = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    np.testing.assert_array_equal(cluster_sums(["b", "a", "b"], values), [[1, 1], [1, 1]])


def test_each_resample_draws_as_many_clusters_as_there_are() -> None:
    weights = resample_weights(7, seed=3, resamples=500)
    assert weights.shape == (500, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean() == pytest.approx(1)
    np.testing.assert_array_equal(weights, resample_weights(7, seed=3, resamples=500))


def test_one_answer_an_image_agrees_with_the_normal_approximation() -> None:
    right = np.repeat([1.0, 0.0], [60, 40])[:, None]
    interval = share_intervals(right, np.ones((100, 1)), seed=0)[0]
    assert interval is not None
    half = 1.96 * np.sqrt(0.6 * 0.4 / 100)  # 0.096
    assert interval.low == pytest.approx(0.6 - half, abs=0.015)
    assert interval.high == pytest.approx(0.6 + half, abs=0.015)


def test_answers_that_share_images_tell_less() -> None:
    alone = share_intervals(np.repeat([1.0, 0.0], [60, 40])[:, None], np.ones((100, 1)), seed=0)[0]
    shared = share_intervals(np.repeat([10.0, 0.0], [6, 4])[:, None], np.full((10, 1), 10.0), seed=0)[0]
    assert alone is not None
    assert shared is not None
    assert shared.high - shared.low > 2.5 * (alone.high - alone.low)  # sqrt(10) times, all answers on an image agreeing


def test_where_nothing_varies_the_interval_still_has_a_width() -> None:
    interval, empty = share_intervals(np.array([[4.0, 0.0]] * 10), np.array([[4.0, 0.0]] * 10), seed=0)
    assert empty is None
    assert interval == wilson(1.0, 10)  # ten images, not forty answers


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (9, 1, 22 / 1024), (6, 4, 2 * (1 + 10 + 45 + 120 + 210) / 1024)],
)
def test_mcnemar_by_hand(gained: int, lost: int, p: float) -> None:
    assert mcnemar(gained, lost) == pytest.approx(p)
    assert mcnemar(lost, gained) == mcnemar(gained, lost)


def test_difference_of_models_that_never_differ_has_no_interval() -> None:
    assert difference_interval(np.zeros(5), np.ones(5), seed=0) is None
    assert difference_interval(np.zeros(0), np.zeros(0), seed=0) is None


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=30))
def test_the_difference_lies_in_its_interval_range(changes: list[int]) -> None:
    difference, items = np.array(changes, dtype=float), np.full(len(changes), 3.0)
    interval = difference_interval(difference, items, seed=0)
    if interval is not None:
        assert min(changes) / 3 <= interval.low <= interval.high <= max(changes) / 3


@given(share=st.floats(0, 1), n=st.integers(1, 2000))
def test_wilson_holds_the_share(share: float, n: int) -> None:
    interval = wilson(share, n)
    assert 0 <= interval.low <= share + 1e-6
    assert share - 1e-6 <= interval.high <= 1
