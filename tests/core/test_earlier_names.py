"""Earlier names of public classes."""

from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("pipeline", "JudgesConfig", "RewardJudgesConfig"),
        ("pipeline.workforce", "JudgesConfig", "RewardJudgesConfig"),
        ("evaluation", "JudgingConfig", "AnswerJudgeConfig"),
        ("evaluation.model_judge", "JudgingConfig", "AnswerJudgeConfig"),
        ("judges.rewards", "JudgeConfig", "ApiJudgeConfig"),
    ],
)
def test_an_earlier_name_is_accepted_with_a_warning_that_says_the_new_one(module, old, new):
    found = import_module(f"spatialreasoner.{module}")
    with pytest.warns(FutureWarning, match=f"^{old} is now called {new}$"):
        assert getattr(found, old) is getattr(found, new)
    assert old not in getattr(found, "__all__", ())
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchName'"):
        _ = found.NoSuchName
