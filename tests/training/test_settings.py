from dataclasses import fields

from typer.testing import CliRunner

from spatialreasoner.cli import app
from spatialreasoner.training.config import CONFIGS
from spatialreasoner.training.settings import settings


def test_every_setting_is_listed_once_under_a_subject_and_explained():
    listed = [setting for group in settings().values() for setting in group]
    names = [setting.name for setting in listed]
    assert sorted(names) == sorted({each.name for config in CONFIGS.values() for each in fields(config)})
    assert all(setting.text for setting in listed)
    assert "Other" not in settings()


def test_defaults_that_differ_are_told_by_kind():
    rate = next(setting for setting in settings()["Optimization"] if setting.name == "learning_rate")
    assert rate.default == "4e-05 (sft), 1e-07 (dpo), 1e-07 (fdpo), 1e-06 (grpo)"


def test_the_help_of_train_lists_them():
    output = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "160"}).output
    assert "Settings: Optimization" in output
    for name in ("num_train_epochs", "fdpo_alpha", "vision_cache_gib", "save_total_limit"):
        assert name in output
