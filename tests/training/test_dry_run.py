"""`train --dry-run`: settings and rows are read, and nothing else happens."""

import pytest

from spatialreasoner.core.errors import ConfigError, MissingFileError, RecordError
from spatialreasoner.training.run import dry_run


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        (["per_device_train_batch_size=1", "gradient_accumulation_steps=4"], 2),  # six pairs: four and two
        (["per_device_train_batch_size=2", "gradient_accumulation_steps=1", "num_train_epochs=3"], 9),
        (
            ["per_device_train_batch_size=4", "gradient_accumulation_steps=2", "num_train_epochs=1.5"],
            2,
        ),  # two batches, one step per epoch, half of one rounded up
        (["max_steps=7"], 7),
    ],
)
def test_it_tells_the_steps(data, settings, steps):
    said = dry_run("fdpo", model="hf:no/such-model", data=data / "pairs.jsonl", overrides=settings)
    assert f" on 6 rows: in one process {steps} steps of " in said


def test_nothing_is_written(data, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    assert "and 6 rows held out" in dry_run("sft", model="tiny", data=data / "sft.jsonl", eval_data=data / "sft.jsonl")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_training_would_refuse_is_refused(data, tmp_path):
    with pytest.raises(ConfigError, match="unknown setting"):
        dry_run("fdpo", model="tiny", data=data / "pairs.jsonl", overrides=["learning_rat=1"])
    with pytest.raises(MissingFileError):
        dry_run("fdpo", model="tiny", data=tmp_path / "none.jsonl")
    with pytest.raises(RecordError):
        dry_run("fdpo", model="tiny", data=data / "sft.jsonl")
