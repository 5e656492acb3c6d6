"""What a training run reports: one line of `metrics.jsonl` per log, and progress on standard error."""

from __future__ import annotations

import errno
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from spatialreasoner.core import records
from spatialreasoner.core.progress import Advance, progress_bar

_TIMED = ("runtime", "per_second", "step_time")
_SUMMARY = "train_loss"  # of the last entry: transformers averages it over the steps since the last resume


class MetricsFile(TrainerCallback):
    """Writes each log as a line; times and the closing summary are left out, so that the same run writes the same bytes.

    On resume the file begins again from the checkpoint's own history: nothing twice, nothing of steps that were lost.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Start the file with what the checkpoint knows."""
        if state.is_world_process_zero:
            records.write_jsonl(self.path, history(state))

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Append the newest entry."""
        if state.is_world_process_zero and _SUMMARY not in (logs or {}):
            _append(self.path, json.dumps(_untimed(state.log_history[-1])) + "\n")


def _append(path: Path, line: str) -> None:
    """Append a line or, on a disk that has no room for it, nothing of it."""
    content = line.encode()
    with path.open("ab", buffering=0) as file:
        whole = file.tell()
        if file.write(content) < len(content):
            file.truncate(whole)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


class ReportProgress(TrainerCallback):
    """Shows steps done and the loss on standard error, as `core.progress.progress_bar` does."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = ExitStack()
        self._advance: Advance | None = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Begin with the steps of a checkpoint."""
        if state.is_world_process_zero:
            self._advance = self._shown.enter_context(progress_bar(self._title, state.max_steps))
            self._advance(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Count the step."""
        if self._advance is not None:
            self._advance(state.global_step)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Show the loss."""
        if self._advance is not None and logs and "loss" in logs:
            self._advance(state.global_step, f"loss {float(logs['loss']):.4f}")

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """End with the last step."""
        self._shown.close()


def history(state: TrainerState) -> list[dict[str, Any]]:
    """What a run has logged so far, without times and closing summary."""
    return [_untimed(entry) for entry in state.log_history if _SUMMARY not in entry]


def _untimed(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in sorted(entry) if not any(word in key for word in _TIMED)}
