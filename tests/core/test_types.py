import pytest

from spatialreasoner.core.types import CATEGORIES, GROUPS, QUALITATIVE, QUANTITATIVE, Intrinsics, RewardBreakdown, Rle


def test_the_24_categories_fall_into_the_12_groups_of_the_paper() -> None:
    assert len(CATEGORIES) == 24
    assert len(QUALITATIVE) == 18
    assert len(QUANTITATIVE) == 6
    assert sorted(category for group in GROUPS.values() for category in group) == sorted(CATEGORIES)


def test_segment_scores_add_up() -> None:
    reward = RewardBreakdown(visual=3.0, spatial_description=2.5, spatial_reasoning=1.0, logical=4.0)
    assert (reward.description, reward.reasoning, reward.total) == (5.5, 5.0, 10.5)


def test_an_unscored_part_leaves_its_segment_unscored() -> None:
    reward = RewardBreakdown(visual=None, spatial_description=2.5, spatial_reasoning=1.0, logical=4.0)
    assert (reward.description, reward.reasoning, reward.total) == (None, 5.0, None)


@pytest.mark.parametrize("focal", [0.0, -1.0, float("nan"), float("inf")])
def test_a_camera_without_a_positive_focal_length_is_refused(focal: float) -> None:
    with pytest.raises(ValueError, match=r"focal|finite"):
        Intrinsics(fx=focal, fy=1.0, cx=0.0, cy=0.0)


def test_an_empty_mask_size_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Rle(size=(0, 3), counts="")
