"""Which two of a question's answers are compared."""

from dataclasses import replace

from research.fdpo_study.pairing import closest, decisive, is_right_and_sound, nearest

from spatialreasoner.core.types import Question, RewardBreakdown, Trajectory


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
    assert closest(known, is_right_and_sound) == (best, right)
    assert closest(known[:3], is_right_and_sound) == (best, known[1])
    assert closest(known[1:2], is_right_and_sound) == closest([best], is_right_and_sound) == ()


def sample(text: str, *, success: bool, near: float = 2.0, logical: float = 4.0, visual: float = 0.0) -> Trajectory:
    reward = RewardBreakdown(visual=visual, spatial_description=0.0, spatial_reasoning=near, logical=logical)
    return Trajectory(question_id="q", index=0, text=text, policies=("own",), reward=reward, success=success, origin="sample")


NARROWER = Question(
    id="q", scene_id="s", category="thin_predicate", text="Is <region1> narrower than <region2>?",
    answer="No, <region1> is wider than <region2>.", region_ids=("a", "b"),
)  # fmt: skip
STEPS = "<region1>: 0.57 m. <region2>: 0.38 m. 0.57 m is more than 0.38 m.\n### In Conclusion\n"


def test_about_a_relation_an_answer_that_holds_word_by_word_is_preferred_to_a_wrong_one() -> None:
    good = sample(STEPS + "No, <region1> is wider than <region2>.", success=True)
    wrong = sample(STEPS + "Yes. <region1> is wider than <region2>.", success=False, near=1.0)
    less_close = sample(STEPS + "No, <region1> is not thinner than <region2>.", success=True, near=1.0)
    assert decisive(NARROWER, [good, less_close, wrong]) == (good, wrong)
    assert decisive(NARROWER, [good, less_close]) == ()  # closer numbers teach nothing about relations
    by_its_no = replace(good, text=STEPS + "No, <region1> is thinner than <region2>.")
    turned = replace(good, text=STEPS.replace("more", "less") + "No, <region1> is wider than <region2>.")
    unargued = sample(good.text, success=True, logical=2.0, visual=2.0)
    assert all(decisive(NARROWER, [each, wrong]) == () for each in (by_its_no, turned, unargued))
    assert decisive(NARROWER, [good, replace(wrong, success=None)])  # as wrong as one that can be read


def test_about_a_quantity_the_closest_answer_of_those_that_hold_is_preferred() -> None:
    wide = replace(NARROWER, category="width_data", text="How wide is <region1>?", answer="0.57 m")
    best = sample("It is 0.57 m.\n### In Conclusion\nIt is 0.57 m wide.", success=True, near=2.28)
    near = sample("It is 0.50 m.\n### In Conclusion\nIt is 0.50 m wide.", success=True, near=1.5)
    assert decisive(wide, [near, best]) == (best, near)
    assert decisive(wide, [near, sample(best.text, success=True, near=2.28, logical=1.0)]) == ()
