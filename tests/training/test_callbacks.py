"""What a run writes while it goes."""

import resource

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from spatialreasoner.training.callbacks import MetricsFile, ReportProgress


@pytest.fixture
def told(tmp_path):
    """A function that calls a callback as a trainer does, and the state of a training of four steps."""
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to="none", use_cpu=True)
    state = TrainerState(max_steps=4)

    def tell(callback, name, **options):
        getattr(callback, f"on_{name}")(arguments, state, TrainerControl(), **options)

    return tell, state


def test_a_line_that_does_not_fit_leaves_nothing(told, tmp_path):
    tell, state = told
    path, file = tmp_path / "metrics.jsonl", MetricsFile(tmp_path / "metrics.jsonl")
    state.log_history.append({"loss": 1})
    tell(file, "log")
    state.log_history.append({"loss": 2})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))  # as a disk that is full after 20 bytes
    try:
        with pytest.raises(OSError, match="No space left"):
            tell(file, "log")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text("utf-8") == '{"loss": 1}\n'


def test_progress_is_told_in_lines_where_there_is_no_terminal(told, capsys):
    tell, state = told
    shown = ReportProgress("train fdpo")
    tell(shown, "train_begin")
    for state.global_step in range(1, 5):
        tell(shown, "step_end")
    tell(shown, "log", logs={"loss": 0.5})
    tell(shown, "train_end")
    assert capsys.readouterr().err.startswith("train fdpo ...\ntrain fdpo: done in ")
