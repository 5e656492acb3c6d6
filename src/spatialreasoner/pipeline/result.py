"""What every stage returns: what was written, and how it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialreasoner.core.errors import WorkError


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a stage wrote and how it went. It can be used as a path: the next stage takes it as its input.

    Attributes:
        stage: The stage: "scenes", "measure", "questions", "search", "reward", "pairs", "convert", "train", "generate",
            "evaluate" or "report".
        out: What was written: a file, or the folder of several; None if the stage was asked to write nothing.
        files: The files written, those for people and for the next stage; journals and records of settings are not listed.
        count: What was made: scenes, measured regions, questions, scored answers, pairs, models, predictions, judged
            predictions or files.
        summary: The stage's figures, as JSON values.
        details: The stage's full record of its results: the `Score` of evaluate,
            the `Agreement` of judges with geometry of reward; None if it has none.
        unfinished: Why questions are not finished, by their id; the same call tries them again.
        stopped: What ended the stage early, such as a budget; None if nothing did.
    """

    stage: str
    out: Path | None
    files: tuple[Path, ...] = ()
    count: int = 0
    summary: Mapping[str, Any] = field(default_factory=dict[str, Any])
    details: Any = None
    unfinished: Mapping[str, str] = field(default_factory=dict[str, str])
    stopped: str | None = None

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for was done."""
        return self.stopped is None and not self.unfinished

    def check(self) -> Result:
        """The result itself, if it is complete.

        Raises:
            WorkError: If the stage ended early or questions are not finished.
        """
        if self.complete:
            return self
        why = self.stopped or next(iter(self.unfinished.values()))
        raise WorkError(f"{len(self.unfinished)} questions are not finished: {why}; run the same again to resume")

    def __fspath__(self) -> str:
        if self.out is None:
            raise WorkError(f"the stage {self.stage!r} wrote nothing; call it with out=PATH to use what it makes")
        return str(self.out)
