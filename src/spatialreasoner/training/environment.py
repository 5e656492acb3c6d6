"""The verified reward as an environment of `verifiers`: questions with marked images in, a share of the greatest reward out.

`verifiers` has a set-up of its own (docs/how-to/grpo.md); nothing else of this package needs it.
"""

from __future__ import annotations

import base64
import importlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from spatialreasoner.core.errors import MissingExtraError
from spatialreasoner.rewards.functions import completion_text
from spatialreasoner.rewards.loops import verl_score
from spatialreasoner.training.grpo_data import read_grpo, show_regions


def load_environment(questions: str | Path, *, images: str | Path | None = None, **options: Any) -> Any:
    """An environment of questions about scenes: `verifiers.load_environment("spatialreasoner.training.environment", ...)`.

    Each prompt holds the image with the question's regions as numbered marks. The reward is `verified_share`.

    Args:
        questions: A questions file; its scenes are found as by `generate`.
        images: Where the marked images are kept; they are drawn anew each time by default.
        options: Further arguments of `verifiers.SingleTurnEnv`, which is returned.

    Raises:
        MissingExtraError: If `verifiers` is not installed.
        MissingFileError: If the file, its scenes or an image is not there.
        RecordError: If a row is not a question, or there is none.
        SceneError: If an image or a depth map is unusable.
    """
    try:
        library: Any = importlib.import_module("verifiers")
    except ImportError as error:
        raise MissingExtraError(
            "the environment needs verifiers, which is not installed: pip install verifiers==0.3.1"
        ) from error
    rows = read_grpo(questions)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(images or temporary)
        shown = [_row(row, folder) for row in cast("Sequence[dict[str, Any]]", rows)]
    dataset = type(rows).from_list(shown, on_mixed_types="use_json")  # each block keeps its own keys, and no others
    return library.SingleTurnEnv(dataset=dataset, rubric=library.Rubric(funcs=[verified_share]), **options)


def verified_share(completion: Any, info: Mapping[str, str]) -> float:
    """The total reward of an answer as a share of its greatest value, 0..1; `verifiers` calls it.

    Args:
        completion: A text, or messages: mappings or the library's own.
        info: Has the `ground_truth` of the question.

    Raises:
        SceneError: If nothing of the answer can be verified; `verifiers` logs that and counts 0.
    """
    if not isinstance(completion, str):
        said = [turn if isinstance(turn, Mapping) else turn.model_dump() for turn in completion]
        completion = completion_text(said)
    return verl_score("", completion, info["ground_truth"])["score"]


def _row(row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A row of `verifiers`: messages with the image inside, the answer, and what the reward needs."""
    image = base64.b64encode(Path(show_regions(row["question"], row["scene"], folder, tokens=False)).read_bytes()).decode()
    blocks = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
        {"type": "text", "text": row["prompt"][0]["content"]},
    ]
    return {
        "prompt": [{"role": "user", "content": blocks}],
        "answer": json.loads(row["question"])["answer"],
        "info": {"ground_truth": json.dumps({name: json.loads(row[name]) for name in ("question", "scene")})},
    }
