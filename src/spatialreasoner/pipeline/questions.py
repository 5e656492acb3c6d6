"""The stage `questions`: questions about scenes, with true answers from geometry."""

from __future__ import annotations

import os
from pathlib import Path

from spatialreasoner.core.loops import asynchronous
from spatialreasoner.core.outputs import keep_inputs
from spatialreasoner.core.progress import ShowProgress, progress_bar, quiet
from spatialreasoner.pipeline.inputs import PathLike
from spatialreasoner.pipeline.result import Result
from spatialreasoner.questions.generate import QuestionsConfig, write_questions


def make_questions(
    scenes: PathLike, *, out: PathLike, per_scene: int = 5, seed: int = 0, progress: ShowProgress | None = progress_bar
) -> Result:
    """Ask questions of the 24 categories of SpatialRGPT-Bench about the scenes of a folder.

    Args:
        scenes: The scenes folder.
        out: The questions file to write.
        per_scene: Questions per scene.
        seed: Seed of every random choice.
        progress: Displays the progress; None displays nothing.

    Returns:
        The result; its summary has the number of questions per category.

    Raises:
        InputError: If the scenes cannot be read, no question can be asked about any of them, or `out` would replace an input.
        WorkError: If the output cannot be written.
    """
    keep_inputs(out, Path(scenes) / "scenes.jsonl")
    config = QuestionsConfig(scenes=os.fspath(scenes), per_scene=per_scene, seed=seed)
    with (progress or quiet)(f"ask about {config.scenes}", None) as advance:
        asked = write_questions(config, Path(out), progress=advance)
    return Result(
        stage="questions",
        out=Path(out),
        files=(Path(out),),
        count=asked.total(),
        summary={str(name): count for name, count in asked.items()},
    )


make_questions_async = asynchronous(make_questions)
