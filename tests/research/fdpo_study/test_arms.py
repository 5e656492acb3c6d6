"""The arms as data."""

import pytest
from research.fdpo_study.arms import ARMS, MAIN, QUICK_ARMS, choose_arms, seeds_of
from research.fdpo_study.claims import COMPARISONS, printed
from research.fdpo_study.config import StudyConfig
from research.fdpo_study.work import arm_settings

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.config import CONFIGS, read_config


@pytest.mark.parametrize("arm", ARMS.values(), ids=lambda arm: arm.name)
def test_the_trainer_takes_every_arms_settings(arm: object) -> None:
    assert isinstance(arm, type(ARMS["sft"]))
    read_config(CONFIGS[arm.kind], None, arm_settings(arm, StudyConfig()))


def test_some_arms_with_what_they_start_from() -> None:
    assert [arm.name for arm in choose_arms(["fdpo"])] == ["sft", "fdpo"]
    assert [arm.name for arm in choose_arms(["fdpo-second"])] == ["sft", "dpo-numbers", "fdpo-second"]
    assert {arm.group for arm in choose_arms(())} == {"main", "control"}
    assert {arm.group for arm in choose_arms(["tuning"])} == {"main", "tuning"}  # all begin with SFT
    assert set(MAIN) < set(QUICK_ARMS) <= ARMS.keys()


def test_an_unknown_arm_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"fdpo-inverse.*got 'ppo'"):
        choose_arms(["ppo"])


def test_main_arms_have_all_seeds_and_controls_three() -> None:
    assert list(seeds_of(ARMS["fdpo"], 5)) == [0, 1, 2, 3, 4]
    assert list(seeds_of(ARMS["fdpo-inverse"], 5)) == [0, 1, 2]
    assert list(seeds_of(ARMS["fdpo-inverse"], 2)) == [0, 1]


def test_every_comparison_is_of_arms_that_there_are() -> None:
    assert {name for pair in COMPARISONS for name in pair} <= {"base", *ARMS}


def test_the_papers_differences() -> None:
    found = printed("dpo", "fdpo", "qualitative")
    assert found is not None
    assert found.large == pytest.approx(4.11)  # 95.59 - 91.48
    assert found.small == pytest.approx(8.08)  # 87.37 - 79.29
    assert printed("fdpo-inverse", "fdpo", "qualitative") is None
