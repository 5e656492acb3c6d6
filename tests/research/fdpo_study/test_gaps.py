"""Controls of fDPO as changes of its data, and which of its own answers a model is shown as pairs."""

import math
from collections import Counter
from itertools import groupby
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from research.fdpo_study.config import StudyConfig
from research.fdpo_study.data import closest, make_part, nearest

from research.fdpo_study import gaps
from spatialreasoner.core.records import read_jsonl
from spatialreasoner.core.types import Question, RewardBreakdown, Trajectory
from spatialreasoner.training.loss import segment_betas

PAIRS = [(0.0, 4.0), (1.0, 1.0), (2.0, -1.0), (0.5, 3.0)]
LISTS = st.lists(st.tuples(st.floats(-8, 8), st.floats(-8, 8)), min_size=1, max_size=20)


def betas(rows: list[tuple[float, float]]) -> torch.Tensor:
    return segment_betas(torch.tensor(rows, dtype=torch.float64))


def test_inverse_exchanges_the_betas() -> None:
    torch.testing.assert_close(betas(gaps.inverse(PAIRS, Random(0))), betas(PAIRS).flip(-1))


def test_fixed_has_the_mean_betas_of_fdpo_in_every_pair() -> None:
    fixed = betas(gaps.fixed(PAIRS, Random(0)))
    torch.testing.assert_close(fixed, betas(PAIRS).mean(0).expand(4, 2))
    torch.testing.assert_close(betas(gaps.fixed_opposite(PAIRS, Random(0))), fixed.flip(-1))


def test_fixed_by_hand() -> None:
    # weights of the reasoning: sigmoid(.6 * 4) = .916827 and .5; their mean .7084136; logit(.7084136) / .6 = 1.479487
    (description, reasoning), second = gaps.fixed([(0.0, 4.0), (1.0, 1.0)], Random(0))
    assert description == 0
    assert reasoning == pytest.approx(1.479487, abs=1e-6)
    assert second == (description, reasoning)


@given(LISTS)
def test_shuffled_gaps_are_the_same_gaps(rows: list[tuple[float, float]]) -> None:
    assert sorted(gaps.shuffled(rows, Random(1))) == sorted(rows)


def test_shuffling_moves_gaps() -> None:
    rows = [(float(number), 0.0) for number in range(50)]
    moved = sum(one != other for one, other in zip(rows, gaps.shuffled(rows, Random(0)), strict=True))
    assert moved > 40


@given(LISTS)
def test_a_segment_alone(rows: list[tuple[float, float]]) -> None:
    assert gaps.description_only(rows, Random(0)) == [(a, 0.0) for a, _ in rows]
    assert gaps.reasoning_only(rows, Random(0)) == [(0.0, b) for _, b in rows]


@given(LISTS)
def test_every_rule_keeps_the_number_of_pairs_and_finite_gaps(rows: list[tuple[float, float]]) -> None:
    for rule in (gaps.as_scored, gaps.shuffled, gaps.inverse, gaps.fixed, gaps.fixed_opposite):
        found = rule(rows, Random(0))
        assert len(found) == len(rows)
        assert all(math.isfinite(value) for pair in found for value in pair)


def test_the_nearest_pair_is_of_a_good_answer_and_the_one_that_begins_most_like_it_and_is_not() -> None:
    def answer(text: str, *, success: bool | None, earned: float = 1.0) -> Trajectory:
        reward = RewardBreakdown(visual=earned, spatial_description=0.0, spatial_reasoning=0.0, logical=0.0)
        return Trajectory(question_id="q", index=0, text=text, policies=("own",), reward=reward, success=success)

    good = "0.4 m. 0.4 × 100 = 40. ### In Conclusion 40 cm"
    known = [
        answer(good, success=True, earned=2.0),
        answer("0.4 m. 0.4 × 100 = 40. ### In Conclusion 43 cm", success=None),
        answer("0.4 m. 0.4 × 100 = 41. ### In Conclusion 41 cm", success=False, earned=3.0),
        answer("0.4 m. 0.4 × 90 = 36. ### In Conclusion 36 cm", success=False),
        answer("0.6 m. 0.6 × 100 = 60. ### In Conclusion 60 cm", success=False),
    ]
    assert [each.text for each in nearest(known)] == [good, known[3].text]
    lucky = answer("0.4 m. 0.4 × 100 = 40. ### In Conclusion 42 cm", success=True)
    assert nearest([*known, lucky]) == (known[0], lucky)
    assert nearest(known[:3]) == ()


def test_the_closest_pair_is_of_the_good_answer_that_is_least_off_and_a_less_close_one_that_begins_like_it() -> None:
    def answer(text: str, *, success: bool, near: float, total: float = 0.0) -> Trajectory:
        reward = RewardBreakdown(visual=total, spatial_description=1.0, spatial_reasoning=near, logical=0.0)
        return Trajectory(
            question_id="q", index=0, text=text, policies=("own",), reward=reward, success=success, origin="sample"
        )

    best = answer("0.40 m. ### In Conclusion 0.40 m", success=True, near=3.0)
    right = answer("0.45 m. ### In Conclusion 0.45 m", success=True, near=2.4)
    known = [
        answer("0.41 m. ### In Conclusion 0.41 m", success=True, near=2.9),  # as close
        answer("It is 0.90 m wide. ### In Conclusion 0.90 m", success=False, near=0.0),
        best,
        right,  # right, but less close: what is asked holds in both
        answer("0.40 m. ### In Conclusion 0.43 m", success=True, near=3.5),  # not by its own steps
        answer("0.40 m. ### In Conclusion 0.80 m", success=False, near=0.0, total=4.0),  # earns more, by what is not asked
    ]
    assert closest(known) == (best, right)
    assert closest(known[:3]) == (best, known[1])
    assert closest(known[1:2]) == closest([best]) == ()


def test_questions_mostly_about_quantities_ask_for_each_once_in_a_room(tmp_path: Path) -> None:
    make_part(StudyConfig(number_scenes=3), "numbers", tmp_path)
    found = list(read_jsonl(tmp_path / "data" / "numbers" / "questions.jsonl", Question))
    rooms = [list(group) for _, group in groupby(found, key=lambda question: question.scene_id)]
    assert [Counter(question.qualitative for question in room)[True] for room in rooms] == [2, 2, 2]
    assert all(len({question.category for question in room if not question.qualitative}) >= 5 for room in rooms)
    assert not (tmp_path / "data" / "numbers" / "search").exists()
