"""What answers earn under the rules of the controls."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from research.fdpo_study.rescoring import Aspect, by_factor, factor_score, keep

from spatialreasoner.core.types import RewardBreakdown
from spatialreasoner.language.statements import Assertion
from spatialreasoner.rewards.combine import Graded
from spatialreasoner.rewards.spatial import StatementVerdict, value_score

LENGTHS = st.floats(0.01, 50)


def graded(*reasoning: StatementVerdict, **rewards: float | None) -> Graded:
    values = {"visual": 3.0, "spatial_description": 1.0, "spatial_reasoning": 2.0, "logical": 4.0} | rewards
    return Graded(reward=RewardBreakdown(**values), reasoning=reasoning)


def length(value: float, truth: float, **changes: object) -> StatementVerdict:
    said = Assertion(**{"kind": "width", "regions": ("region1",), "value": value, "unit": "m", "span": (0, 1)} | changes)
    return StatementVerdict(assertion=said, score=value_score(value, truth), truth=truth)


@pytest.mark.parametrize(
    ("aspect", "description", "reasoning"), [("visual", 3.0, 0.0), ("spatial", 1.0, 2.0), ("logical", 0.0, 4.0)]
)
def test_one_reward_alone(aspect: Aspect, description: float, reasoning: float) -> None:
    kept = keep(aspect, replace(graded().reward, parts={"a": 1.0}))
    assert (kept.description, kept.reasoning) == (description, reasoning)
    assert kept.parts == {"a": 1.0}


def test_what_is_unscored_stays_unscored() -> None:
    assert keep("visual", graded(visual=None).reward).total is None
    assert keep("logical", graded(visual=None).reward).total == 4.0


def test_by_relative_error_the_shorter_of_two_equal_factors_earns_more_and_by_factor_the_same() -> None:
    short, long = graded(length(0.6, 1.0)), graded(length(1 / 0.6, 1.0))
    by_error = [value_score(0.6, 1.0), value_score(1 / 0.6, 1.0)]
    assert by_error == pytest.approx([0.6 / 0.9, (1 - 2 / 3) / 0.9])
    expected = 4 * (math.log(2) + math.log(0.6)) / (math.log(2) - math.log(1.1))
    assert [by_factor(each).spatial_reasoning for each in (short, long)] == pytest.approx([expected, expected])


def test_only_lengths_are_scored_anew() -> None:
    relation = StatementVerdict(
        assertion=Assertion(kind="left", regions=("region1", "region2"), span=(0, 1)), score=1.0, truth=0.3
    )
    hour = length(3.0, 6.0, kind="direction", regions=("region1", "region2"), unit="hour")
    span = length(1.0, 2.0, high=3.0)
    unscored = StatementVerdict(assertion=length(1.0, 1.0, kind="height").assertion, score=None)
    before = [each.score for each in (relation, hour, span) if each.score is not None]
    found = by_factor(graded(relation, hour, span, unscored)).spatial_reasoning
    assert found == pytest.approx(4 * sum(before) / 3)


def test_a_segment_without_statements_stays_neutral() -> None:
    assert by_factor(graded()).spatial_reasoning == 2.0


@given(LENGTHS, LENGTHS)
def test_the_score_is_of_the_factor_alone(claim: float, truth: float) -> None:
    assert factor_score(claim, truth) == pytest.approx(factor_score(truth, claim))
    assert 0 <= factor_score(claim, truth) <= 1
