import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialreasoner.core.types import CONVERSE, RELATIONS, Question
from spatialreasoner.language.statements import Assertion
from spatialreasoner.rewards import spatial
from spatialreasoner.rewards.known import Known
from spatialreasoner.rewards.spatial import StatementVerdict, hour_score, is_asked, value_score, verify


def said(kind: str, *regions: str, **more: object) -> Assertion:
    return Assertion(kind=kind, regions=regions or ("region1", "region2"), span=(0, 1), **more)  # type: ignore[arg-type]


def scored(score: float | None, kind: str = "left", **more: object) -> StatementVerdict:
    weight = more.pop("weight", 1.0)
    return StatementVerdict(assertion=said(kind, **more), score=score, weight=weight)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "score"),
    [
        ("left", 1.0),
        ("right", 0.0),
        ("front", 1.0),
        ("behind", 0.0),
        ("small", 1.0),
        ("big", 0.0),
        ("thin", 1.0),
        ("tall", 0.0),
    ],
)
def test_relations_by_sign(known: Known, question: Question, kind: str, score: float):
    assert verify(known.measured, question, said(kind)).score == score
    assert verify(known.measured, question, said(kind, "region2", "region1")).score == 1 - score
    assert verify(known.measured, question, said(kind, negated=True)).score == 1 - score


def test_statements_about_the_scenes_other_regions_are_verified(known: Known, question: Question):
    third = verify(known.measured, question, said("front", "region1", "other1"))
    assert third.score == 1.0
    assert third.truth == known.measured.compare("front", "region1", "region3").difference
    assert verify(known.measured, question, said("front", "other1", "region1")).score == 0.0
    assert verify(known.measured, question, said("front", "other2", "region1")).reason == "the question has no other2"


def test_every_verdict_keeps_the_truth(known: Known, question: Question):
    verdict = verify(known.measured, question, said("width", "region1", value=9.0, unit="m"))
    assert verdict.truth == known.measured.quantity("width", "region1").value
    assert verdict.score == 0.0
    assert verdict.label == "false"
    across = known.measured.compare("left", "region1", "region2").difference
    assert verify(known.measured, question, said("left")).truth == across == pytest.approx(1.0, abs=0.05)


def test_a_relation_inside_the_noise_is_unscored_either_way(make_scene, question: Question):
    from builders import Ball

    balls = (Ball("a", (-0.6, 0.1, 2.0), 0.3), Ball("b", (0.6, 0.11, 2.0), 0.3))
    measured = Known(spatial.Measured(make_scene(balls))).measured
    for kind in ("above", "below", "tall", "short", "wide", "thin", "big", "small", "behind", "front"):
        for negated in (False, True):
            verdict = verify(measured, question, said(kind, negated=negated))
            assert verdict.score is None
            assert "inside the noise" in verdict.reason


def test_values_fall_linearly_from_a_tenth_to_all_of_the_truth():
    assert [round(value_score(claim, 2.0), 6) for claim in (2.0, 2.2, 1.8, 3.1, 0.9, 4.0, 9.0, 0.0)] == [
        1.0, 1.0, 1.0, 0.5, 0.5, 0.0, 0.0, 0.0,
    ]  # fmt: skip


def test_a_range_is_as_wrong_as_its_half_width():
    assert value_score(1.9, 2.0, high=2.1) == 1.0
    assert value_score(1.0, 2.0, high=3.0) == pytest.approx((1 - 0.5) / 0.9)
    assert value_score(0.0, 2.0, high=100.0) == 0.0


def test_errors_are_not_relative_to_less_than_the_noise():
    assert value_score(0.03, 0.01) == 0.0
    assert value_score(0.03, 0.01, noise=0.2) == 1.0


@pytest.mark.parametrize(
    ("claim", "true", "score"), [(12, 12, 1), (1, 12, 2 / 3), (12, 1, 2 / 3), (10, 12, 1 / 3), (6, 12, 0), (9, 12, 0)]
)
def test_hours_go_around_the_circle(claim: int, true: int, score: float):
    assert hour_score(claim, true) == pytest.approx(score)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 11))
def test_turning_the_clock_changes_no_score(claim: int, true: int, turn: int):
    def turned(hour: int) -> int:
        return (hour + turn - 1) % 12 + 1

    assert hour_score(turned(claim), turned(true)) == pytest.approx(hour_score(claim, true))


def test_factors_compare_two_sizes(known: Known, question: Question):
    widths = [known.measured.quantity("width", name).value or 0 for name in ("region1", "region2")]
    factor = widths[0] / widths[1]
    assert verify(known.measured, question, said("wide", value=factor, unit="times")).score == 1.0
    assert verify(known.measured, question, said("thin", value=1 / factor, unit="times")).score == 1.0
    assert verify(known.measured, question, said("wide", value=3 * factor, unit="times")).score == 0.0


def test_a_relation_by_so_much_needs_the_sign_and_the_size(known: Known, question: Question):
    difference = known.measured.compare("tall", "region2", "region1").difference
    taller = said("tall", "region2", "region1", value=difference, unit="m")
    assert verify(known.measured, question, taller).score == 1.0
    assert verify(known.measured, question, said("tall", value=difference, unit="m")).score == 0.0


def test_regions_that_the_question_does_not_have_are_wrong(known: Known, question: Question):
    verdict = verify(known.measured, question, said("left", "region1", "region7"))
    assert (verdict.score, verdict.reason) == (0.0, "the question has no region7")
    assert verify(known.measured, question, said("left", "region1", "region1")).score == 0.0


def test_own_names_are_looked_up_in_the_question(known: Known, question: Question):
    from dataclasses import replace

    turned = replace(question, region_ids=("region2", "region1"))
    assert verify(known.measured, turned, said("left")).score == 0.0


def test_weights_of_what_is_asked_and_of_hedges(known: Known, question: Question):
    def weight(assertion: Assertion) -> float:
        return verify(known.measured, question, assertion).weight

    assert weight(said("left")) == weight(said("right", "region2", "region1")) == 1.0
    assert weight(said("behind")) == weight(said("left", hedged=True)) == 0.8
    assert weight(said("behind", hedged=True)) == pytest.approx(0.64)


@pytest.mark.parametrize(
    ("category", "assertion", "asked"),
    [
        ("width_data", said("width", "region1", value=1.0, unit="m"), True),
        ("width_data", said("width", "region2", value=1.0, unit="m"), False),
        ("distance_data", said("distance", "region2", "region1", value=1.0, unit="m"), True),
        ("distance_data", said("vertical_distance", value=1.0, unit="m"), False),
        ("direction", said("direction", value=3.0, unit="hour"), True),
        ("direction", said("direction", "region2", "region1", value=9.0, unit="hour"), False),
        ("tall_choice", said("short", "region2", "region1"), True),
        ("tall_choice", said("wide"), False),
    ],
)
def test_what_a_question_asks(question: Question, category: str, assertion: Assertion, asked: bool):
    from dataclasses import replace

    changed = replace(question, category=category, value=1.0, unit="m")  # type: ignore[arg-type]
    assert is_asked(changed, assertion) is asked


def test_the_reward_is_four_times_the_weighted_mean():
    verdicts = [scored(1.0), scored(0.5, "behind", weight=0.8), scored(0.0, "above", weight=0.64), scored(None, "tall")]
    assert spatial.spatial_reward(verdicts).value == pytest.approx(4 / 3 * (1 + 0.4))
    assert spatial.spatial_reward([scored(1.0, weight=0.64)]).value == pytest.approx(2.56)


def test_silence_is_neutral_and_what_cannot_be_verified_is_unscored():
    assert spatial.spatial_reward([]).value == 2.0
    assert "neutral" in spatial.spatial_reward([]).reason
    assert spatial.spatial_reward([scored(None)]).value is None


def test_repeating_a_truth_earns_nothing():
    lie = scored(0.0, "above")
    truths = [scored(1.0), StatementVerdict(assertion=said("right", "region2", "region1"), score=1.0)]
    assert spatial.spatial_reward([lie, *truths * 9]).value == spatial.spatial_reward([lie, truths[0]]).value == 2.0


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1.0]), st.sampled_from(RELATIONS), st.booleans()), max_size=12))
def test_the_reward_stays_in_range_and_the_order_does_not_matter(rows):
    verdicts = [scored(score, kind, weight=0.8 if hedged else 1.0) for score, kind, hedged in rows]
    value = spatial.spatial_reward(verdicts).value
    assert value is not None
    assert 0 <= value <= 4


@given(st.sampled_from(RELATIONS))
def test_a_hedged_truth_lies_between_a_flat_truth_and_a_flat_lie(kind):
    flat, hedged, lie = scored(1.0, kind), scored(1.0, kind, hedged=True, weight=0.8), scored(0.0, CONVERSE[kind])
    values = [spatial.spatial_reward([verdict]).value or 0.0 for verdict in (flat, hedged, lie)]
    assert values[0] > values[1] > values[2]


def test_a_scene_without_depth_verifies_nothing(make_scene, question: Question):
    measured = spatial.Measured(make_scene(depth=None))
    verdict = verify(measured, question, said("left"))
    assert verdict.score is None
    assert "no depth" in verdict.reason
