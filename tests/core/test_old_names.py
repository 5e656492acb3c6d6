from importlib import import_module

import pytest

from spatialreasoner.core.errors import ConfigError
from spatialreasoner.core.old_names import to_new_names
from spatialreasoner.inference.limits import Limits


def test_an_old_name_is_accepted_with_a_warning_that_says_the_new_one_and_not_beside_it():
    with pytest.warns(FutureWarning, match="the setting park_after is now called failure_threshold$") as warned:
        assert Limits(park_after=2) == Limits(failure_threshold=2)
    assert warned[0].filename == __file__
    with pytest.raises(ConfigError, match="park_after is the old name of failure_threshold"):
        Limits(park_after=2, failure_threshold=2)


def test_names_keep_their_order_and_those_of_a_saved_run_warn_nobody():
    assert list(to_new_names({"a": 1, "b": 2, "c": 3}, {"b": "z"}, quiet=True).items()) == [("a", 1), ("z", 2), ("c", 3)]


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("pipeline", "JudgesConfig", "RewardJudgesConfig"),
        ("pipeline.workforce", "JudgesConfig", "RewardJudgesConfig"),
        ("evaluation", "JudgingConfig", "AnswerJudgeConfig"),
        ("evaluation.model_judge", "JudgingConfig", "AnswerJudgeConfig"),
        ("judges.rewards", "JudgeConfig", "ApiJudgeConfig"),
        ("training", "train", "run_training"),
        ("training.run", "train", "run_training"),
        ("core.progress", "stage", "progress_bar"),
        ("core.progress", "ShowStage", "ShowProgress"),
        ("core.progress", "stages_shown_by", "progress_shown_by"),
    ],
)
def test_an_old_name_of_a_class_is_accepted_with_a_warning_that_says_the_new_one(module, old, new):
    found = import_module(f"spatialreasoner.{module}")
    with pytest.warns(FutureWarning, match=f"^{old} is now called {new}$"):
        assert getattr(found, old) is getattr(found, new)
    assert old not in getattr(found, "__all__", ())
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchName'"):
        _ = found.NoSuchName
