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
from research.fdpo_study.data import make_part

from research.fdpo_study import gaps
from spatialreasoner.core.records import read_jsonl
from spatialreasoner.core.types import Question
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


def test_questions_mostly_about_quantities_ask_for_each_once_in_a_room(tmp_path: Path) -> None:
    make_part(StudyConfig(number_scenes=3), "numbers", tmp_path)
    found = list(read_jsonl(tmp_path / "data" / "numbers" / "questions.jsonl", Question))
    rooms = [list(group) for _, group in groupby(found, key=lambda question: question.scene_id)]
    assert [Counter(question.qualitative for question in room)[True] for room in rooms] == [2, 2, 2]
    assert all(len({question.category for question in room if not question.qualitative}) >= 5 for room in rooms)
    assert not (tmp_path / "data" / "numbers" / "search").exists()
