"""Estimates with intervals over rooms and seeds."""

import numpy as np
import pytest
from research.fdpo_study.effects import Estimate, QuestionSet, estimate, matched

from spatialreasoner.core.types import Category, Question


def question(number: int, room: str, category: Category = "left_predicate") -> Question:
    return Question(
        id=f"q{number}", scene_id=room, category=category, text="?", region_ids=("region1", "region2"), answer="Yes."
    )


def make(rooms: int, each: int, category: Category = "left_predicate") -> QuestionSet:
    return QuestionSet.of([question(number, f"room{number // each}", category) for number in range(rooms * each)])


def test_means_by_column_by_hand() -> None:
    test = QuestionSet.of([question(0, "a"), question(1, "a", "width_data"), question(2, "b", "width_data")])
    found = estimate(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]), test)
    assert found["qualitative"].value == 0.5
    assert found["quantitative"].value == 0.75
    assert found["width"].value == 0.75
    assert found["left/right"].value == 0.5
    assert "height" not in found  # nothing was asked of it


def test_a_room_of_like_answers_counts_as_one() -> None:
    rng = np.random.default_rng(0)
    rooms = rng.integers(2, size=40).astype(float)
    clustered = estimate(np.repeat(rooms, 10)[None], make(40, 10))["qualitative"]
    single = estimate(rooms[None], make(40, 1))["qualitative"]
    assert clustered.high - clustered.low == pytest.approx(single.high - single.low, rel=1e-9)


def test_seeds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    alike = np.repeat((rng.random((1, 400)) < 0.5).astype(float), 4, axis=0)
    differing = (rng.random((4, 400)) < np.array([[0.2], [0.4], [0.6], [0.8]])).astype(float)
    test = make(100, 4)
    one, other = (estimate(values, test)["qualitative"] for values in (alike, differing))
    assert other.high - other.low > 2 * (one.high - one.low)


def test_the_interval_covers() -> None:
    """Of 100 studies with rooms and seeds that differ, about 95 intervals hold the truth, 0.5; the method is conservative."""
    rng = np.random.default_rng(3)
    test, held = make(30, 3), 0
    for _ in range(100):
        chance = 0.5 + 0.1 * rng.standard_normal((5, 1)) + np.repeat(0.2 * rng.standard_normal((1, 30)), 3, axis=1)
        found = estimate((rng.random((5, 90)) < chance).astype(float), test)["qualitative"]
        held += found.low <= 0.5 <= found.high
    assert held >= 90


def test_verdicts() -> None:
    assert Estimate(value=0.1, low=0.01, high=0.2).verdict == "above"
    assert Estimate(value=-0.1, low=-0.2, high=-0.01).verdict == "below"
    assert Estimate(value=0.1, low=-0.01, high=0.2).verdict == "open"


def test_the_mix_at_a_divergence_lies_between_its_neighbours() -> None:
    points = [(9.0, "c"), (2.0, "a"), (4.0, "b")]
    assert matched(8.0, points) == [("b", pytest.approx(0.2)), ("c", pytest.approx(0.8))]
    assert matched(99.0, points) == [("c", 1.0)]
    assert matched(0.0, [(1.0, "a"), (1.0, "b")])[0][1] == 1.0
